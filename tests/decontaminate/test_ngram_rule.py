"""N-gram rules against plain Python over tuples of words, in any script."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.config.decontaminate import PUBLISHED, NgramRule
from scripts.common.texts import Texts
from scripts.decontaminate import ngrams
from scripts.decontaminate.grams import gram_table
from scripts.decontaminate.hashed_words import hash_words
from scripts.decontaminate.item import Item
from scripts.decontaminate.items import Items
from scripts.decontaminate.ngram_rule import GramIndex, NgramMatcher
from scripts.decontaminate.ngrams import Ngrams
from scripts.decontaminate.spans import Spans
from tests.decontaminate import reference

PIECES = ["a", "B", "b!", "é", "É", "-", "中文", "İ", "i̇", "ΟΔΟΣ", "οδος", "οδοσ", "x_1", "٣", "\n"]
TEXT = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=30).map(" ".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.text(st.sampled_from("a\u03a3\u03c3\u03c2\u0130 中!"), max_size=40),
)


def opened(rule: NgramRule, items: dict[str, str], templates: int = 10) -> NgramMatcher:
    known = Items.of([Item("task", name, text) for name, text in items.items()])
    grams, _ = gram_table(known.words, known.benchmarks, [rule.words], templates)
    return NgramMatcher(rule, GramIndex(known, grams))


def matched(matcher: NgramMatcher, texts: list[str], least: float) -> list[dict]:
    """Return score and number of n-grams by item, for each text."""
    found = matcher.match(hash_words(Texts.of_strings(texts)), matcher.least(least))
    names = matcher._items.table.column("item").to_pylist()
    result: list[dict] = [{} for _ in texts]
    rows = (found.document, found.item, found.score, found.ngrams)
    for document, item, score, number in zip(*(row.tolist() for row in rows), strict=True):
        result[document][names[item]] = score, number
    return result


@given(
    st.lists(TEXT, max_size=4),
    st.lists(TEXT, min_size=1, max_size=4),
    st.integers(5, 9),
    st.sampled_from(["ngrams", "words"]),
    st.integers(1, 4),
)
def test_scores_are_those_of_plain_python(
    texts: list[str], items: list[str], n: int, share: str, templates: int
) -> None:
    named = {f"item{number}": text for number, text in enumerate(items)}
    texts = [*texts, " ".join(items), " / ".join(reversed(items))]
    rule = NgramRule(kind="ngram", words=n, share=share)
    found = matched(opened(rule, named, templates), texts, np.nextafter(0, 1))
    expected = [reference.shares(text, named, n, share, templates) for text in texts]
    assert [{item: number for item, (_, number) in one.items()} for one in found] == [
        {item: number for item, (_, number) in one.items()} for one in expected
    ]
    for one, other in zip(found, expected, strict=True):
        assert {item: score for item, (score, _) in one.items()} == pytest.approx(
            {item: score for item, (score, _) in other.items()}
        )


@given(st.lists(st.integers(0, 3), max_size=60), st.lists(st.integers(0, 3), max_size=60))
def test_runs_at_all_lengths_are_found_in_one_pass(one: list[int], other: list[int]) -> None:
    """Few words, so that they repeat: the same flags as sets of tuples give."""
    item, text = (" ".join("abcd"[word] for word in words) for words in (one, other))
    for name in ("gpt3", "llama3", "palm"):
        rule = PUBLISHED[name]
        found = matched(opened(rule, {"item": item}), [text], np.nextafter(0, 1))[0]
        expected = reference.shares(text, {"item": item}, rule.words, rule.share, 10)
        assert found == {key: pytest.approx(value) for key, value in expected.items()}


WORDS = [f"w{number}" for number in range(30)]


@pytest.mark.parametrize(
    ("name", "held", "is_found"),
    [
        ("gpt3", WORDS[4:17], True),
        ("gpt3", WORDS[4:16], False),
        ("llama3", WORDS[:15], True),  # half of the item's 30 words
        ("llama3", WORDS[:14], False),
        ("palm", WORDS[:24], True),  # 17 of 23 n-grams: 74 %
        ("palm", WORDS[:23], False),  # 16: 69.6 %
    ],
)
def test_published_rules(name: str, held: list[str], is_found: bool) -> None:
    matcher = opened(PUBLISHED[name], {"item": " ".join(WORDS)})
    text = f"before {' '.join(held)} behind"
    found = matcher.match(hash_words(Texts.of_strings([text])), matcher.least())
    assert (found.item.tolist() == [matcher._items.table["item"].to_pylist().index("item")]) == (
        is_found
    )
    if is_found:
        assert found.end[0] - found.begin[0] == len(held)


def test_thresholds_of_single_benchmarks() -> None:
    text = " ".join(WORDS[:15])
    rule = PUBLISHED["llama3"]
    for thresholds, number in (({}, 1), ({"task": 0.6}, 0), ({"other": 0.6}, 1)):
        matcher = opened(rule.model_copy(update={"thresholds": thresholds}), {"i": " ".join(WORDS)})
        found = matcher.match(hash_words(Texts.of_strings([text])), matcher.least())
        assert len(found.item) == number


def test_templates_are_no_evidence() -> None:
    template = "read the following text and answer the question that is asked at its very end"
    items = {f"i{n}": f"{template}: {' '.join(f'v{n}x{k}' for k in range(15))}" for n in range(3)}
    rule = PUBLISHED["gpt3"]
    words = hash_words(Texts.of_strings([template.upper(), items["i1"]]))
    for templates, documents in ((3, [0, 0, 0, 1, 1, 1]), (2, [1])):
        matcher = opened(rule, items, templates)
        found = matcher.match(words, matcher.least())
        assert found.document.tolist() == documents


@given(TEXT, st.integers(0, 20), st.integers(1, 20))
def test_spans_are_the_characters_of_the_words(text: str, begin: int, count: int) -> None:
    texts = Texts.of_strings(["A İ b", text])
    words = hash_words(texts)
    first, last = words.first[1] + begin, words.first[1] + begin + count
    if last <= words.first[2]:
        start, end, excerpt = Spans(texts, words).characters(1, first, last)
        assert text[start:end] == excerpt
        expected = reference.words_of(text)[begin : begin + count]
        if "İ" not in text and "Σ" not in text:  # lower case of a part depends on what is around
            assert reference.words_of(excerpt) == expected


def test_two_ngrams_of_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the hash table is compared word by word."""
    monkeypatch.setattr(ngrams, "_run_hashes", lambda hashes, begin, lengths: begin * 0 + 0)
    with pytest.raises(Exception, match="one hash"):
        opened(PUBLISHED["gpt3"], {"item": " ".join(WORDS)})


