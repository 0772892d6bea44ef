"""Rows that several processes share: heads for columns, by all-to-all, and back.

Everything but attention looks at one token at a time, so that a process needs only its own columns
of a row. Attention gets some heads of whole rows instead of all heads of some columns (DeepSpeed
Ulysses, Jacobs et al. 2023, section 3.1); documents are told apart there as in rows of one process.
"""

from typing import Any

import torch
from torch import Tensor, distributed
from torch.distributed import ProcessGroup
from transformers import PreTrainedConfig

from scripts.common.batch_plan import BatchPlan
from scripts.common.errors import UserError


def whole_rows(
    query_BHTD: Tensor, key_BGTD: Tensor, value_BGTD: Tensor, group: ProcessGroup
) -> tuple[Tensor, Tensor, Tensor]:
    """Return some heads of all columns for all heads of some: T grows as H and G shrink.

    Key and value heads that are fewer than processes are sent to each process with queries of
    theirs. ``check_sharing`` says which numbers of heads fit.
    """
    copies = max(1, group.size() // key_BGTD.shape[1])
    heads, columns = 1, 2
    query, key, value = (
        _Exchange.apply(x, heads, columns, group)
        for x in (
            query_BHTD,
            key_BGTD.repeat_interleave(copies, heads),
            value_BGTD.repeat_interleave(copies, heads),
        )
    )
    return query, key, value


def own_columns(attended_BTHD: Tensor, group: ProcessGroup) -> Tensor:
    """Return all heads of one's own columns for some heads of all: back from ``whole_rows``."""
    own_BTHD: Tensor = _Exchange.apply(attended_BTHD, 1, 2, group)
    return own_BTHD


def check_sharing(config: PreTrainedConfig, plan: BatchPlan, processes: int) -> None:
    """Raise UserError unless each process can have equally many columns and heads of each kind."""
    heads, groups = config.num_attention_heads, config.num_key_value_heads
    if heads % processes or max(groups, processes) % min(groups, processes):
        raise UserError(
            f"engine.sequence_ranks: {processes} processes cannot share this model's {heads} query "
            f"and {groups} key and value heads; a divisor of both numbers always can"
        )
    if odd := [length for _, length in plan.row_lengths() if length % processes]:
        raise UserError(
            f"engine.sequence_ranks: {processes} processes cannot share a context of {odd[0]} "
            "tokens; make `context` a multiple"
        )


class _Exchange(torch.autograd.Function):
    """Split the dimension ``split`` among processes and join their parts along ``join``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, split: int, join: int, group: ProcessGroup) -> Tensor:
        ctx.back = join, split, group
        return _exchanged(x, split, join, group)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        return _exchanged(grads[0], *ctx.back), None, None, None


def _exchanged(x: Tensor, split: int, join: int, group: ProcessGroup) -> Tensor:
    sent = torch.stack(x.chunk(group.size(), split))
    received = torch.empty_like(sent)
    distributed.all_to_all_single(received, sent, group=group)
    return torch.cat(received.unbind(), join)
