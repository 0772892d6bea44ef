from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scripts.mix.stream import Cursor, Documents, Pieces, joined, take, tokens_read
from tests.mix.data import documents

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=12)
READS = st.lists(st.integers(0, 40), min_size=1, max_size=6)


def spell(source: Documents, pieces: Pieces) -> list[tuple[int, int]]:
    """Every token that the pieces read, as document id and place within it."""
    read = []
    for shard, start, length in zip(pieces.shard, pieces.start, pieces.length, strict=True):
        for token in range(start, start + length):
            inside = (source.shard == shard) & (source.start <= token) & (source.copy == 0)
            inside &= token < source.start + source.length
            (document,) = np.flatnonzero(inside)
            read.append((int(source.ids[document]), int(token - source.start[document])))
    return read


@given(LENGTHS, READS, st.integers(0, 3))
def test_reads_join_into_whole_epochs(lengths: list[int], reads: list[int], seed: int) -> None:
    source = documents("web", lengths)
    cursor = Cursor(epoch_tokens=source.tokens)
    tokens: list[tuple[int, int]] = []
    for phase, wanted in enumerate(reads):
        pieces, cursor = take(source, cursor, wanted, seed + phase)  # each phase has its own seed
        assert pieces.length.sum() == wanted
        assert (pieces.length > 0).all()
        tokens += spell(source, pieces)
        assert tokens_read(source, cursor) == len(tokens)
    for low in range(0, len(tokens), source.tokens):
        epoch = tokens[low : low + source.tokens]
        assert max(Counter(epoch).values()) == 1
        assert epoch == sorted(epoch, key=lambda token: [one for one, _ in epoch].index(token[0]))


@given(LENGTHS, READS, st.integers(2, 5))
def test_the_number_of_shards_does_not_matter(
    lengths: list[int], reads: list[int], shards: int
) -> None:
    whole, sharded = documents("web", lengths), documents("web", lengths, shards)
    one = other = Cursor(epoch_tokens=whole.tokens)
    for wanted in reads:
        pieces, one = take(whole, one, wanted, 0)
        same, other = take(sharded, other, wanted, 0)
        assert spell(whole, pieces) == spell(sharded, same)
        assert one == other


def test_one_read_equals_two() -> None:
    source = documents("web", [5, 3, 8, 1, 7])
    start = Cursor(epoch_tokens=source.tokens)
    whole, end = take(source, start, 60, 0)
    first, cursor = take(source, start, 31, 0)
    second, joined = take(source, cursor, 29, 0)
    assert spell(source, whole) == spell(source, first) + spell(source, second)
    assert end == joined


def test_seeds_and_epochs_shuffle_anew() -> None:
    source = documents("web", [1] * 50)
    start = Cursor(epoch_tokens=50)

    def epochs(seed: int) -> list[list[int]]:
        order = [one for one, _ in spell(source, take(source, start, 100, seed)[0])]
        return [order[:50], order[50:]]

    orders = [*epochs(0), *epochs(1)]
    assert len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == list(range(1, 51)) for order in orders)


def test_siblings_of_other_seeds_read_the_same_documents_in_orders_of_their_own() -> None:
    """Also of an epoch that their parent has begun, and a child of both reads what is left."""
    source = documents("web", [4] * 50)
    _, cursor = take(source, Cursor(epoch_tokens=200), 58, 0)
    taken = [take(source, cursor, 100, seed) for seed in (0, 1, 2)]
    read = [spell(source, pieces) for pieces, _ in taken]
    assert len({tuple(tokens) for tokens in read}) == 3
    assert len({tuple(sorted(tokens)) for tokens in read}) == 1
    assert len({end.model_dump_json() for _, end in taken}) == 1
    assert all(tokens[:2] == read[0][:2] and tokens[-2:] == read[0][-2:] for tokens in read)
    assert joined([end for _, end in taken]) == taken[0][1]


