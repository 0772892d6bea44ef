import numpy as np
import pytest
from hypothesis import given
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


@given(STREAMS, st.integers(2, 12), st.integers(1, 40))
def test_cut_equals_cutting_token_by_token(
    lengths: list[list[int]], context: int, block: int
) -> None:
    merged_index, merged = interleave([pieces(stream, s) for s, stream in enumerate(lengths)])
    spare = int(merged.length.sum()) % context
    if int(merged.length[-1]) <= spare or merged.length.sum() < context:
        return
    merged.length[-1] -= spare
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack, "_BLOCK_TOKENS", block)
        blocks = list(cut(merged_index, merged, context))
    assert len(blocks) == -(-int(merged.length.sum()) // (max(1, block // context) * context))
    found = [
        tuple(map(int, segment))
        for one in blocks
        for segment in zip(one.row, one.source, one.shard, one.start, one.length, strict=True)
    ]
    assert found == list(slow_cut(merged_index, merged, context))


def slow_cut(index: np.ndarray, merged: Pieces, context: int):
    row, room = 0, context
    for source, shard, start, length in zip(
        index.tolist(), merged.shard.tolist(), merged.start.tolist(), merged.length.tolist(),
        strict=True,
    ):  # fmt: skip
        while length:
            taken = min(length, room)
            yield row, source, shard, start, taken
            start, length, room = start + taken, length - taken, room - taken
            if room == 0:
                row, room = row + 1, context
