"""The words of many documents as 64-bit hashes, and where each stands in its document.

Words are those of ``scripts.common.words``: what ``re.findall(r"\\w+", text.lower())`` yields. A
word's hash is the 64-bit FNV-1a of its lower-case code points with MurmurHash3's finalizer. Where a
match has to be certain it is verified on the words themselves (see ``ngrams``).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scripts.common.texts import Texts
from scripts.common.words import lower_exceptions, word_characters

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)

_CHUNK_BYTES = 1 << 20  # so that what is made of a chunk's words stays in the processor's caches


@dataclass(frozen=True)
class HashedWords:
    """The words of a batch of documents.

    hashes: uint64 [words]. starts, ends: int64 [words], where each word stands in ``texts.data``.
    first: int64 [documents + 1], the index of each document's first word. ``texts`` are those that
    the places are of: a document with one of the two characters that are not lowered one for one is
    lower-cased in them.
    """

    texts: Texts
    hashes: NDArray[np.uint64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    first: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """The number of words of each document."""
        return np.diff(self.first)

    def document_of(self, words: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the document of each word, given by its index."""
        return np.searchsorted(self.first, words, side="right") - 1


def hash_words(texts: Texts) -> HashedWords:
    if _has_exceptions(texts.data, texts.offsets[0], texts.offsets[-1]):
        texts = lower_exceptions(texts)
    return HashedWords(texts, *_hash_words(texts.data, texts.offsets, word_characters()))


def chunks(texts: Texts) -> Iterator[tuple[int, Texts]]:
    """Yield consecutive documents of about a megabyte with the index of their first."""
    first = 0
    while first < len(texts):
        limit = texts.offsets[first] + _CHUNK_BYTES
        last = max(first + 1, int(np.searchsorted(texts.offsets, limit, side="right")) - 1)
        yield first, Texts(texts.data, texts.offsets[first : last + 1])
        first = last


@njit("boolean(Array(uint8, 1, 'C', readonly=True), int64, int64)", cache=True, nogil=True)
def _has_exceptions(data, begin, end):  # type: ignore[no-untyped-def]
    """Tell whether there is the UTF-8 of the capital sigma, CE A3, or of the dotted I, C4 B0.

    Seldom, and several times faster than telling in which documents.
    """
    found = np.uint8(0)
    if end - begin < 2:
        return False
    first, second = data[begin : end - 1], data[begin + 1 : end]
    for at in range(len(first)):
        found |= np.uint8((first[at] == 0xCE) & (second[at] == 0xA3))
        found |= np.uint8((first[at] == 0xC4) & (second[at] == 0xB0))
    return found != 0


@njit(
    "Tuple((uint64[::1], int64[::1], int64[::1], int64[::1]))"
    "(Array(uint8, 1, 'C', readonly=True), Array(int64, 1, 'C', readonly=True), uint32[::1])",
    cache=True,
    nogil=True,
)
def _hash_words(data, offsets, characters):  # type: ignore[no-untyped-def]
    """Fill the arrays of ``HashedWords``, without a branch on where words end.

    Such a branch would be mispredicted at every word. So each character is written as if it were
    its word's last, and the next one writes over it unless it was.
    """
    documents = len(offsets) - 1
    most = (offsets[documents] - offsets[0] + documents) // 2 + 2  # a word in two bytes
    hashes = np.empty(most, np.uint64)
    starts = np.empty(most, np.int64)
    ends = np.empty(most, np.int64)
    first = np.empty(documents + 1, np.int64)
    first[0] = 0
    one = np.uint64(1)  # unsigned throughout: an index that may be negative costs a test
    words = np.uint64(0)
    for document in range(documents):
        at, end = np.uint64(offsets[document]), np.uint64(offsets[document + 1])
        word, start, inside = _FNV_OFFSET, at, np.uint64(0)
        while at < end:
            begin = at
            code = np.uint64(data[at])
            at += one
            if code >= np.uint64(0x80):
                second = np.uint64(data[at]) & np.uint64(0x3F)
                if code < np.uint64(0xE0):
                    code = (code & np.uint64(0x1F)) << np.uint64(6) | second
                    at += one
                else:
                    third = np.uint64(data[at + one]) & np.uint64(0x3F)
                    code = code << np.uint64(12) | second << np.uint64(6) | third
                    if code < np.uint64(0xF0000):
                        code &= np.uint64(0xFFFF)
                        at += np.uint64(2)
                    else:
                        last = np.uint64(data[at + np.uint64(2)]) & np.uint64(0x3F)
                        code = (code << np.uint64(6) | last) & np.uint64(0x1FFFFF)
                        at += np.uint64(3)
            lower = np.uint64(characters[code])
            is_word = np.uint64(lower != np.uint64(0))
            words += inside & (is_word ^ one)
            start = start if inside else begin
            word = ((word if inside else _FNV_OFFSET) ^ lower) * _FNV_PRIME
            hashes[words] = word
            starts[words] = start
            ends[words] = at
            inside = is_word
        words += inside
        first[document + 1] = words
    for index in range(words):
        word = hashes[index]
        word = (word ^ (word >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
        word = (word ^ (word >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
        hashes[index] = word ^ (word >> np.uint64(33))
    return hashes[:words], starts[:words], ends[:words], first
