"""Signatures against datasketch, bit for bit."""

import re

import datasketch
import numpy as np
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.deduplicate.minhash import permutations, shingles, signatures


def oracle(text: str, shingle_words: int, count: int, seed: int) -> datasketch.MinHash:
    minhash = datasketch.MinHash(
        count, seed, hashfunc=lambda data: xxhash.xxh64_intdigest(data) & 0xFFFFFFFF
    )
    words = re.findall(r"\w+", text.lower())
    for start in range(max(len(words) - shingle_words + 1, min(len(words), 1))):
        minhash.update(" ".join(words[start : start + shingle_words]).encode())
    return minhash


@settings(deadline=None)
@given(
    st.lists(st.text("ab ß.Σ漢é", max_size=60), max_size=5),
    st.integers(1, 5),
    st.integers(1, 40),
    st.integers(0, 2**32 - 1),
)
def test_signatures_equal_datasketch(
    texts: list[str], shingle_words: int, count: int, seed: int
) -> None:
    values = signatures(shingles(texts, shingle_words), permutations(count, seed))
    assert values.shape == (len(texts), count)
    for text, value in zip(texts, values, strict=True):
        np.testing.assert_array_equal(
            value, oracle(text, shingle_words, count, seed).hashvalues, strict=True
        )


def test_permutations_equal_datasketch() -> None:
    np.testing.assert_array_equal(
        permutations(112, 7), datasketch.MinHash(112, 7).permutations, strict=True
    )
