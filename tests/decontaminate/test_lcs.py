"""The longest common subsequence and the hybrid rule."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.config.decontaminate import HybridRule
from scripts.common.texts import Texts
from scripts.decontaminate.copies import KINDS
from scripts.decontaminate.hashed_words import hash_words
from scripts.decontaminate.hybrid_rule import HybridMatcher
from scripts.decontaminate.item import Item
from scripts.decontaminate.items import Items
from scripts.decontaminate.lcs import Aligner, lcs_length
from tests.decontaminate import reference
from tests.decontaminate.conftest import ENGLISH

SEQUENCE = st.lists(st.integers(0, 5), max_size=150)


@given(SEQUENCE, SEQUENCE)
def test_length_is_that_of_the_table_of_prefixes(one: list[int], other: list[int]) -> None:
    hashes = [np.array(words, np.uint64) * np.uint64(64) for words in (one, other)]
    assert lcs_length(*hashes) == reference.lcs(one, other)


@given(st.integers(129, 400), st.integers(1, 20), st.integers(0, 999))
def test_carries_pass_from_block_to_block(length: int, matches: int, seed: int) -> None:
    """Few of many words match, so that blocks of 64 without any lie between those that do."""
    draw = np.random.default_rng(seed)
    item = np.arange(length, dtype=np.uint64)
    text = draw.integers(0, length, matches).astype(np.uint64)
    assert lcs_length(item, text) == reference.lcs(item.tolist(), text.tolist())


WORD = st.sampled_from("abcdefgh")


@given(
    st.lists(st.lists(WORD, min_size=5, max_size=40), min_size=1, max_size=3),
    st.lists(WORD, max_size=120),
    st.integers(1, 4),
)
def test_alignments_are_those_of_plain_python(
    items: list[list[str]], text: list[str], shared: int
) -> None:
    text = [*text, *items[0][1:], *text]
    own = hash_words(Texts.of_strings([" ".join(item) for item in items]))
    aligner = Aligner(own, np.arange(len(items)), shared)
    words = hash_words(Texts.of_strings(["", "x y z", " ".join(text)]))
    found, documents, pairs = aligner.align(words, np.zeros(len(items), np.int64))
    expected = {
        number: common
        for number, item in enumerate(items)
        if (common := reference.alignment(item, text, shared)) is not None
    }
    assert dict(zip(found.item.tolist(), found.common.tolist(), strict=True)) == expected
    assert set(found.document.tolist()) <= {2}
    assert (documents, pairs) == (int(bool(expected)), len(expected))


def opened(items: list[str], **rule) -> HybridMatcher:
    known = Items.of([Item("task", f"i{number}", text) for number, text in enumerate(items)])
    return HybridMatcher(HybridRule(kind="hybrid", **rule), known)


def matches(matcher: HybridMatcher, text: str) -> list[tuple[str, float]]:
    found = matcher.match(hash_words(Texts.of_strings([text])), matcher.least())
    names = matcher._items.table.column("item").to_pylist()
    return [
        (names[item], score)
        for item, score in zip(found.item.tolist(), found.score.tolist(), strict=True)
    ]


def test_scores_are_the_share_of_words_in_order() -> None:
    """Texts as long as an item are compared whole, so that the table of prefixes is the judge."""
    draw = random.Random(0)
    for _ in range(100):
        item = [f"w{draw.randrange(60)}" for _ in range(draw.randrange(20, 90))]
        text = [word for word in item if draw.random() < 0.9]
        for _ in range(len(item) // 10):
            text.insert(draw.randrange(len(text)), f"n{draw.randrange(9)}")
        text = text[: len(item)]
        expected = reference.lcs(item, text) / len(item)
        for name, score in matches(
            opened([" ".join(item)], threshold=0.3, shared=1), " ".join(text)
        ):
            assert name == "i0"
            assert score == pytest.approx(expected)


LIGHT = [kind for kind in KINDS if not kind.startswith("digits") and "reordered" not in kind]


@pytest.mark.parametrize("kind", LIGHT)
def test_lightly_edited_copies_are_found(kind: str) -> None:
    item = " ".join(ENGLISH)
    text = f"Some words before. {KINDS[kind](item)} Some words behind that do not matter."
    found = matches(opened([item]), text)
    assert [name for name, _ in found] == ["i0"]
    assert found[0][1] >= (0.6 if kind == "reworded by rule" else 1)


def test_same_words_in_another_order_are_not_found() -> None:
    words = " ".join(ENGLISH).split()
    random.Random(1).shuffle(words)
    assert matches(opened([" ".join(ENGLISH)]), " ".join(words)) == []


def test_short_items_must_be_there_whole() -> None:
    item = ENGLISH[0]
    assert matches(opened([item]), f"x {item.upper()} y") == [("i0", 1.0)]
    assert matches(opened([item]), item.replace("lazy", "sleepy")) == []
    assert matches(opened([item], whole_below=5), item.replace("lazy", "sleepy")) != []


def test_the_place_is_that_of_the_copy() -> None:
    item = " ".join(ENGLISH)
    text = f"{'filler words ' * 200}{item}{' and more of it' * 200}"
    words = hash_words(Texts.of_strings([text]))
    matcher = opened([item])
    found = matcher.match(words, matcher.least())
    length = len(reference.words_of(item))
    assert found.begin[0] <= 400 <= 400 + length <= found.end[0]
    assert found.end[0] - found.begin[0] <= 1.6 * length


def test_a_copy_is_aligned_whatever_stands_before_it() -> None:
    """Else the embedding of a copy's place would not be that of the item."""
    item = [f"w{number}" for number in range(40)]
    stray = [*item[20:23], "x", *item[5:9], "y"]
    text = [*stray, *item, *reversed(stray), *item[30:34]]
    own = hash_words(Texts.of_strings([" ".join(item)]))
    words = hash_words(Texts.of_strings([" ".join(text)]))
    aligner = Aligner(own, np.array([0]), 1)
    found, _, _ = aligner.align(words, np.array([40]))
    assert found.place_begin.tolist() == [len(stray)]
    assert found.place_end.tolist() == [len(stray) + len(item)]


def test_a_place_is_as_long_as_the_copy_has_become() -> None:
    item = [f"w{number}" for number in range(40)]
    text = ["before", "it", *item[:20], "a", "few", "words", "come", "between", *item[20:], "after"]
    own = hash_words(Texts.of_strings([" ".join(item)]))
    found, _, _ = Aligner(own, np.array([0]), 1).align(
        hash_words(Texts.of_strings([" ".join(text)])), np.array([40])
    )
    assert text[found.place_begin[0] : found.place_end[0]] == text[2:-1]
