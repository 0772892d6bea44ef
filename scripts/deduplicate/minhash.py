"""MinHash signatures of word shingles, compiled, with datasketch's results.

The signature of a document equals, bit for bit, the ``hashvalues`` of
``datasketch.MinHash(permutations, seed, hashfunc, scheme="affine32")`` (datasketch 2.0) updated
with its shingles, where ``hashfunc`` is the lower 32 bits of XXH64: each hash passes MurmurHash3's
finalizer and then, for each permutation, a * h + b modulo 2**32 with an odd a.
"""

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scripts.common.words import Grams, ngrams, split_words


def permutations(count: int, seed: int) -> NDArray[np.uint32]:
    """Return datasketch's parameters [2, count]: the factors a, which are odd, and the terms b."""
    generator = np.random.RandomState(seed)
    factors = generator.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return np.array([factors, generator.randint(0, 1 << 32, count, dtype=np.uint32)])


def shingles(texts: Sequence[str], shingle_words: int) -> Grams:
    """Hash each document's word shingles; one shorter than a shingle is a shingle as a whole."""
    return ngrams(split_words(texts), shingle_words, short_whole=True)


def signatures(grams: Grams, permutations: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the signatures [documents, permutations]; all 2**32 - 1 where a document has none."""
    values: NDArray[np.uint32] = _signatures(grams.hashes, grams.offsets, permutations)
    return values


@njit("uint32(uint32)", cache=True, nogil=True)
def _mix(value):  # type: ignore[no-untyped-def]
    """MurmurHash3's 32-bit finalizer."""
    value = np.uint32((value ^ (value >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    value = np.uint32((value ^ (value >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(value ^ (value >> np.uint32(16)))


@njit("uint32[:, ::1](uint64[::1], int64[::1], uint32[:, ::1])", cache=True, nogil=True)
def _signatures(hashes, offsets, permutations):  # type: ignore[no-untyped-def]
    documents, count = len(offsets) - 1, permutations.shape[1]
    result = np.full((documents, count), 0xFFFFFFFF, np.uint32)
    for document in range(documents):
        for shingle in range(offsets[document], offsets[document + 1]):
            value = _mix(np.uint32(hashes[shingle]))
            for index in range(count):
                permuted = np.uint32(permutations[0, index] * value + permutations[1, index])
                result[document, index] = min(result[document, index], permuted)
    return result
