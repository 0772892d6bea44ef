import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scripts.mix import pack
from scripts.mix.pack import cut, interleave
from scripts.mix.stream import Pieces

STREAMS = st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=40), min_size=1, max_size=4)


def pieces(lengths: list[int], shard: int = 0) -> Pieces:
    length = np.array(lengths, np.int64)
    return Pieces(np.full(len(length), shard, np.int32), np.cumsum(length) - length, length)


@given(STREAMS)
def test_streams_advance_in_step(lengths: list[list[int]]) -> None:
    index, merged = interleave([pieces(stream, shard) for shard, stream in enumerate(lengths)])
    assert (index == merged.shard).all()
    targets = np.array([sum(stream) for stream in lengths])
    longest = np.array([max(stream) for stream in lengths])
    read = np.zeros(len(lengths))
    for stream, length in zip(index, merged.length, strict=True):
        read[stream] += length
        progress = read.sum() / targets.sum()
        slack = longest / 2 + targets * longest.sum() / 2 / targets.sum()
        assert (np.abs(read - targets * progress) <= slack + 1e-6).all()
    for stream, expected in enumerate(lengths):
        assert merged.length[index == stream].tolist() == expected


ROWS = st.lists(st.tuples(st.integers(1, 9), st.integers(2, 12)), min_size=1, max_size=4)


@given(STREAMS, ROWS, st.integers(1, 40))
def test_cut_equals_cutting_token_by_token(
    lengths: list[list[int]], rows: list[tuple[int, int]], block: int
) -> None:
    """Rows of one context or of several; the streams are made to fill them exactly."""
    wanted = sum(count * context for count, context in rows)
    merged_index, merged = interleave([pieces(stream, s) for s, stream in enumerate(lengths)])
    merged_index, merged = first_tokens(merged_index, merged, wanted)
    assume(merged is not None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack, "_BLOCK_TOKENS", block)
        blocks = list(cut(merged_index, merged, rows))
    assert len(blocks) == sum(-(-count // max(1, block // context)) for count, context in rows)
    found = [
        tuple(map(int, segment))
        for one in blocks
        for segment in zip(one.row, one.source, one.shard, one.start, one.length, strict=True)
    ]
    assert found == list(slow_cut(merged_index, merged, rows))


def first_tokens(index: np.ndarray, merged: Pieces, wanted: int):
    """Return the pieces that hold the first ``wanted`` tokens, or None if there are fewer."""
    ends = np.cumsum(merged.length)
    if ends[-1] < wanted:
        return index, None
    count = int(np.searchsorted(ends, wanted)) + 1
    kept = merged[np.arange(count)]
    kept.length[-1] -= ends[count - 1] - wanted
    return index[:count], kept


def slow_cut(index: np.ndarray, merged: Pieces, rows: list[tuple[int, int]]):
    contexts = [context for count, context in rows for _ in range(count)]
    row, room = 0, contexts[0]
    for source, shard, start, length in zip(
        index.tolist(), merged.shard.tolist(), merged.start.tolist(), merged.length.tolist(),
        strict=True,
    ):  # fmt: skip
        while length:
            taken = min(length, room)
            yield row, source, shard, start, taken
            start, length, room = start + taken, length - taken, room - taken
            if room == 0:
                row += 1
                room = contexts[row] if row < len(contexts) else 0
