"""The words of many documents in one buffer, and the hashes of their n-grams.

A word is what Python's ``re.findall(r"\\w+", text.lower())`` yields, in any script; compiled code
looks characters up in a table made with ``re`` and ``str.lower`` themselves.
"""

import functools
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scripts.common.texts import Texts
from scripts.common.xxh64 import xxh64_slices

# The two characters whose lower case is not one character for one: that of the sigma depends on
# the letters around it, that of the dotted I is two characters.
_SIGMA, _DOTTED_I = "\u03a3", "\u0130"


@dataclass(frozen=True)
class Words:
    """The words of a batch of documents, each followed by one space.

    text: uint8, the words' UTF-8. starts: int64 [words + 1], where each word starts, and where the
    text ends. first: int64 [documents + 1], the index of each document's first word. So the
    n-gram from word i on is ``text[starts[i] : starts[i + n] - 1]``: words joined by single spaces.
    """

    text: NDArray[np.uint8]
    starts: NDArray[np.int64]
    first: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """The number of words of each document."""
        return np.diff(self.first)


@dataclass(frozen=True)
class Grams:
    """Hashes of the n-grams of a batch: those of document d are [offsets[d], offsets[d + 1])."""

    hashes: NDArray[np.uint64]
    offsets: NDArray[np.int64]


def split_words(texts: Sequence[str] | Texts) -> Words:
    """Split documents into words, lower-cased."""
    given = lower_exceptions(texts if isinstance(texts, Texts) else Texts.of_strings(texts))
    return Words(*_split(given.data, given.offsets, word_characters()))


def ngrams(words: Words, n: int, *, short_whole: bool = False) -> Grams:
    """Hash every n-gram of every document with XXH64, in order of place.

    A document of fewer than ``n`` words has none; with ``short_whole`` it has one, its whole word
    sequence, unless it is empty.
    """
    counts = words.counts
    per_document = np.maximum(counts - n + 1, np.minimum(counts, 1) if short_whole else 0)
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(per_document, out=offsets[1:])
    skipped = words.first[:-1] - offsets[:-1]  # word index less gram index, within a document
    begin = np.arange(offsets[-1], dtype=np.int64) + np.repeat(skipped, per_document)
    end = np.minimum(begin + n, np.repeat(words.first[1:], per_document))
    hashes = xxh64_slices(words.text, words.starts[begin], words.starts[end] - 1)
    return Grams(hashes, offsets)


def lower_exceptions(texts: Texts) -> Texts:
    """Lower-case those documents that ``word_characters`` cannot, and leave the others as they are.

    They are the documents with a character that is not lowered one for one.
    """
    exceptions = np.flatnonzero(_exceptions(texts.data, texts.offsets))
    if not len(exceptions):
        return texts
    lowered = [texts.encoded(int(one)).decode().lower().encode() for one in exceptions]
    return texts.replaced(exceptions, lowered)


@functools.cache
def word_characters() -> NDArray[np.uint32]:
    """Return, for each code point, its lower case if ``\\w`` matches that, else 0.

    Exact for documents that went through ``lower_exceptions``.
    """
    codes = np.arange(sys.maxunicode + 1, dtype="<u4")
    every = codes.tobytes().decode("utf-32-le", errors="surrogatepass")
    alone = every.replace(_SIGMA, "\0").replace(_DOTTED_I, "\0")
    lower = np.frombuffer(alone.lower().encode("utf-32-le", errors="surrogatepass"), "<u4")
    is_word = np.zeros(len(codes), np.bool_)
    for match in re.finditer(r"\w+", every):
        is_word[match.start() : match.end()] = True
    return np.where(is_word[lower], lower, np.uint32(0)).astype(np.uint32)


@njit(
    "boolean[::1](Array(uint8, 1, 'C', readonly=True), Array(int64, 1, 'C', readonly=True))",
    cache=True,
    nogil=True,
)
def _exceptions(data, offsets):  # type: ignore[no-untyped-def]
    """Tell which documents have the UTF-8 of the sigma, CE A3, or of the dotted I, C4 B0."""
    result = np.empty(len(offsets) - 1, np.bool_)
    for document in range(len(result)):
        found = 0
        for at in range(offsets[document], offsets[document + 1] - 1):
            found |= (data[at] == 0xCE) & (data[at + 1] == 0xA3)
            found |= (data[at] == 0xC4) & (data[at + 1] == 0xB0)
        result[document] = found != 0
    return result


@njit(
    "Tuple((uint8[::1], int64[::1], int64[::1]))"
    "(Array(uint8, 1, 'C', readonly=True), Array(int64, 1, 'C', readonly=True), uint32[::1])",
    cache=True,
    nogil=True,
)
def _split(data, offsets, characters):  # type: ignore[no-untyped-def]
    """Fill the arrays of ``Words`` from valid UTF-8, documents at ``offsets``."""
    documents = len(offsets) - 1
    size = offsets[documents] - offsets[0]
    # Lower case may take three bytes where upper case took two; each word has one byte after it.
    text = np.empty(size + size // 2 + documents, np.uint8)
    starts = np.empty((size + documents) // 2 + 1, np.int64)
    first = np.empty(documents + 1, np.int64)
    starts[0] = first[0] = 0
    words = size = 0
    for document in range(documents):
        at, end = offsets[document], offsets[document + 1]
        inside = False
        while at < end:
            lead = np.int64(data[at])
            if lead < 0x80:
                length, code = 1, lead
            elif lead < 0xE0:
                length, code = 2, lead & 0x1F
            elif lead < 0xF0:
                length, code = 3, lead & 0x0F
            else:
                length, code = 4, lead & 0x07
            for more in range(at + 1, at + length):
                code = code << 6 | np.int64(data[more]) & 0x3F
            at += length
            lower = np.int64(characters[code])
            if lower:
                if lower < 0x80:
                    text[size] = lower
                    size += 1
                else:
                    length = 2 if lower < 0x800 else 3 if lower < 0x10000 else 4
                    text[size] = (0xF00 >> length & 0xF0) | lower >> 6 * (length - 1)
                    for more in range(1, length):
                        text[size + more] = 0x80 | lower >> 6 * (length - 1 - more) & 0x3F
                    size += length
                inside = True
            if inside and (not lower or at == end):
                text[size] = 32
                size += 1
                words += 1
                starts[words] = size
                inside = False
        first[document + 1] = words
    return text[:size].copy(), starts[: words + 1].copy(), first
