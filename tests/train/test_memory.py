"""Predicted memory against the tensors that autograd keeps, counted without computing any."""

import weakref
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    Olmo2Config,
    PreTrainedConfig,
    Qwen3Config,
    Starcoder2Config,
)
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from scripts.common.config.train import Engine
from scripts.train import attention, loss
from scripts.train.blocks import blocks, prepare_blocks
from scripts.train.cost import Shape
from scripts.train.memory import Load, Memory, host_bytes, kept_per_token, predicted_bytes
from scripts.train.shape import shape_of

SIZES: dict[str, Any] = {
    "vocab_size": 1024, "hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 1,
    "num_attention_heads": 8, "num_key_value_heads": 2, "use_cache": False, "bos_token_id": 0,
    "eos_token_id": 1, "pad_token_id": None,
}  # fmt: skip
FAMILIES = (
    LlamaConfig(**SIZES),
    Olmo2Config(**SIZES),
    Qwen3Config(**SIZES, head_dim=128),
    Starcoder2Config(**SIZES),
)
BATCH, CONTEXT = 2, 256


def shape(config: PreTrainedConfig) -> Shape:
    with torch.device("meta"):
        return shape_of(AutoModelForCausalLM.from_config(config))


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have attention as a GPU does it; tensors without data follow its kernel anywhere."""
    monkeypatch.setattr(attention, "_one_by_one", attention._varlen)


def kept_by_autograd(config: PreTrainedConfig, recompute: str, *, compiled: bool) -> float:
    """Return the bytes per token that a block leaves behind in bf16, its own weights apart."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).train()
        model.set_attn_implementation(attention.NAME)
        prepare_blocks(model, recompute, compiled=False)
        block = blocks(model)[0]
        if compiled:  # as on a GPU, by a compiler that needs none
            block.compile(backend="aot_eager_decomp_partition", dynamic=False)
        hidden_BTD = torch.empty(BATCH, CONTEXT, config.hidden_size, dtype=torch.bfloat16)
        positions_BT = torch.arange(CONTEXT).expand(BATCH, -1)
        angles = model.base_model.rotary_emb(hidden_BTD, positions_BT)
        bounds_N1 = torch.empty(5, dtype=torch.int32)
        documents = attention.Documents([CONTEXT] * BATCH, bounds_N1, CONTEXT)
        sizes: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            sizes[storage._cdata] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            block(
                hidden_BTD.requires_grad_(), attention_mask=None, position_embeddings=angles,
                position_ids=positions_BT, documents=documents, use_cache=False,
            )  # fmt: skip
        others = {x.untyped_storage()._cdata for x in (*block.parameters(), *angles)}
        return sum(size for at, size in sizes.items() if at not in others) / (BATCH * CONTEXT)


@pytest.mark.parametrize("recompute", ["nothing", "cheap", "blocks"])
@pytest.mark.parametrize("config", FAMILIES, ids=lambda config: config.model_type)
def test_compiled_blocks_keep_what_is_predicted(
    config: PreTrainedConfig, recompute: str, on_gpu: None
) -> None:
    measured = kept_by_autograd(config, recompute, compiled=True)
    assert kept_per_token(shape(config), recompute) == pytest.approx(measured, rel=0.005)


def test_blocks_that_are_not_compiled_keep_more(on_gpu: None) -> None:
    measured = kept_by_autograd(FAMILIES[0], "nothing", compiled=False)
    assert measured > 1.4 * kept_per_token(shape(FAMILIES[0]), "nothing")


class Peak(TorchDispatchMode):
    """Adds up the storages that are alive, ``given`` ones apart."""

    def __init__(self, *given: Tensor) -> None:
        super().__init__()
        self.bytes = self.most = 0
        self._seen = {tensor.untyped_storage()._cdata for tensor in given}

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **kwargs or {})
        for tensor in pytree.tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        at, size = storage._cdata, storage.nbytes()
        if at not in self._seen:
            self._seen.add(at)
            self.bytes += size
            self.most = max(self.most, self.bytes)
            weakref.finalize(storage, self._forget, at, size)

    def _forget(self, at: int, size: int) -> None:
        self._seen.remove(at)
        self.bytes -= size


