"""MinHash signatures of word shingles, compiled, with datasketch's results.

The signature of a document equals, bit for bit, the ``hashvalues`` of
``datasketch.MinHash(permutations, seed, hashfunc, scheme="affine32")`` (datasketch 2.0) updated
with its shingles, where ``hashfunc`` is the upper 32 bits of what ``shingles`` describes: each hash
passes MurmurHash3's finalizer and then, for each permutation, a * h + b modulo 2**32 with an odd a.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scripts.common.texts import Texts
from scripts.common.words import Grams, lower_exceptions, word_characters

FNV_OFFSET = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)
FACTOR = np.uint64(0x9E3779B185EBCA87)  # odd, and without a pattern: XXH64's first prime

_UNROLLED = 64  # hashes that one turn of a vectorised loop over them may take


def permutations(count: int, seed: int) -> NDArray[np.uint32]:
    """Return datasketch's parameters [2, count]: the factors a, which are odd, and the terms b."""
    generator = np.random.RandomState(seed)
    factors = generator.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return np.array([factors, generator.randint(0, 1 << 32, count, dtype=np.uint32)])


def shingles(texts: Texts, shingle_words: int) -> Grams:
    """Hash each document's word shingles; one shorter than a shingle is a shingle as a whole.

    Words are those of ``split_words``. A word's hash is the 64-bit FNV-1a of its code points with
    MurmurHash3's finalizer; a shingle's is the polynomial of its words' hashes in FACTOR, modulo
    2**64, first word first. So a shingle costs one step from the one before it, where hashing its
    bytes would cost all of them.
    """
    given = lower_exceptions(texts)
    return Grams(*_shingles(given.data, given.offsets, word_characters(), shingle_words))


def signatures(grams: Grams, permutations: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the signatures [documents, permutations]; all 2**32 - 1 where a document has none."""
    values: NDArray[np.uint32] = _signatures(grams.hashes, grams.offsets, permutations)
    return values


@njit("uint64(uint64)", cache=True, nogil=True)
def _mix_64(value):  # type: ignore[no-untyped-def]
    """MurmurHash3's 64-bit finalizer."""
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))


@njit(
    "Tuple((uint64[::1], int64[::1]))(Array(uint8, 1, 'C', readonly=True),"
    " Array(int64, 1, 'C', readonly=True), uint32[::1], int64)",
    cache=True,
    nogil=True,
)
def _shingles(data, offsets, characters, shingle_words):  # type: ignore[no-untyped-def]
    documents = len(offsets) - 1
    size = offsets[documents] - offsets[0]
    hashes = np.empty((size + documents) // 2, np.uint64)  # at most a word in two bytes
    ends = np.zeros(documents + 1, np.int64)
    recent = np.zeros(shingle_words, np.uint64)  # the last words' hashes, as a ring
    leaving = np.uint64(1)  # the factor of a word that has just left the shingle
    for _ in range(shingle_words):
        leaving *= FACTOR
    count = 0
    for document in range(documents):
        at, end = offsets[document], offsets[document + 1]
        recent[:] = 0
        shingle = np.uint64(0)
        words = oldest = 0
        word = FNV_OFFSET
        inside = False
        while at < end:
            code = np.int64(data[at])
            length = 1
            if code >= 0x80:
                if code < 0xE0:
                    length, code = 2, code & 0x1F
                elif code < 0xF0:
                    length, code = 3, code & 0x0F
                else:
                    length, code = 4, code & 0x07
                for more in range(at + 1, at + length):
                    code = code << 6 | np.int64(data[more]) & 0x3F
            at += length
            lower = characters[code]
            if lower:
                word = (word ^ np.uint64(lower)) * FNV_PRIME
                inside = True
                if at < end:
                    continue
            if inside:
                word = _mix_64(word)
                shingle = shingle * FACTOR + word - recent[oldest] * leaving
                recent[oldest] = word
                oldest = oldest + 1 if oldest + 1 < shingle_words else 0
                words += 1
                if words >= shingle_words:
                    hashes[count] = shingle
                    count += 1
                word = FNV_OFFSET
                inside = False
        if 0 < words < shingle_words:
            hashes[count] = shingle
            count += 1
        ends[document + 1] = count
    return hashes[:count].copy(), ends


@njit("uint32(uint32)", cache=True, nogil=True)
def _mix_32(value):  # type: ignore[no-untyped-def]
    """MurmurHash3's 32-bit finalizer."""
    value = np.uint32((value ^ (value >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    value = np.uint32((value ^ (value >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(value ^ (value >> np.uint32(16)))


@njit("uint32[:, ::1](uint64[::1], int64[::1], uint32[:, ::1])", cache=True, nogil=True)
def _signatures(hashes, offsets, permutations):  # type: ignore[no-untyped-def]
    """Take the minimum over a document's hashes, one permutation after the other.

    That inner loop keeps to registers and vectorises. Its length is filled up with the first hash,
    which changes no minimum, so that no hashes are left over for a scalar loop.
    """
    documents, count = len(offsets) - 1, permutations.shape[1]
    result = np.full((documents, count), 0xFFFFFFFF, np.uint32)
    longest = 0
    for document in range(documents):
        longest = max(longest, offsets[document + 1] - offsets[document])
    mixed = np.empty(longest + _UNROLLED, np.uint32)
    for document in range(documents):
        first, last = offsets[document], offsets[document + 1]
        if first == last:
            continue
        for shingle in range(first, last):
            mixed[shingle - first] = _mix_32(np.uint32(hashes[shingle] >> np.uint64(32)))
        filled = (last - first + _UNROLLED - 1) // _UNROLLED * _UNROLLED
        mixed[last - first : filled] = mixed[0]
        for index in range(count):
            factor, term = permutations[0, index], permutations[1, index]
            least = np.uint32(0xFFFFFFFF)
            for shingle in range(filled):
                least = min(least, np.uint32(factor * mixed[shingle] + term))
            result[document, index] = least
    return result
