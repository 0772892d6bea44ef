"""A source as an endless stream of tokens: its documents shuffled, epoch after epoch.

A phase reads the stream from where its parent left it. The shuffle of an epoch is a sort by keyed
hash of the documents' ids: it depends on neither the number of shards nor their order. A document
that selection repeats has as many places in each epoch, shuffled apart; its tokens are stored once.

Branches that begin an epoch with different seeds read it in different shuffles. What goes on from a
merge of them leaves out what any of them has read: the beginnings of all their shuffles.
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


class Place(Model):
    """A place in an epoch's shuffle, all before which has been read."""

    index: Count = 0  # of the document in the shuffle
    offset: Count = 0  # of the token in the document
    seed: int = 0  # the one the epoch was shuffled with


class Cursor(Place):
    """Where a stream was left: the epoch, and the place to go on from in it.

    A child whose seed is another reads what comes next in the epoch's shuffle, in its own order.
    """

    epoch: Count = 0
    others: tuple[Place, ...] = ()  # to which merged branches have read other shuffles of the epoch
    epoch_tokens: Count  # the source's size, by which a changed source is noticed

    @property
    def places(self) -> tuple[Place, ...]:
        """Those that reading has reached in the epoch's shuffles."""
        begun = self.index > 0 or self.offset > 0
        own = Place(index=self.index, offset=self.offset, seed=self.seed)
        return (own, *self.others) if begun else self.others


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


def joined(cursors: Sequence[Cursor]) -> Cursor:
    """Return the cursor behind all that was read before any of ``cursors``, of one source.

    Where branches are in different epochs, the last of them has read all of those before.
    """
    epoch = max(cursor.epoch for cursor in cursors)
    reached: dict[int, Place] = {}
    for place in (place for cursor in cursors if cursor.epoch == epoch for place in cursor.places):
        before = reached.get(place.seed, place)
        reached[place.seed] = max(before, place, key=lambda one: (one.index, one.offset))
    first, *others = [reached[seed] for seed in sorted(reached)] or [Place()]
    return Cursor(
        **first.model_dump(),
        epoch=epoch,
        others=tuple(others),
        epoch_tokens=cursors[0].epoch_tokens,
    )


def take(documents: Documents, cursor: Cursor, wanted: int, seed: int) -> tuple[Pieces, Cursor]:
    """Read exactly ``wanted`` tokens from ``cursor`` on; return them and where they end.

    An epoch that begins here is shuffled with ``seed``; of one that goes on, the documents that are
    read are in its order all the same, but for the first and the last. Unless branches were merged,
    only these may be parts of documents. The source must have tokens unless none are wanted.
    """
    parts = [Pieces(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64))]
    while wanted:
        if not cursor.places:
            cursor = cursor.model_copy(update={"seed": seed})
        part, cursor = _take_within_epoch(documents, cursor, wanted, seed)
        parts.append(part)
        wanted -= int(part.length.sum())
    return Pieces.concatenate(parts), cursor


def tokens_read(documents: Documents, cursor: Cursor) -> int:
    """Return how many tokens were read before ``cursor``, each once for every epoch."""
    within = _read(documents, cursor.places, cursor.epoch).sum()
    return cursor.epoch * documents.tokens + int(within)


def _read(documents: Documents, places: Sequence[Place], epoch: int) -> NDArray[np.int64]:
    """Return how many tokens of each document lie before any of an epoch's places: (documents,)."""
    read = np.zeros_like(documents.length)
    for place in places:
        order = _shuffle(documents, place.seed, epoch)
        whole, within = order[: place.index], order[place.index : place.index + 1]
        read[whole] = documents.length[whole]
        read[within] = np.maximum(read[within], place.offset)
    return read


def _shuffle(documents: Documents, seed: int, epoch: int) -> NDArray[np.intp]:
    """Return the permutation of the documents in an epoch: (documents,)."""
    return np.argsort(_hashes(documents, seed, epoch), kind="stable")


def _hashes(documents: Documents, seed: int, epoch: int) -> NDArray[np.uint64]:
    """Return what an epoch is sorted by: (documents,)."""
    key = f"{seed}/{documents.source}/{epoch}"
    hashes = keyed_hash(documents.ids, key)
    for copy in range(1, int(documents.copy.max(initial=0)) + 1):
        places = np.flatnonzero(documents.copy == copy)
        hashes[places] = keyed_hash(documents.ids[places], f"{key}/{copy}")
    return hashes


def _take_within_epoch(
    documents: Documents, cursor: Cursor, wanted: int, seed: int
) -> tuple[Pieces, Cursor]:
    rest = _shuffle(documents, cursor.seed, cursor.epoch)[cursor.index :]
    read = _read(documents, cursor.others, cursor.epoch)[rest]
    read[0] = max(read[0], cursor.offset)
    start, length = documents.start[rest] + read, documents.length[rest] - read
    ends = np.cumsum(length)
    if wanted >= ends[-1]:
        after = {"epoch": cursor.epoch + 1, "index": 0, "offset": 0, "others": ()}
    else:
        last = int(np.searchsorted(ends, wanted, side="right"))  # the document to stop at or before
        length[last] -= int(ends[last]) - wanted
        length[last + 1 :] = 0
        after = {"index": cursor.index + last, "offset": int(read[last] + length[last])}
    some = np.flatnonzero(length)
    if seed != cursor.seed:
        inner = some[1:-1]
        hashes = _hashes(documents, seed, cursor.epoch)[rest[inner]]
        some[1:-1] = inner[np.argsort(hashes, kind="stable")]
    pieces = Pieces(documents.shard[rest], start, length)[some]
    return pieces, cursor.model_copy(update=after)
