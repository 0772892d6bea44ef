"""Gopher's, C4's and FineWeb's measures: equal to their definitions written out slowly."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scripts.annotate import c4, fineweb, gopher, parts
from scripts.annotate.runner import Columns, Measure
from scripts.common.texts import Texts
from tests.annotate import reference
from tests.annotate.reference import Text

# Words, marks and phrases that some measure looks at, and every kind of white space.
PIECES = (
    *("a", "b", "cc", "The", "the", "OF", "and", "have,with", "½", "12", "_", "é", "数学", "🙂"),
    *("...", "…", "....", ".", "?", "!", '"', "'", ")", "]", "#", "{", "-", "*", "•", "‣", "—"),
    *("lorem ipsum", "Lorem IPSUM", "JavaScript", "terms of use", "coo\u212aie policy", "\u212a"),
    *("Uses Cookies", "use of cookies.", "privacy  policy", "\u0130psum", "lorem \u0130psum"),
    *(
        "It ended.",
        'He said "no."',
        "One two three four five.",
        "1 2 3 4 [y.])' End.",
        "x" * 40,
        "y" * 1001,
        "\u0300",
    ),
    *(" ", "  ", "\n", "\n\n", "\n \n", "\r\n", "\t", "\x0b", "\x1c", "\x85", "\xa0", "\u1680"),
    *("\u2028", "\u2003", "\u202f", "\u205f", "\u3000", "\u200b", "\ufeff", "\0"),
)
any_text = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
    st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.lists(st.sampled_from(["a", "b", "cc", "ddd", "\n", "\n\n"]), max_size=60).map(" ".join),
)
batches = st.lists(any_text, min_size=1, max_size=5)


def row(columns: Columns, place: int) -> dict[str, float]:
    return {name: float(np.asarray(values)[place]) for name, values in columns.items()}


def check(measure: Measure, slow: str, batch: list[str]) -> None:
    measured = measure(Texts.of_strings(batch))
    for place, text in enumerate(batch):
        assert row(measured, place) == getattr(reference, slow)(Text(text)), text


@settings(max_examples=400)
@given(batches)
def test_gopher(batch: list[str]) -> None:
    check(gopher.measure, "gopher", batch)


@settings(max_examples=400)
@given(batches)
def test_c4(batch: list[str]) -> None:
    check(c4.measure, "c4", batch)


@settings(max_examples=400)
@given(batches)
def test_fineweb(batch: list[str]) -> None:
    check(fineweb.measure, "fineweb", batch)


def sliced(texts: Texts, starts: np.ndarray, ends: np.ndarray) -> list[str]:
    data = texts.data.tobytes()
    return [data[start:end].decode() for start, end in zip(starts, ends, strict=True)]


@settings(max_examples=300)
@given(batches)
@example(["", "\n", "a"])
def test_parts_are_where_python_splits(batch: list[str]) -> None:
    texts = Texts.of_strings(batch)
    words, lines = parts.split_words(texts), parts.split_lines(texts)
    paragraphs = parts.split_paragraphs(texts)
    slow = [Text(text) for text in batch]
    for found, wanted in [
        (words, [text.words for text in slow]),
        (lines, [text.lines for text in slow]),
        (paragraphs, [text.paragraphs for text in slow]),
    ]:
        flat = [part for of_text in wanted for part in of_text]
        assert sliced(texts, found.starts, found.ends) == flat
        assert found.characters.tolist() == list(map(len, flat))
        assert found.counts.tolist() == list(map(len, wanted))
    stripped = [line for text in slow for line in text.stripped_lines]
    assert sliced(texts, lines.inner_starts, lines.inner_ends) == stripped
    assert words.letters.tolist() == [
        bool(re.search(r"[^\W\d_]", word)) for text in slow for word in text.words
    ]
    assert parts.characters(texts).tolist() == list(map(len, batch))


@given(batches)
def test_first_equal_is_within_a_text(batch: list[str]) -> None:
    texts = Texts.of_strings(batch)
    words = parts.split_words(texts)
    wanted, place = [], 0
    for text in batch:
        split = text.split()
        wanted += [place + split.index(word) for word in split]
        place += len(split)
    assert parts.first_equal(texts, words).tolist() == wanted


def test_parts_with_equal_hashes_are_told_apart() -> None:
    """With the secret known, a second half can be found that makes up for another first half."""
    secret, multiplier, mask = 12345, 0x9E3779B97F4A7C15, 2**64 - 1

    def after(half: int) -> int:
        value = ((secret ^ 16) ^ half) * multiplier & mask
        return value ^ value >> 29

    first, second, third = (
        int.from_bytes(one.encode()) for one in ("abcdefgh", "ABCDEFGH", "1234")
    )
    pairs = [(first, third), (second, third ^ after(first) ^ after(second)), (first, third)]
    data = b"".join(half.to_bytes(8, "little") for pair in pairs for half in pair)
    starts = np.arange(3, dtype=np.int64) * 16
    buffer = np.frombuffer(data, np.uint8)
    hashes = {int(parts._hash(buffer, start, start + 16, np.uint64(secret))) for start in starts}
    assert len(hashes) == 1
    bounds = np.array([0, 3], np.int64)
    found = parts._first_equal(buffer, starts, starts + 16, bounds, np.uint64(secret))
    assert found.tolist() == [0, 1, 0]


@pytest.mark.parametrize("measure", [gopher.measure, c4.measure, fineweb.measure])
def test_a_slice_of_a_larger_buffer_is_measured_alike(measure: Measure) -> None:
    batch = ["One two.\n\nOne two.", "a b c a b c a b c\n# {", "- The end…\n" * 3]
    whole = Texts.of_strings(batch)
    part = Texts(whole.data, whole.offsets[1:3])
    measured, wanted = measure(part), measure(whole)
    for name in wanted:
        assert np.asarray(measured[name]).tolist() == [np.asarray(wanted[name]).tolist()[1]]


def test_gopher_by_hand() -> None:
    measured = row(
        gopher.measure(Texts.of_strings(["The cat, that sat...\n- 12 # 34\n\n* the END…\n"])), 0
    )
    assert measured["gopher_words"] == 11
    assert measured["gopher_mean_word_length"] == pytest.approx(31 / 11)
    assert measured["gopher_symbol_ratio"] == pytest.approx(2 / 11)
    assert measured["gopher_bullet_lines"] == pytest.approx(2 / 3)
    assert measured["gopher_ellipsis_lines"] == pytest.approx(2 / 3)
    assert measured["gopher_alphabetic_words"] == pytest.approx(6 / 11)
    assert measured["gopher_stop_words"] == 2


def test_repeated_lines_and_paragraphs_by_hand() -> None:
    measured = row(gopher.measure(Texts.of_strings(["one\ntwo\n\none\ntwo\n\nthree"])), 0)
    assert measured["gopher_duplicate_lines"] == pytest.approx(2 / 5)
    assert measured["gopher_duplicate_paragraphs"] == pytest.approx(1 / 3)
    assert measured["gopher_duplicate_line_characters"] == pytest.approx(6 / 23)
    assert measured["gopher_duplicate_paragraph_characters"] == pytest.approx(7 / 23)


def test_c4_counts_sentences_in_the_lines_that_it_keeps() -> None:
    kept = 'He said that it rained. "Did it really do so?" It did.'
    removed = [
        "This line has no end",
        "Too short a line.",
        "This line trails off at last...",
        "You must enable JavaScript to read this page.",
        "Please read the Privacy Policy of this site.",
        f"This word is much too long: {'x' * 1001}.",
    ]
    measured = row(c4.measure(Texts.of_strings(["\n".join([kept, *removed])])), 0)
    assert measured["c4_sentences"] == 3
    assert measured["c4_javascript"] == pytest.approx(1 / 7)
    assert measured["c4_policy"] == pytest.approx(1 / 7)


def test_fineweb_by_hand() -> None:
    long = "x" * 40
    assert row(fineweb.measure(Texts.of_strings([f"Ends.\n{long}\n\n{long}\n"])), 0) == {
        "fineweb_terminal_punctuation_lines": pytest.approx(1 / 3),
        "fineweb_short_lines": pytest.approx(1 / 3),
        "fineweb_duplicate_line_characters": pytest.approx(40 / 85),
        "fineweb_newline_ratio": pytest.approx(4 / 3),
    }
