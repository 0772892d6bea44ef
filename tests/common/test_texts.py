"""Texts from strings and from Arrow columns."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.texts import Texts


def strings_of(texts: Texts) -> list[str]:
    return [texts.encoded(index).decode() for index in range(len(texts))]


STRINGS = st.lists(st.text("aé漢\n", max_size=8), max_size=6)


@given(STRINGS)
def test_texts_of_strings(strings: list[str]) -> None:
    assert strings_of(Texts.of_strings(strings)) == strings


@given(STRINGS, st.data())
def test_texts_of_a_slice_of_a_column(strings: list[str], draws: st.DataObject) -> None:
    start = draws.draw(st.integers(0, len(strings)))
    length = draws.draw(st.integers(0, len(strings) - start))
    column = pa.array(strings, pa.large_string()).slice(start, length)
    texts = Texts.of_column(column)
    assert strings_of(texts) == strings[start : start + length]
    indices = draws.draw(
        st.lists(st.integers(0, length - 1), unique=True) if length else st.just([])
    )
    replaced = dict.fromkeys(sorted(indices), "new é")
    result = texts.replaced([*replaced], [text.encode() for text in replaced.values()])
    assert strings_of(result) == [
        replaced.get(index, text) for index, text in enumerate(strings[start : start + length])
    ]


@pytest.mark.parametrize(
    "column", [pa.array(["a"], pa.string()), pa.array([None], pa.large_string())]
)
def test_other_columns_are_refused(column: pa.Array) -> None:
    with pytest.raises(TypeError, match="large_string without nulls"):
        Texts.of_column(column)
