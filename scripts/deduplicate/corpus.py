"""All signed documents under one numbering, and which of two is the better one.

Documents are numbered by source of the preference, shard and row. Ranks say what numbers cannot, as
they depend on the shards: a held-out document comes before any other, then one of an earlier
source, then one with a lower id. Only ids and ranks are kept in memory.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from scripts.common import tables
from scripts.common.artifact import Artifact

Key = tuple[str, int]  # a source and one of its shards


@dataclass(frozen=True)
class Shard:
    """The documents ``start`` to ``stop``; the first ``documents`` of them are not held out."""

    source: str
    number: int
    start: int
    documents: int
    stop: int
    signatures: Path

    @property
    def rows(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Corpus:
    """ids, rank: int64 [documents]. The ``heldout`` best ranks are those held out."""

    shards: list[Shard]
    ids: NDArray[np.int64]
    rank: NDArray[np.int64]
    heldout: int

    @classmethod
    def load(
        cls,
        signatures: Mapping[Key, Artifact],
        preference: Sequence[str],
        numbers: Mapping[str, int],
    ) -> "Corpus":
        """Read the ids of all shards; ``numbers`` says how many each source has."""
        shards: list[Shard] = []
        for source in preference:
            for number in range(numbers[source]):
                artifact = signatures[source, number]
                start, documents = shards[-1].stop if shards else 0, artifact.counts["documents"]
                file = artifact.member("signatures.parquet")
                stop = start + pq.read_metadata(file).num_rows
                shards.append(Shard(source, number, start, documents, stop, file))
        total = shards[-1].stop if shards else 0
        ids, is_heldout = np.empty(total, np.int64), np.ones(total, np.bool_)
        for shard in shards:
            ids[shard.start : shard.stop] = tables.read(shard.signatures, ["id"])["id"].to_numpy()
            is_heldout[shard.start : shard.start + shard.documents] = False
        bounds = [
            (mine[0].start, mine[-1].stop)
            for source in preference
            if (mine := [shard for shard in shards if shard.source == source])
        ]
        return cls(shards, ids, _ranks(ids, is_heldout, bounds), int(is_heldout.sum()))

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, source: str) -> list[Shard]:
        return [shard for shard in self.shards if shard.source == source]


class Gatherer:
    """Rows of the arrays that are kept beside the shards' documents, by the documents' numbers."""

    def __init__(self, shards: Sequence[Shard], arrays: Sequence[NDArray]) -> None:
        self._starts = np.array([shard.start for shard in shards], np.int64)
        self._arrays = arrays

    def __call__(self, documents: NDArray[np.int64]) -> NDArray:
        """Return the rows of some documents, whose numbers ascend."""
        template = self._arrays[0]
        rows = np.empty((len(documents), template.shape[1]), template.dtype)
        of = np.searchsorted(self._starts, documents, side="right") - 1
        bounds = np.flatnonzero(np.diff(of, prepend=-1, append=len(self._starts)))
        for first, last in itertools.pairwise(bounds):
            shard = of[first]
            rows[first:last] = self._arrays[shard][documents[first:last] - self._starts[shard]]
        return rows

    def in_any_order(self, documents: NDArray[np.int64]) -> NDArray:
        """Return the rows of some documents, read in the order of their numbers."""
        order = np.argsort(documents, kind="stable")
        rows = self(documents[order])
        result = np.empty_like(rows)
        result[order] = rows
        return result


def _ranks(
    ids: NDArray[np.int64], is_heldout: NDArray[np.bool_], sources: Sequence[tuple[int, int]]
) -> NDArray[np.int64]:
    """Return each document's place in the preference. Copies of one id stay by number."""
    rank = np.empty(len(ids), np.int64)
    next_rank = 0
    for chosen in (True, False):
        for start, stop in sources:
            mine = start + np.flatnonzero(is_heldout[start:stop] == chosen)
            ordered = mine[np.argsort(ids[mine], kind="stable")]
            rank[ordered] = np.arange(next_rank, next_rank + len(ordered))
            next_rank += len(ordered)
    return rank
