"""Words and n-grams against ``re`` and the ``xxhash`` package."""

import re
import sys

import numpy as np
import pytest
import xxhash
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scripts.common.words import ngrams, split_words
from scripts.common.xxh64 import xxh64_slices

TEXTS = st.lists(
    st.one_of(st.text(max_size=40), st.text("aBc dß_.Σ é漢字٣\U0001d7d8", max_size=60)), max_size=6
)


def reference_words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def words_of(texts: list[str]) -> list[list[str]]:
    words = split_words(texts)
    each = [
        words.text[start : end - 1].tobytes().decode()
        for start, end in zip(words.starts[:-1], words.starts[1:], strict=True)
    ]
    return [each[a:b] for a, b in zip(words.first[:-1], words.first[1:], strict=True)]


@settings(deadline=None)
@given(TEXTS)
@example([])
@example(["", "\0", " ", "a", "ΑΣ", "Σ", "İ", "a\n", "_"])
def test_words_are_those_of_re(texts: list[str]) -> None:
    assert words_of(texts) == [reference_words(text) for text in texts]


def test_every_character_is_classed_as_re_does() -> None:
    surrogates = range(0xD800, 0xE000)
    texts = [f"{chr(code)}x" for code in range(sys.maxunicode + 1) if code not in surrogates]
    assert words_of(texts) == [reference_words(text) for text in texts]


def test_lone_surrogate_separates_words() -> None:
    assert words_of(["one\ud800two"]) == [["one", "two"]]


@settings(deadline=None)
@given(TEXTS, st.integers(1, 4), st.booleans())
def test_ngrams_are_hashes_of_joined_words(texts: list[str], n: int, short_whole: bool) -> None:
    grams = ngrams(split_words(texts), n, short_whole=short_whole)
    assert len(grams.offsets) == len(texts) + 1
    for document, text in enumerate(texts):
        words = reference_words(text)
        expected = [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]
        if short_whole and 0 < len(words) < n:
            expected = [" ".join(words)]
        hashes = grams.hashes[grams.offsets[document] : grams.offsets[document + 1]]
        assert hashes.tolist() == [xxhash.xxh64_intdigest(gram.encode()) for gram in expected]


@settings(deadline=None)
@given(st.binary(max_size=200), st.data())
def test_xxh64_equals_the_package(data: bytes, draws: st.DataObject) -> None:
    start = draws.draw(st.integers(0, len(data)))
    end = draws.draw(st.integers(start, len(data)))
    buffer = np.frombuffer(bytearray(data), np.uint8)
    (value,) = xxh64_slices(buffer, np.array([start]), np.array([end]))
    assert value == xxhash.xxh64_intdigest(data[start:end])


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (0, 5), (3, 2)])
def test_slice_outside_the_data_is_refused(start: int, end: int) -> None:
    with pytest.raises(IndexError, match="within the 4 bytes"):
        xxh64_slices(np.zeros(4, np.uint8), np.array([start]), np.array([end]))
