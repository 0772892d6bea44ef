"""A model's transformer blocks: compiled one by one, and what of them the backward pass recomputes.

Blocks are alike, so that one compilation serves them all, in seconds and not in minutes. A block is
compiled with its recomputation inside, where the compiler can plan it.
"""

import functools
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)
from transformers import PreTrainedModel

# What is dear to compute: `cheap` keeps its results and recomputes all else.
_DEAR = {"mm", "addmm", "bmm", "_varlen_attn", "_scaled_mm", "_scaled_dot_product_flash_attention"}


def prepare_blocks(model: PreTrainedModel, recompute: str, *, compiled: bool) -> None:
    """Have the blocks recompute "nothing", what is "cheap", or all; compile them if on a GPU."""
    for block in blocks(model):
        if recompute != "nothing":
            keep: dict[str, Any] = {"context_fn": _keep_dear} if recompute == "cheap" else {}
            block.forward = functools.partial(
                checkpoint, block.forward, use_reentrant=False, **keep
            )
        if compiled and model.device.type == "cuda":
            block.compile(dynamic=False)  # each shape of micro-batches gets code of its own


def blocks(model: PreTrainedModel) -> nn.ModuleList:
    """Return the transformer blocks, whatever a family calls their list."""
    count = model.config.num_hidden_layers
    (found,) = (
        module
        for module in model.base_model.children()
        if isinstance(module, nn.ModuleList) and len(module) == count
    )
    return found


def _keep_dear() -> tuple[Any, Any]:
    return create_selective_checkpoint_contexts(_policy)


def _policy(_context: Any, op: Any, *_args: Any, **_kwargs: Any) -> CheckpointPolicy:
    name = op.overloadpacket.__name__ if isinstance(op, torch._ops.OpOverload) else ""
    if name in _DEAR:
        return CheckpointPolicy.MUST_SAVE
    return CheckpointPolicy.PREFER_RECOMPUTE
