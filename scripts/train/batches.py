"""Batches of packed rows, read from a phase's order and the tokens that it points into.

A row is tokens from one or more segments, as many as the context of its batch. Within a segment
every token may see the ones before it; nothing is seen, and nothing predicted, across the start of
a document or of a segment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scripts.common import tables
from scripts.common.artifact import Artifact
from scripts.common.batch_plan import BatchPlan
from scripts.common.errors import UserError
from scripts.common.token_store import TokenStore
from scripts.train.loss import IGNORED

SourceShard = tuple[str, int]

# Activations of more tokens than this at a time fall out of the CPU's caches, or of a GPU's memory.
MICRO_BATCH_TOKENS = {"cpu": 4096, "cuda": 16_384}


@dataclass(frozen=True)
class Batch:
    """Token ids, labels and positions, each int64 of shape (B rows, T context).

    Labels are the ids themselves, to be shifted by one against the logits, but IGNORED where a
    document or segment starts. Positions count from 0 there.
    """

    input_ids_BT: Tensor
    labels_BT: Tensor
    position_ids_BT: Tensor

    @property
    def targets(self) -> int:
        """The tokens that are predicted."""
        return int((self.labels_BT[:, 1:] != IGNORED).sum())

    def share(self, group: int, groups: int) -> "Batch":
        """Return the rows of one of ``groups``: equally many for each, filled up with empty ones.

        Processes must compute in step, also where there are fewer rows than groups.
        """
        rows = len(self.input_ids_BT)
        each = -(-rows // groups)
        mine = slice(min(group * each, rows), min((group + 1) * each, rows))
        parts = (self.input_ids_BT[mine], self.labels_BT[mine], self.position_ids_BT[mine])
        missing = each - len(parts[0])
        if not missing:
            return Batch(*parts)
        first = self.input_ids_BT[:1].expand(missing, -1)
        places = torch.arange(first.shape[1]).expand(missing, -1)
        fill = (first, torch.full_like(first, IGNORED), places)
        return Batch(*(torch.cat(pair) for pair in zip(parts, fill, strict=True)))

    def pinned(self) -> "Batch":
        """Return a copy where a GPU reads it from while it computes."""
        parts = (self.input_ids_BT, self.labels_BT, self.position_ids_BT)
        return Batch(*(part.pin_memory() for part in parts))

    def split(self, rows: int) -> list["Batch"]:
        """Return the batch in micro-batches of at most ``rows`` rows."""
        parts = (self.input_ids_BT, self.labels_BT, self.position_ids_BT)
        return [Batch(*each) for each in zip(*(part.split(rows) for part in parts), strict=True)]


class Order:
    """A phase's order: which stretch of which token store each row is made of."""

    def __init__(self, artifact: Artifact, plan: BatchPlan) -> None:
        """Read an order; raises UserError unless its rows are those of ``plan``."""
        self.path = artifact.member("segments.parquet")
        self.plan = plan
        table = tables.read(self.path, ["row", "source", "shard", "start", "length"])
        sources = table.column("source").combine_chunks().dictionary_encode()
        self._source_names: list[str] = sources.dictionary.to_pylist()
        self._source = sources.indices.to_numpy()
        self._shard = table.column("shard").to_numpy()
        self._start = table.column("start").to_numpy()
        self._length = table.column("length").to_numpy()
        row = table.column("row").to_numpy()
        self._check(row)
        self._first = np.searchsorted(row, np.arange(plan.rows + 1))

    def _check(self, row: np.ndarray) -> None:
        steps = np.diff(row, prepend=-1)
        if not len(row) or steps[0] != 1 or not np.isin(steps, (0, 1)).all():
            raise UserError(f"{self.path}: its rows are not 0, 1, 2, ... in order; make it again")
        counts, contexts = zip(*self.plan.row_lengths(), strict=True)
        planned = np.repeat(contexts, counts)
        tokens = np.bincount(row, weights=self._length)
        if len(tokens) != len(planned):
            raise UserError(
                f"{self.path}: {len(tokens)} rows, but the phase's batches have {len(planned)}; "
                "make it again"
            )
        if wrong := np.flatnonzero(tokens != planned).tolist():
            raise UserError(
                f"{self.path}, row {wrong[0]}: {tokens[wrong[0]]:.0f} tokens, but the phase's "
                f"context is {planned[wrong[0]]} there; make it again"
            )

    @cached_property
    def source_shards(self) -> list[SourceShard]:
        """The token stores that the rows point into, sorted."""
        shards = int(self._shard.max()) + 1
        keys = np.unique(self._source.astype(np.int64) * shards + self._shard).tolist()
        return sorted((self._source_names[key // shards], key % shards) for key in keys)

    def segments(self, row: int) -> list[tuple[SourceShard, int, int]]:
        """Return a row's segments: token store, first token, number of tokens."""
        return [
            (
                (self._source_names[self._source[index]], int(self._shard[index])),
                int(self._start[index]),
                int(self._length[index]),
            )
            for index in range(self._first[row], self._first[row + 1])
        ]


class Batches:
    """The batches of a phase, by step."""

    def __init__(self, order: Order, tokens: Mapping[SourceShard, Path]) -> None:
        """Open the token stores at ``tokens``, the content records by source and shard."""
        self._order = order
        self._stores = {key: TokenStore.open(tokens[key]) for key in order.source_shards}

    def __len__(self) -> int:
        return len(self._order.plan)

    def __getitem__(self, step: int) -> Batch:
        first, rows, context = self._order.plan[step]
        ids_BT = np.empty((rows, context), dtype=np.int64)
        positions_BT = np.empty_like(ids_BT)
        for place, row in enumerate(range(first, first + rows)):
            self._fill(row, ids_BT[place], positions_BT[place])
        labels_BT = np.where(positions_BT == 0, IGNORED, ids_BT)
        return Batch(*map(torch.from_numpy, (ids_BT, labels_BT, positions_BT)))

    def _fill(self, row: int, ids_T: np.ndarray, positions_T: np.ndarray) -> None:
        filled = 0
        for key, start, length in self._order.segments(row):
            store = self._stores[key]
            if start < 0 or start + length > len(store.ids):
                raise UserError(
                    f"{self._order.path}, row {row}: tokens {start} to {start + length} of "
                    f"{key[0]}/{key[1]}, which has {len(store.ids)}; make the order again"
                )
            ids_T[filled : filled + length] = store.ids[start : start + length]
            positions_T[filled : filled + length] = _positions(store.offsets, start, length)
            filled += length


def _positions(offsets: np.ndarray, start: int, length: int) -> np.ndarray:
    """Return the positions of a segment's tokens, from 0 at its start and at each document's."""
    inside = slice(*np.searchsorted(offsets, [start + 1, start + length]))
    starts = np.concatenate([[start], offsets[inside]])
    lengths = np.diff(starts, append=start + length)
    return np.arange(start, start + length) - np.repeat(starts, lengths)
