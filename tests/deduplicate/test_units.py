"""Exact hashes, lines and paragraphs against plain Python."""

import hashlib
import sys

import numpy as np
import pytest
import xxhash
from hypothesis import example, given
from hypothesis import strategies as st

from scripts.common.texts import Texts
from scripts.deduplicate.units import exact_hashes, split_units

TEXTS = st.lists(
    st.one_of(st.text(max_size=30), st.text("ab \n\r\t\x1c\x85\xa0\u2003\u3000é漢😀", max_size=60)),
    max_size=6,
)


@given(TEXTS)
@example(["", " ", "a", " a  b\n", "é\u2028漢"])
def test_exact_hashes_are_of_the_texts_words(texts: list[str]) -> None:
    expected = [
        hashlib.blake2b(
            " ".join(text.encode(errors="replace").decode().split()).encode(), digest_size=16
        ).digest()
        for text in texts
    ]
    assert exact_hashes(Texts.of_strings(texts)) == expected


def test_every_white_space_is_one() -> None:
    spaces = [c for c in map(chr, range(sys.maxunicode + 1)) if c.isspace()]
    others = [chr(ord(c) + 1) for c in spaces if not chr(ord(c) + 1).isspace()]
    hashes = exact_hashes(Texts.of_strings([f"a{c}b" for c in spaces]))
    assert set(hashes) == set(exact_hashes(Texts.of_strings(["a b"])))
    assert len(set(exact_hashes(Texts.of_strings([f"a{c}b" for c in others])))) == len(others)


def reference_units(text: str, paragraphs: bool) -> list[tuple[int, int]]:
    """Where each line or paragraph starts and ends, by joining lines one at a time."""
    units: list[tuple[int, int]] = []
    at, previous_blank = 0, True
    for line in text.split("\n"):
        end = min(at + len(line) + 1, len(text))
        if at == end:
            break
        blank = not line.strip()
        if not paragraphs or (previous_blank and not blank) or not units:
            units.append((at, end))
        else:
            units[-1] = (units[-1][0], end)
        at, previous_blank = end, blank
    return units


@given(TEXTS, st.booleans(), st.integers(0, 4))
@example(["\n\na b\nc\n\n \nd", "a\n", "\n", "", "\u3000\n漢\n\n漢"], True, 0)
@example(["\n\na b\nc\n\n \nd", "a\n", "\n", ""], False, 0)
def test_units_are_those_of_plain_python(
    texts: list[str], paragraphs: bool, min_characters: int
) -> None:
    texts = [text.encode(errors="replace").decode() for text in texts]
    expected = []
    for index, text in enumerate(texts):
        for start, end in reference_units(text, paragraphs):
            squeezed = " ".join(text[start:end].split())
            if squeezed and len(squeezed) >= min_characters:
                expected.append((xxhash.xxh64_intdigest(squeezed.encode()), index, start, end))
    units = split_units(
        Texts.of_strings(texts), paragraphs=paragraphs, min_characters=min_characters
    )
    found = zip(units.hash.tolist(), units.text.tolist(), units.start.tolist(), units.end.tolist(),
                strict=True)  # fmt: skip
    assert list(found) == expected


@pytest.mark.parametrize(
    ("paragraphs", "spans"), [(False, ["a\n", "b\n", "c"]), (True, ["a\nb\n \n", "c"])]
)
def test_spans_cover_what_separates(paragraphs: bool, spans: list[str]) -> None:
    text = "a\nb\n \nc"
    units = split_units(Texts.of_strings([text]), paragraphs=paragraphs, min_characters=1)
    bounds = zip(units.start, units.end, strict=True)
    assert [text[start:end] for start, end in bounds] == spans
    assert units.hash.dtype == np.uint64
