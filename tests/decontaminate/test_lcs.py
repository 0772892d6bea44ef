"""The longest common subsequence and the hybrid rule."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.config.decontaminate import HybridRule
from scripts.common.texts import Texts
from scripts.decontaminate.benchmarks import Item
from scripts.decontaminate.copies import KINDS
from scripts.decontaminate.hashed_words import hash_words
from scripts.decontaminate.hybrid_rule import HybridMatcher
from scripts.decontaminate.items import Items
from scripts.decontaminate.lcs import lcs_length
from tests.decontaminate import reference
from tests.decontaminate.conftest import ENGLISH

SEQUENCE = st.lists(st.integers(0, 5), max_size=150)


@given(SEQUENCE, SEQUENCE)
def test_length_is_that_of_the_table_of_prefixes(one: list[int], other: list[int]) -> None:
    hashes = [np.array(words, np.uint64) * np.uint64(64) for words in (one, other)]
    assert lcs_length(*hashes) == reference.lcs(one, other)


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


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("digits")])
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
