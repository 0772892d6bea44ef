"""Signatures against datasketch, bit for bit."""

import re

import datasketch
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scripts.common.texts import Texts
from scripts.deduplicate.minhash import permutations, shingles, signatures

TWO_64 = 2**64


def word_hash(word: str) -> int:
    """FNV-1a of the code points, then MurmurHash3's 64-bit finalizer."""
    value = 0xCBF29CE484222325
    for character in word:
        value = (value ^ ord(character)) * 0x100000001B3 % TWO_64
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        value = (value ^ value >> 33) * factor % TWO_64
    return value ^ value >> 33


def reference_hash(shingle: bytes) -> int:
    value = 0
    for word in shingle.decode().split(" "):
        value = (value * 0x9E3779B185EBCA87 + word_hash(word)) % TWO_64
    return value


def reference_shingles(text: str, shingle_words: int) -> list[bytes]:
    words = re.findall(r"\w+", text.lower())
    starts = range(max(len(words) - shingle_words + 1, min(len(words), 1)))
    return [" ".join(words[start : start + shingle_words]).encode() for start in starts]


def oracle(text: str, shingle_words: int, count: int, seed: int) -> datasketch.MinHash:
    minhash = datasketch.MinHash(
        count, seed, hashfunc=lambda data: reference_hash(data) >> 32, scheme="affine32"
    )
    for shingle in reference_shingles(text, shingle_words):
        minhash.update(shingle)
    return minhash


TEXTS = st.lists(
    st.one_of(
        st.text("ab ß.Σ漢é", max_size=60),
        st.text(max_size=30),
        st.text("aB \n", min_size=150, max_size=700),  # more shingles than a loop takes at once
    ),
    max_size=5,
)


@given(TEXTS, st.integers(1, 5), st.integers(1, 40), st.integers(0, 2**32 - 1))
@example(["ΑΣ ΑΣΑ", "İstanbul", "", "!", "漢字 かな", "Ⱥ Ⱦ"], 2, 16, 3)
def test_signatures_equal_datasketch(
    texts: list[str], shingle_words: int, count: int, seed: int
) -> None:
    grams = shingles(Texts.of_strings(texts), shingle_words)
    values = signatures(grams, permutations(count, seed))
    assert values.shape == (len(texts), count)
    for text, value in zip(texts, values, strict=True):
        np.testing.assert_array_equal(
            value, oracle(text, shingle_words, count, seed).hashvalues, strict=True
        )


@given(TEXTS, st.integers(1, 6))
def test_shingle_hashes_are_those_of_their_words(texts: list[str], shingle_words: int) -> None:
    grams = shingles(Texts.of_strings(texts), shingle_words)
    assert len(grams.offsets) == len(texts) + 1
    for document, text in enumerate(texts):
        hashes = grams.hashes[grams.offsets[document] : grams.offsets[document + 1]]
        expected = [reference_hash(one) for one in reference_shingles(text, shingle_words)]
        assert hashes.tolist() == expected


def test_shingle_hashes_collide_no_more_than_chance() -> None:
    """Short words of few letters are the hard case for a cheap hash."""
    words = [f"{one}{other}" for one in "abcdefgh01" for other in "abcdefgh01"]
    texts = Texts.of_strings([f"{a} {b} {c}" for a in words for b in words for c in words[:60]])
    hashes = shingles(texts, 3).hashes
    assert len(np.unique(hashes)) == len(hashes) == 600_000
    collisions = len(hashes) - len(np.unique(hashes >> np.uint64(32)))
    expected = len(hashes) ** 2 / 2**33  # 42 pairs of 600,000 share 32 bits by chance
    assert collisions == pytest.approx(expected, abs=5 * expected**0.5)


@pytest.mark.parametrize("count", [1, 112, 128])
def test_permutations_equal_datasketch(count: int) -> None:
    np.testing.assert_array_equal(
        permutations(count, 7), datasketch.MinHash(count, 7).permutations, strict=True
    )