@pytest.mark.parametrize("tokens", [1024, 4096])
def test_the_head_needs_what_is_predicted(tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one chunk of logits and in several."""

    def fused(logits_CV: Tensor, _labels_C: Tensor, _z_weight: float) -> tuple[Tensor, Tensor]:
        return torch.empty(2), torch.empty_like(logits_CV)

    def fused_product(sum_VD: Tensor, _left_VC: Tensor, _right_CD: Tensor) -> None:
        sum_VD.zero_()

    monkeypatch.setattr(loss, "_losses_in_place", fused)
    monkeypatch.setattr(loss, "_add_product", fused_product)
    config = LlamaConfig(**{**SIZES, "vocab_size": 131_072})
    predicted = predicted_bytes(shape(config), Engine(), "bf16", Load(tokens, 2))
    assert predicted.fullest_at == "the head"
    with FakeTensorMode():
        norm = LlamaRMSNorm(config.hidden_size)
        norm.weight = nn.Parameter(torch.empty(config.hidden_size, dtype=torch.bfloat16))
        head_VD = torch.empty(config.vocab_size, config.hidden_size, dtype=torch.bfloat16)
        hidden_BTD = torch.empty(2, tokens // 2 + 1, config.hidden_size, dtype=torch.bfloat16)
        for given in (head_VD, hidden_BTD):
            given.requires_grad_()
        labels_N = torch.zeros(tokens, dtype=torch.int64)
        with Peak(head_VD, hidden_BTD) as peak:
            normed_ND = norm(hidden_BTD)[:, :-1].flatten(0, 1)
            loss.head_loss(normed_ND, head_VD, labels_N, 0.0)
    assert predicted.working == pytest.approx(peak.most, rel=0.01)


LARGE = Shape(
    parameters=1_000_000_000, matrices=900_000_000, block_parameters=50_000_000, vocabulary=100_000,
    tied=False, hidden=1000, heads=10, key_heads=10, head_size=100, mlp=4000, gated=True, norms=2,
    head_norms=False, closing_norm=False, windows=(None,) * 16,
)  # fmt: skip


SMALL_HEAD = replace(LARGE, vocabulary=10_000)


def memory(
    micro_batches: int = 2, world: int = 1, tokens: int = 1000, shape: Shape = LARGE, **engine: Any
) -> Memory:
    load = Load(tokens, micro_batches, world)
    return predicted_bytes(shape, Engine(**engine), "bf16", load)


def test_a_parameter_takes_18_bytes() -> None:
    parts = memory().parts
    assert [parts[key] for key in ("weights", "masters", "moments", "gradients")] == [
        2 * 10**9, 4 * 10**9, 8 * 10**9, 4 * 10**9,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "weights", "masters", "moments", "gradients", "buffers"),
    [
        ({"zero": 0}, 2, 4, 8, 4, 0),
        ({"zero": 1}, 2, 0.5, 1, 6, 0),
        ({"zero": 2}, 2, 0.5, 1, 0.5, 0.4),
        ({"zero": 3}, 0.25, 0.5, 1, 0.5, 2.4),
        ({"zero": 1, "offload": True}, 2, 0, 0, 4, 0),
        ({"zero": 2, "offload": True}, 2, 0, 0, 2, 0.4),
    ],
)
def test_stages_divide_it_among_processes(
    engine: dict[str, Any],
    weights: float,
    masters: float,
    moments: float,
    gradients: float,
    buffers: float,
) -> None:
    found = memory(world=8, processes=8, tokens=20_000, **engine)
    names = ("weights", "masters", "moments", "gradients", "buffers")
    assert [found.parts[name] / 1e9 for name in names] == [
        weights, masters, moments, gradients, buffers,
    ]  # fmt: skip


def test_what_is_offloaded_is_in_the_host() -> None:
    assert host_bytes(LARGE, Engine(zero=2, offload=True), 8) == 2 * 10**9
    assert host_bytes(LARGE, Engine(zero=2), 8) == 0


def test_one_micro_batch_has_no_gradients_beside_all_its_activations() -> None:
    alone, several = memory(1, tokens=20_000), memory(2, tokens=20_000)
    assert (alone.fullest_at, several.fullest_at) == ("the head", "the head")
    assert several.allocated - alone.allocated == 4 * LARGE.parameters
    assert memory(1, tokens=10).gradients == 4 * LARGE.parameters  # few activations: at the end


def test_recomputing_trades_activations_for_work() -> None:
    kept = {
        kind: memory(tokens=50_000, shape=SMALL_HEAD, recompute=kind)
        for kind in ("nothing", "cheap", "blocks")
    }
    activations = [found.activations for found in kept.values()]
    assert activations == sorted(activations, reverse=True)
    assert kept["blocks"].fullest_at == "the last block"  # all of one is there again
    assert kept["blocks"].working > kept_per_token(LARGE, "nothing") * 49_000
    totals = [found.total for found in kept.values()]
    assert totals == sorted(totals, reverse=True)


def test_a_tied_head_waits_with_its_gradient() -> None:
    untied, tied = (
        memory(tokens=50_000, shape=replace(SMALL_HEAD, tied=tied), recompute="blocks").working
        for tied in (False, True)
    )
    assert tied - untied == 2 * SMALL_HEAD.head
