"""The words of many documents in one buffer, and the hashes of their n-grams.

A word is what Python's ``re.findall(r"\\w+", text.lower())`` yields, in any script; the compiled
splitter looks characters up in a table made with ``re`` itself.
"""

import functools
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scripts.common.xxh64 import xxh64_slices


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


def split_words(texts: Sequence[str]) -> Words:
    """Split documents into words, lower-cased."""
    # A lone surrogate, which only JSON can bring, becomes "?": neither is part of a word.
    encoded = [text.lower().encode(errors="replace") for text in texts]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(one) for one in encoded], out=offsets[1:])
    buffer = np.frombuffer(bytearray().join(encoded), np.uint8)
    return Words(*_split(buffer, offsets, _word_characters()))


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


@functools.cache
def _word_characters() -> NDArray[np.bool_]:
    """Return, for each code point, whether ``\\w`` matches it."""
    table = np.zeros(sys.maxunicode + 1, np.bool_)
    for match in re.finditer(r"\w+", "".join(map(chr, range(sys.maxunicode + 1)))):
        table[match.start() : match.end()] = True
    return table


@njit(
    "Tuple((uint8[::1], int64[::1], int64[::1]))(uint8[::1], int64[::1], boolean[::1])",
    cache=True,
    nogil=True,
)
def _split(buffer, offsets, is_word):  # type: ignore[no-untyped-def]
    """Fill the arrays of ``Words`` from valid UTF-8, documents at ``offsets``."""
    documents = len(offsets) - 1
    bound = len(buffer) + documents  # each word has a byte of its own and one after it
    text = np.empty(bound, np.uint8)
    starts = np.empty(bound // 2 + 1, np.int64)
    first = np.empty(documents + 1, np.int64)
    starts[0] = first[0] = 0
    words = size = 0
    for document in range(documents):
        at, end = offsets[document], offsets[document + 1]
        inside = False
        while at < end:
            lead = np.int64(buffer[at])
            if lead < 0x80:
                length, code = 1, lead
            elif lead < 0xE0:
                length, code = 2, lead & 0x1F
            elif lead < 0xF0:
                length, code = 3, lead & 0x0F
            else:
                length, code = 4, lead & 0x07
            for more in range(at + 1, at + length):
                code = code << 6 | np.int64(buffer[more]) & 0x3F
            if is_word[code]:
                for byte in range(at, at + length):
                    text[size] = buffer[byte]
                    size += 1
                inside = True
            at += length
            if inside and (at == end or not is_word[code]):
                text[size] = 32
                size += 1
                words += 1
                starts[words] = size
                inside = False
        first[document + 1] = words
    return text[:size].copy(), starts[: words + 1].copy(), first
