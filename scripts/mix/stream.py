"""A source as an endless stream of tokens: its documents shuffled, epoch after epoch.

A phase reads the stream from where its parent left it. The shuffle of an epoch is a sort by keyed
hash of the documents' ids: it depends on neither the number of shards nor their order. A document
that selection repeats has as many places in each epoch, shuffled apart; its tokens are stored once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from scripts.common.config.base import Model
from scripts.common.keyed_hash import keyed_hash
from scripts.common.token_store import TokenStore

Count = Annotated[int, Field(ge=0)]


class Cursor(Model):
    """Where a stream was left: epoch, document in the epoch's shuffle, token in the document."""

    epoch: Count = 0
    index: Count = 0
    offset: Count = 0
    seed: int = 0  # the one the epoch was shuffled with: a child with another finishes it as begun
    epoch_tokens: Count  # the source's size, by which a changed source is noticed

    @property
    def begun(self) -> bool:
        return self.index > 0 or self.offset > 0


@dataclass(frozen=True)
class Documents:
    """A source's documents over all its shards, in any order: arrays of (documents,).

    One that is repeated is there as often, its copies told apart by their number: the documents
    are those of a whole epoch.
    """

    source: str
    ids: NDArray[np.int64]
    copy: NDArray[np.int32]  # 0, 1, ... within the document
    shard: NDArray[np.int32]
    start: NDArray[np.int64]  # in tokens of the shard
    length: NDArray[np.int64]

    @classmethod
    def of(cls, source: str, stores: Sequence[TokenStore]) -> "Documents":
        """Collect the documents of a source's shards, which are numbered as they are listed."""
        sizes = [len(store.document_ids) for store in stores]
        repeats = np.concatenate([store.repeats for store in stores])
        first = np.cumsum(repeats) - repeats
        return cls(
            source,
            ids=np.concatenate([store.document_ids for store in stores]).repeat(repeats),
            copy=(np.arange(repeats.sum()) - first.repeat(repeats)).astype(np.int32),
            shard=np.arange(len(stores), dtype=np.int32).repeat(sizes).repeat(repeats),
            start=np.concatenate([store.offsets[:-1] for store in stores]).repeat(repeats),
            length=np.concatenate([np.diff(store.offsets) for store in stores]).repeat(repeats),
        )

    @property
    def tokens(self) -> int:
        return int(self.length.sum())


@dataclass(frozen=True)
class Pieces:
    """Stretches of documents in the order they are read: arrays of (pieces,)."""

    shard: NDArray[np.int32]
    start: NDArray[np.int64]  # in tokens of the shard
    length: NDArray[np.int64]

    @classmethod
    def concatenate(cls, parts: Sequence["Pieces"]) -> "Pieces":
        return cls(
            np.concatenate([part.shard for part in parts]),
            np.concatenate([part.start for part in parts]),
            np.concatenate([part.length for part in parts]),
        )

    def __getitem__(self, chosen: NDArray[np.intp]) -> "Pieces":
        return Pieces(self.shard[chosen], self.start[chosen], self.length[chosen])


def take(documents: Documents, cursor: Cursor, wanted: int, seed: int) -> tuple[Pieces, Cursor]:
    """Read exactly ``wanted`` tokens from ``cursor`` on; return them and where they end.

    An epoch that begins here is shuffled with ``seed``. Of the pieces only the first and the last
    may be parts of documents. The source must have tokens unless none are wanted.
    """
    parts = [Pieces(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64))]
    while wanted:
        if not cursor.begun:
            cursor = cursor.model_copy(update={"seed": seed})
        part, cursor = _take_within_epoch(documents, cursor, wanted)
        parts.append(part)
        wanted -= int(part.length.sum())
    return Pieces.concatenate(parts), cursor


def tokens_read(documents: Documents, cursor: Cursor) -> int:
    """Return how many tokens lie between the start of the stream and ``cursor``."""
    within = documents.length[_shuffle(documents, cursor)[: cursor.index]].sum()
    return cursor.epoch * documents.tokens + int(within) + cursor.offset


def _shuffle(documents: Documents, cursor: Cursor) -> NDArray[np.intp]:
    """Return the permutation of the documents in the cursor's epoch: (documents,)."""
    key = f"{cursor.seed}/{documents.source}/{cursor.epoch}"
    hashes = keyed_hash(documents.ids, key)
    for copy in range(1, int(documents.copy.max(initial=0)) + 1):
        places = np.flatnonzero(documents.copy == copy)
        hashes[places] = keyed_hash(documents.ids[places], f"{key}/{copy}")
    return np.argsort(hashes, kind="stable")


def _take_within_epoch(documents: Documents, cursor: Cursor, wanted: int) -> tuple[Pieces, Cursor]:
    rest = _shuffle(documents, cursor)[cursor.index :]
    start, length = documents.start[rest], documents.length[rest]
    start[0] += cursor.offset
    length[0] -= cursor.offset
    ends = np.cumsum(length)
    if wanted >= ends[-1]:
        after = {"epoch": cursor.epoch + 1, "index": 0, "offset": 0}
        return Pieces(documents.shard[rest], start, length), cursor.model_copy(update=after)
    last = int(np.searchsorted(ends, wanted, side="right"))  # the document to stop at, or before
    unread = int(ends[last]) - wanted
    read = int(length[last]) - unread
    offset = read + (cursor.offset if last == 0 else 0)
    length[last] = read
    count = last + (read > 0)
    pieces = Pieces(documents.shard[rest[:count]], start[:count], length[:count])
    return pieces, cursor.model_copy(update={"index": cursor.index + last, "offset": offset})