def found_runs(items: list[str], text: str, alike: dict[str, str]) -> list[tuple[int, int]]:
    """Return item and place of the 5-grams found if some words had the hashes of others."""
    owned, words = (hash_words(Texts.of_strings(texts)) for texts in (items, [text]))
    for one, other in alike.items():
        number = {word: hash_words(Texts.of_strings([word])).hashes[0] for word in (one, other)}
        for batch in (owned, words):
            batch.hashes[batch.hashes == number[one]] = number[other]
    begin = [
        owned.first[item] + place
        for item in range(len(items))
        for place in range(owned.counts[item] - 4)
    ]
    found = Ngrams(owned, np.array(begin), np.full(len(begin), 5)).find(words)
    return list(zip(found.gram.tolist(), found.word.tolist(), strict=True))


def test_a_run_of_equal_hash_is_not_taken_for_an_ngram() -> None:
    assert found_runs(["a b c d e f"], "a b c d e f", {}) == [(0, 0), (1, 1)]
    # The second run differs from the item's in the word that is new, or in the one before all.
    assert found_runs(["a b c d e f"], "a b c d e z", {"z": "f"}) == [(0, 0)]
    assert found_runs(["a b c d e f"], "z b c d e f", {"z": "a"}) == [(1, 1)]
    assert found_runs(["a b c d e", "x c d e f"], "a b c d e f", {"x": "b"}) == [(0, 0)]