@given(LENGTHS, READS, st.lists(READS, min_size=2, max_size=4), READS, st.integers(0, 2))
def test_behind_a_merge_nothing_is_read_again_that_any_of_its_branches_has_read(
    lengths: list[int],
    trunk: list[int],
    branches: list[list[int]],
    after: list[int],
    seeds: int,
) -> None:
    """Within the last epoch that a branch has begun; and its rest is all that is left of it."""
    source = documents("web", lengths)
    size = source.tokens
    cursor, start = Cursor(epoch_tokens=size), 0
    for wanted in trunk:
        pieces, cursor = take(source, cursor, wanted, 0)
        start += wanted
    ends, histories = [], []
    for number, reads in enumerate(branches):
        end, tokens = cursor, []
        for wanted in reads:
            pieces, end = take(source, end, wanted, number * seeds)
            tokens += spell(source, pieces)
        ends.append(end)
        histories.append(tokens)
    trunk_tokens = spell(source, take(source, Cursor(epoch_tokens=size), start, 0)[0])
    epoch = max((start + len(tokens)) // size for tokens in histories)
    seen = set().union(*((trunk_tokens + tokens)[epoch * size :] for tokens in histories))
    behind = joined(ends)
    assert behind == joined(ends[::-1]) == joined([joined(ends), *ends])
    assert tokens_read(source, behind) == epoch * size + len(seen)
    child: list[tuple[int, int]] = []
    for wanted in after:
        pieces, behind = take(source, behind, wanted, 7)
        assert pieces.length.sum() == wanted
        child += spell(source, pieces)
        assert tokens_read(source, behind) == epoch * size + len(seen) + len(child)
    rest = child[: size - len(seen)]
    assert len(set(rest)) == len(rest)
    assert not seen & set(rest)
    for low in range(len(rest), len(child), size):
        assert max(Counter(child[low : low + size]).values()) == 1


REPEATS = st.dictionaries(st.integers(1, 12), st.integers(1, 4))


@given(LENGTHS, REPEATS, READS, st.integers(1, 4))
def test_an_epoch_reads_each_document_as_often_as_selection_says(
    lengths: list[int], repeats: dict[int, int], reads: list[int], shards: int
) -> None:
    source = documents("web", lengths, shards, repeats)
    expected = Counter(
        {
            (one, token): repeats.get(one, 1)
            for one, length in enumerate(lengths, start=1)
            for token in range(length)
        }
    )
    assert source.tokens == expected.total()
    cursor = Cursor(epoch_tokens=source.tokens)
    tokens: list[tuple[int, int]] = []
    for phase, wanted in enumerate([*reads, 2 * source.tokens]):
        pieces, cursor = take(source, cursor, wanted, phase)
        assert pieces.length.sum() == wanted
        tokens += spell(source, pieces)
        assert tokens_read(source, cursor) == len(tokens)
    for low in range(0, len(tokens) - source.tokens + 1, source.tokens):
        assert Counter(tokens[low : low + source.tokens]) == expected
    whole = documents("web", lengths, 1, repeats)
    again, _ = take(whole, Cursor(epoch_tokens=whole.tokens), source.tokens, 0)
    same, _ = take(source, Cursor(epoch_tokens=source.tokens), source.tokens, 0)
    assert spell(whole, again) == spell(source, same)


def test_copies_have_places_of_their_own_in_the_shuffle() -> None:
    source = documents("web", [1] * 200, repeats=dict.fromkeys(range(1, 201), 3))
    pieces, _ = take(source, Cursor(epoch_tokens=600), 600, 0)
    order = [one for one, _ in spell(source, pieces)]
    gaps = [
        second - first
        for one in range(1, 201)
        for places in [[place for place, read in enumerate(order) if read == one]]
        for first, second in pairwise(places)
    ]
    assert np.mean(gaps) > 100  # a quarter of the epoch, were they strewn at random
    assert sum(gap == 1 for gap in gaps) < 10


def test_documents_read_once_are_shuffled_as_without_repeats() -> None:
    plain, repeated = (documents("web", [1] * 50, repeats=more) for more in ({}, {7: 5}))
    orders = [
        [one for one, _ in spell(source, take(source, Cursor(epoch_tokens=source.tokens),
                                              source.tokens, 0)[0])]
        for source in (plain, repeated)
    ]  # fmt: skip
    assert [one for one in orders[1] if one != 7] == [one for one in orders[0] if one != 7]
