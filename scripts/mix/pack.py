"""Interleave the sources' streams and cut the result into rows of the context's length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.mix.stream import Pieces

_BLOCK_TOKENS = 1 << 24  # what is cut at a time: bounds memory, and sizes the file's row groups


@dataclass(frozen=True)
class Segments:
    """Stretches of documents that fill rows, sorted by row and place: arrays of (segments,)."""

    row: NDArray[np.int64]
    source: NDArray[np.int32]  # index among the sources
    shard: NDArray[np.int32]
    start: NDArray[np.int64]  # in tokens of the shard
    length: NDArray[np.int32]


def interleave(streams: Sequence[Pieces]) -> tuple[NDArray[np.int32], Pieces]:
    """Merge streams so that each advances in step with all the others, whatever their lengths.

    A piece's place is its middle, as a fraction of its stream: next comes the source that is
    furthest behind its share of the whole, with each within half a piece of it at all times.
    Returns the index of the stream of each piece, (pieces,), and the pieces, each stream in order.
    """
    place = np.concatenate([_middles(stream.length) for stream in streams])
    index = np.repeat(
        np.arange(len(streams), dtype=np.int32), [len(stream.length) for stream in streams]
    )
    order = np.argsort(place, kind="stable")  # of equal places, the first stream's comes first
    return index[order], Pieces.concatenate(streams)[order]


def _middles(length: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the middle of each piece as a fraction of the whole: (pieces,)."""
    ends = np.cumsum(length)
    return (2 * ends - length) / (2 * ends[-1:])


def cut(
    source: NDArray[np.int32], pieces: Pieces, rows: Sequence[tuple[int, int]]
) -> Iterator[Segments]:
    """Cut pieces at the ends of ``rows``, (how many, of what context) in order, a block at a time.

    The rest of a cut piece opens the next row. The rows' tokens must be those of the pieces.
    """
    ends = np.cumsum(pieces.length)
    low = row = 0
    for count, context in rows:
        last_row = row + count
        while row < last_row:
            block = min(max(1, _BLOCK_TOKENS // context), last_row - row)
            high = low + block * context
            first, last = np.searchsorted(ends, [low, high - 1], side="right")
            within = slice(int(first), int(last) + 1)
            yield _cut_block(
                source[within], pieces.shard[within], pieces.start[within], pieces.length[within],
                ends[within], low, high, context, row,
            )  # fmt: skip
            low, row = high, row + block


def _cut_block(
    source: NDArray[np.int32],
    shard: NDArray[np.int32],
    start: NDArray[np.int64],
    length: NDArray[np.int64],
    ends: NDArray[np.int64],
    low: int,
    high: int,
    context: int,
    first_row: int,
) -> Segments:
    """Cut the pieces that overlap tokens ``low`` to ``high`` of the phase, both at a row's end.

    ``first_row`` is the number of the row that begins at ``low``.
    """
    begins = ends - length
    row_ends = np.arange(low, high, context, dtype=np.int64)
    segment_begins = np.union1d(row_ends, np.maximum(begins, low))
    segment_ends = np.append(segment_begins[1:], high)
    piece = np.searchsorted(ends, segment_begins, side="right")
    return Segments(
        row=first_row + (segment_begins - low) // context,
        source=source[piece],
        shard=shard[piece],
        start=start[piece] + segment_begins - begins[piece],
        length=(segment_ends - segment_begins).astype(np.int32),
    )
