"""A model's transformer blocks: compiled one by one, and what of them the backward pass recomputes.

Blocks are alike, so that one compilation serves them all, in seconds and not in minutes. A block is
compiled with its recomputation inside, where the compiler can plan it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)
from transformers import PreTrainedModel

_SHAPES = 64  # of micro-batches: a ramp has several, and each ends in a smaller one
# What is dear to compute: `cheap` keeps its results and recomputes all else.
_DEAR = {
    *("mm", "addmm", "bmm", "_scaled_mm"),
    *("_varlen_attn", "_scaled_dot_product_flash_attention_for_cpu"),
}


def prepare_blocks(model: PreTrainedModel, recompute: str, *, compiled: bool) -> None:
    """Have the blocks recompute "nothing", what is "cheap", or all; compile them.

    What is compiled is their ``forward``: hooks around it stay outside, so that ZeRO 3 can gather a
    block's weights before and release them after. A block whose code was compiled for too many
    shapes raises an error then, and does not go on uncompiled in silence.
    """
    if compiled:  # else importing what it takes would only take seconds
        torch._dynamo.config.fail_on_recompile_limit_hit = True
        torch._dynamo.config.recompile_limit = _SHAPES
        # A weight's view, kept for the backward pass, would keep what ZeRO 3 has released.
        torch._functorch.config.recompute_views = True
    for block in blocks(model):
        if recompute != "nothing":
            block.forward = _recomputing(block.forward, recompute)
        if compiled:
            # Each shape of micro-batches gets code of its own.
            block.forward = torch.compile(block.forward, dynamic=False)


def blocks(model: PreTrainedModel) -> nn.ModuleList:
    """Return the transformer blocks, whatever a family calls their list."""
    count = model.config.num_hidden_layers
    (found,) = (
        module
        for module in model.base_model.children()
        if isinstance(module, nn.ModuleList) and len(module) == count
    )
    return found


def _recomputing(forward: Callable[..., Any], recompute: str) -> Callable[..., Any]:
    """Wrap a block's ``forward``; a plain function, as the compiler does not look into partials."""
    keep: dict[str, Any] = {"context_fn": _keep_dear} if recompute == "cheap" else {}

    def recomputing(*args: Any, **kwargs: Any) -> Any:
        return checkpoint(forward, *args, use_reentrant=False, **keep, **kwargs)

    return recomputing


def _keep_dear() -> tuple[Any, Any]:
    return create_selective_checkpoint_contexts(_policy)


def _policy(_context: Any, op: Any, *_args: Any, **_kwargs: Any) -> CheckpointPolicy:
    name = op.overloadpacket.__name__ if isinstance(op, torch._ops.OpOverload) else ""
    if name in _DEAR:
        return CheckpointPolicy.MUST_SAVE
    return CheckpointPolicy.PREFER_RECOMPUTE
