"""Gopher's measures of quality and of repetition (Rae et al., 2021, appendix A1.1, table A1)."""

import string

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scripts.annotate import ngrams, runner
from scripts.annotate.parts import (
    Lines,
    Words,
    characters,
    first_equal,
    fractions,
    repeats,
    split_lines,
    split_paragraphs,
    split_words,
)
from scripts.annotate.runner import Columns
from scripts.common.texts import Texts

TOP_NGRAMS = (2, 3, 4)
DUPLICATE_NGRAMS = (5, 6, 7, 8, 9, 10)
_STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")


def measure(texts: Texts) -> Columns:
    """Return Gopher's measures.

    ``gopher_words`` and ``gopher_stop_words`` are counts (of the distinct stop words),
    ``gopher_mean_word_length`` is in characters, all others are fractions: of words, of lines, of
    paragraphs or, where their names say so and for n-grams, of characters.
    """
    words, lines, size = split_words(texts), split_lines(texts), characters(texts)
    return {
        **_quality(texts, words, lines),
        **_repeated_parts(texts, lines, size),
        **_repeated_ngrams(texts, words, size),
    }


def _quality(texts: Texts, words: Words, lines: Lines) -> Columns:
    hashes, ellipses = _symbols(texts.data, texts.offsets)
    bullets, trailing = _marked_lines(texts.data, lines.inner_starts, lines.inner_ends)
    stop_words = _stop_words(
        texts.data, words.starts, words.ends, words.first, _PUNCTUATION, _PACKED_STOP_WORDS
    )
    return {
        "gopher_words": words.counts,
        "gopher_mean_word_length": fractions(words.sums(words.characters), words.counts),
        "gopher_symbol_ratio": fractions(np.maximum(hashes, ellipses), words.counts),
        "gopher_bullet_lines": fractions(lines.sums(bullets), lines.counts),
        "gopher_ellipsis_lines": fractions(lines.sums(trailing), lines.counts),
        "gopher_alphabetic_words": fractions(words.sums(words.letters), words.counts),
        "gopher_stop_words": stop_words,
    }


def _repeated_parts(texts: Texts, lines: Lines, size: NDArray[np.int64]) -> Columns:
    paragraphs = split_paragraphs(texts)
    repeated_lines, line_characters = repeats(texts, lines)
    repeated_paragraphs, paragraph_characters = repeats(texts, paragraphs)
    return {
        "gopher_duplicate_lines": fractions(repeated_lines, lines.counts),
        "gopher_duplicate_paragraphs": fractions(repeated_paragraphs, paragraphs.counts),
        "gopher_duplicate_line_characters": fractions(line_characters, size),
        "gopher_duplicate_paragraph_characters": fractions(paragraph_characters, size),
    }


def _repeated_ngrams(texts: Texts, words: Words, size: NDArray[np.int64]) -> Columns:
    """Occurrences of the most frequent n-gram may overlap, so that their share ends at 1."""
    top, duplicate = ngrams.repetition(words, first_equal(texts, words), max(DUPLICATE_NGRAMS))
    return {
        **{f"gopher_top_{n}gram": np.minimum(fractions(top[n - 1], size), 1) for n in TOP_NGRAMS},
        **{
            f"gopher_duplicate_{n}gram": fractions(duplicate[n - 1], size) for n in DUPLICATE_NGRAMS
        },
    }


# Stop words have at most four letters: lower-cased they are told by four bytes as one number.
_PACKED_STOP_WORDS = np.array([int.from_bytes(word.encode()) for word in _STOP_WORDS], np.int64)
_PUNCTUATION = np.isin(np.arange(256), list(string.punctuation.encode()))


@njit(
    "int64[::1](Array(uint8, 1, 'C', readonly=True), int64[::1], int64[::1], int64[::1],"
    " boolean[::1], int64[::1])",
    cache=True,
    nogil=True,
)
def _stop_words(data, starts, ends, first, punctuation, stop_words):  # type: ignore[no-untyped-def]
    """Count each text's distinct stop words, which punctuation separates as white space does."""
    result = np.empty(len(first) - 1, np.int64)
    for text in range(len(result)):
        met = 0
        for word in range(first[text], first[text + 1]):
            packed = length = 0
            for at in range(starts[word], ends[word] + 1):
                byte = np.int64(0)
                if at < ends[word] and not punctuation[data[at]]:
                    byte = np.int64(data[at])
                if byte:
                    packed = packed << 8 | (byte + 32 if 65 <= byte <= 90 else byte)
                    length += 1
                    packed &= 0xFFFFFFFF
                    continue
                if length <= 4:
                    for index in range(len(stop_words)):
                        if packed == stop_words[index]:
                            met |= 1 << index
                packed = length = 0
        count = 0
        while met:
            met &= met - 1
            count += 1
        result[text] = count
    return result


@njit(
    "UniTuple(int64[::1], 2)(Array(uint8, 1, 'C', readonly=True),"
    " Array(int64, 1, 'C', readonly=True))",
    cache=True,
    nogil=True,
)
def _symbols(data, offsets):  # type: ignore[no-untyped-def]
    """Count the hash signs and the ellipses, of one character or of three dots, of each text."""
    hashes, ellipses = np.zeros(len(offsets) - 1, np.int64), np.zeros(len(offsets) - 1, np.int64)
    for text in range(len(hashes)):
        dots = 0
        for at in range(offsets[text], offsets[text + 1]):
            byte = data[at]
            if byte == 46:
                dots += 1
                if dots == 3:
                    ellipses[text] += 1
                    dots = 0
                continue
            dots = 0
            hashes[text] += byte == 35
            if byte == 0xA6 and at >= 2 and data[at - 1] == 0x80 and data[at - 2] == 0xE2:
                ellipses[text] += 1
    return hashes, ellipses


@njit(
    "UniTuple(boolean[::1], 2)(Array(uint8, 1, 'C', readonly=True), int64[::1], int64[::1])",
    cache=True,
    nogil=True,
)
def _marked_lines(data, starts, ends):  # type: ignore[no-untyped-def]
    """Tell which lines begin with a bullet, one of ``*-•‣``, and which end with an ellipsis."""
    bullets, trailing = np.zeros(len(starts), np.bool_), np.zeros(len(starts), np.bool_)
    for line in range(len(starts)):
        start, end = starts[line], ends[line]
        bullets[line] = data[start] == 42 or data[start] == 45
        if end - start < 3:
            continue
        if data[start] == 0xE2 and data[start + 1] == 0x80:
            bullets[line] = data[start + 2] == 0xA2 or data[start + 2] == 0xA3
        one, two, three = data[end - 3], data[end - 2], data[end - 1]
        trailing[line] = (one == 46 and two == 46 and three == 46) or (
            one == 0xE2 and two == 0x80 and three == 0xA6
        )
    return bullets, trailing


if __name__ == "__main__":
    runner.main("gopher", measure, __doc__)
