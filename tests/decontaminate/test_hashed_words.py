"""Words as hashes, against Python's own lower-casing and splitting."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.texts import Texts
from scripts.decontaminate import hashed_words
from scripts.decontaminate.hashed_words import hash_words
from tests.decontaminate import reference

# The two characters that are not lowered one for one, some whose lower case has another length in
# UTF-8, some of two to four bytes, marks that are no word characters.
ODD = st.sampled_from(["Σ", "ς", "İ", "I", "K", "ẞ", "Ⱥ", "é", "中", "𐐀", "_", "́", "·", " ", "\n"])
TEXT = st.lists(ODD | st.characters(codec="utf-8"), max_size=40).map("".join)


def fnv(word: str) -> int:
    value = 0xCBF29CE484222325
    for character in word:
        value = (value ^ ord(character)) * 0x100000001B3 % 2**64
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        value = (value ^ (value >> 33)) * factor % 2**64
    return value ^ (value >> 33)


@given(st.lists(TEXT, max_size=4))
def test_words_and_places_are_those_of_python(texts: list[str]) -> None:
    words = hash_words(Texts.of_strings(texts))
    expected = [reference.words_of(text) for text in texts]
    assert words.counts.tolist() == [len(one) for one in expected]
    flat = [word for one in expected for word in one]
    assert words.hashes.tolist() == [fnv(word) for word in flat]
    places = zip(words.starts, words.ends, strict=True)
    found = [words.texts.data[begin:end].tobytes().decode() for begin, end in places]
    assert [word for text in found for word in reference.words_of(text)] == flat


@given(st.lists(TEXT, max_size=8), st.integers(1, 90))
def test_chunks_are_all_documents_in_order(texts: list[str], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashed_words, "_CHUNK_BYTES", size)
        parts = list(hashed_words.chunks(Texts.of_strings(texts)))
    assert [part.encoded(i).decode() for _, part in parts for i in range(len(part))] == texts
    assert [number for first, part in parts for number in range(first, first + len(part))] == list(
        range(len(texts))
    )


def test_empty_documents_at_the_start_of_a_column() -> None:
    column = pa.array(["", "", "Σ b"], pa.large_string())
    assert hash_words(Texts.of_column(column.slice(0, 2))).counts.tolist() == [0, 0]
    assert hash_words(Texts.of_column(column.slice(1, 2))).counts.tolist() == [0, 2]
