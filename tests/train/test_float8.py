"""FP8 products of the blocks' linear layers, as a CPU rounds them."""

import shutil
from collections.abc import Callable

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from transformers import LlamaForCausalLM

from scripts.common import layout
from scripts.common.artifact import Artifact
from scripts.common.config.train import Architecture, Phase
from scripts.common.errors import UserError
from scripts.train import model as models
from tests.train.conftest import phase_settings
from tests.train.test_phase import members, metrics

Float8Linear = pytest.importorskip("torchao.float8.float8_linear").Float8Linear
use_float8 = pytest.importorskip("scripts.train.float8").use_float8

CPU = torch.device("cpu")
E4M3_STEP = 2**-4  # relative: half the distance of neighbours


def model(hidden: int = 32, intermediate: int = 64) -> LlamaForCausalLM:
    shape = Architecture(hidden_size=hidden, intermediate_size=intermediate, layers=2, heads=2)
    made = models.create(shape, {"vocabulary": 50, "bos": 0, "eos": 1}, 16, None)
    made.to(torch.bfloat16)
    return made


def rounded(x: Tensor, kind: torch.dtype) -> Tensor:
    scale = torch.finfo(kind).max / x.abs().max().double()
    return (x.double() * scale).to(kind).double() / scale


def test_a_product_is_that_of_factors_rounded_by_their_largest_value() -> None:
    changed = model()
    use_float8(changed, CPU)
    layer = changed.model.layers[0].mlp.up_proj
    torch.manual_seed(0)
    input_TD = torch.randn(24, 32).bfloat16().requires_grad_()
    grad_TF = torch.randn(24, 64).bfloat16()
    output_TF = layer(input_TD)
    output_TF.backward(grad_TF)
    x, w = (rounded(one.detach(), torch.float8_e4m3fn) for one in (input_TD, layer.weight))
    g = rounded(grad_TF, torch.float8_e5m2)
    for found, exact in (
        (output_TF, x @ w.T), (input_TD.grad, g @ w), (layer.weight.grad, g.T @ x),
    ):  # fmt: skip
        assert found.dtype == torch.bfloat16
        error = (found.detach().double() - exact).norm() / exact.norm()
        assert error < 2**-8 < E4M3_STEP  # bf16's rounding of the result, and no other


def test_all_layers_of_blocks_and_nothing_else_change() -> None:
    plain, changed = model(), model()
    use_float8(changed, CPU)
    kinds = {name: type(module) for name, module in changed.named_modules()}
    for name, module in plain.named_modules():
        in_blocks = isinstance(module, torch.nn.Linear) and name.startswith("model.layers.")
        assert kinds[name] == (Float8Linear if in_blocks else type(module)), name
    for (name, one), (other_name, other) in zip(
        plain.state_dict().items(), changed.state_dict().items(), strict=True
    ):
        assert name == other_name and torch.equal(one, other)


def test_a_model_of_odd_sizes_is_refused() -> None:
    with pytest.raises(UserError, match="sizes are multiples of 16, and this model has none"):
        use_float8(model(hidden=24, intermediate=40), CPU)


def test_zero_3_is_refused() -> None:
    settings = {"parent": None, "mixture": "all", "tokens": "1M", "lr": "Constant(1e-3)"}
    with pytest.raises(ValidationError, match=r"fp8 is not known to work with `engine.zero` 3"):
        Phase.model_validate(
            {**settings, "precision": "fp8", "engine": {"processes": 2, "zero": 3}}
        )


def test_a_phase_in_fp8_learns_as_one_in_bf16(run_phase: Callable[..., Artifact]) -> None:
    losses, weights = {}, set()
    for precision in ("bf16", "fp8"):
        made = run_phase(precision=precision)
        losses[precision] = metrics(made)[-1]["loss"]
        weights.add(members(made)["model.safetensors"])
        shutil.rmtree(layout.phase("base").parent)
    assert losses["fp8"] == pytest.approx(losses["bf16"], rel=0.01)
    assert len(weights) == 2


@pytest.mark.parametrize("recompute", ["cheap", "blocks"])
def test_what_is_recomputed_is_rounded_alike(
    run_phase: Callable[..., Artifact], recompute: str
) -> None:
    straight = run_phase(precision="fp8")
    shutil.rmtree(layout.phase("base").parent)
    engine = {**phase_settings()["engine"], "recompute": recompute}
    assert members(run_phase(precision="fp8", engine=engine)) == members(straight)
