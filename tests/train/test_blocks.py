"""What the backward pass recomputes changes neither loss nor gradients, only what is kept."""

import functools
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from scripts.train.blocks import blocks, prepare_blocks

IDS_BT = torch.arange(48)[None] % 50


def model() -> PreTrainedModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=3,
        num_attention_heads=2, num_key_value_heads=1, use_cache=False,
    )  # fmt: skip
    return LlamaForCausalLM(config).train()


def kept_bytes(recompute: str, *, compiled: bool = False) -> tuple[float, torch.Tensor, int]:
    """Return loss, a first block's gradient, and the bytes that the forward pass leaves behind."""
    llama = model()
    prepare_blocks(llama, recompute, compiled=False)
    if compiled:  # as on a GPU, by a compiler that needs none
        for block in blocks(llama):
            block.compile(backend="aot_eager_decomp_partition", dynamic=False)
    sizes: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = llama(input_ids=IDS_BT, labels=IDS_BT).loss
    own = {p.untyped_storage().data_ptr() for p in llama.parameters()}
    loss.backward()
    gradient = blocks(llama)[0].mlp.up_proj.weight.grad
    return loss.item(), gradient, sum(size for at, size in sizes.items() if at not in own)


@pytest.mark.parametrize("recompute", ["cheap", "blocks"])
@pytest.mark.parametrize("compiled", [False, True])
def test_recomputing_gives_the_same_gradients(recompute: str, compiled: bool) -> None:
    torch._dynamo.reset()
    counters.clear()
    loss, gradient, _ = kept_bytes("nothing")
    again, recomputed, _ = kept_bytes(recompute, compiled=compiled)
    assert again == pytest.approx(loss, rel=1e-6)
    torch.testing.assert_close(recomputed, gradient, rtol=1e-4, atol=1e-7)
    if compiled:  # and it was compiled: a wrapper that the compiler skips would be slow in silence
        assert counters["stats"]["unique_graphs"] >= 1
        assert not counters["graph_break"]


@pytest.mark.parametrize("recompute", ["nothing", "cheap", "blocks"])
def test_compiled_blocks_keep_no_views_of_weights(
    recompute: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ZeRO 3 releases weights by what they hold; a view would keep it, and not see it return."""
    torch._dynamo.reset()
    compiler = functools.partial(torch.compile, backend="aot_eager_decomp_partition")
    monkeypatch.setattr(torch, "compile", compiler)
    llama = model()
    prepare_blocks(llama, recompute, compiled=True)
    loss = llama(input_ids=IDS_BT, labels=IDS_BT).loss
    for weight in blocks(llama).parameters():
        weight.data = torch.zeros_like(weight)
    loss.backward()
    assert not blocks(llama)[0].mlp.up_proj.weight.grad.any()  # what comes from down_proj is 0
    assert llama.get_input_embeddings().weight.grad.any()  # beside the blocks


def test_hooks_stay_around_what_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []

    def compiler(forward: Any, **_options: Any) -> Any:
        compiled.append(forward.__name__)
        return forward

    monkeypatch.setattr(torch, "compile", compiler)
    prepare_blocks(model(), "nothing", compiled=True)
    assert compiled == ["forward"] * 3  # and not __call__, which runs hooks


def test_whole_blocks_keep_least() -> None:
    assert kept_bytes("blocks")[2] < kept_bytes("nothing")[2] / 2


def test_the_blocks_of_any_family_are_found() -> None:
    assert blocks(model()) is not None
    assert len(blocks(model())) == 3
