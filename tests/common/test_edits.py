"""Edits: merged as the characters say, applied as Python slices."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import edits
from scripts.common.edits import MASKS, Spans
from scripts.common.errors import UserError
from scripts.common.tables import EDITS, SPANS

Span = tuple[int, int, int, str]
KINDS = ("mail", "ip", "duplicate_line", "duplicate_paragraph")

spans = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 20), st.integers(1, 8), st.sampled_from(KINDS)).map(
        lambda one: (one[0], one[1], one[1] + one[2], one[3])
    ),
    max_size=12,
)


def spans_of(values: list[Span]) -> Spans:
    rows, starts, ends = (np.array([one[n] for one in values], np.int64) for n in range(3))
    return Spans(rows, starts, ends, np.array([one[3] for one in values], dtype=object))


def listed(found: Spans) -> list[Span]:
    columns = (found.rows, found.starts, found.ends, found.kinds)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def slow_merge(values: list[Span]) -> list[Span]:
    merged: list[list[Span]] = []
    for one in sorted(values, key=lambda one: (one[0], one[1], -one[2], one[3])):
        before = merged[-1] if merged else []
        if before and before[0][0] == one[0] and one[1] < max(end for _, _, end, _ in before):
            before.append(one)
        else:
            merged.append([one])
    return [
        (
            group[0][0],
            group[0][1],
            max(end for _, _, end, _ in group),
            next((kind for *_, kind in group if kind not in MASKS), group[0][3]),
        )
        for group in merged
    ]


@given(spans, spans, spans)
def test_overlapping_spans_are_united_whatever_their_origin(
    one: list[Span], other: list[Span], third: list[Span]
) -> None:
    merged = edits.merge(*map(spans_of, (one, other, third)))
    assert listed(merged) == slow_merge(one + other + third)
    assert listed(edits.merge(*map(spans_of, (third, one, other)))) == listed(merged)
    assert listed(edits.merge(merged, merged)) == listed(merged)


def test_a_removal_takes_the_masks_that_overlap_it() -> None:
    cases = [(0, 0, 10, "mail"), (0, 5, 20, "duplicate_line"), (0, 19, 30, "ip")]
    assert listed(edits.merge(spans_of(cases))) == [(0, 0, 30, "duplicate_line")]
    touching = [(0, 0, 5, "mail"), (0, 5, 9, "duplicate_line"), (1, 0, 2, "ip")]
    assert listed(edits.merge(spans_of(touching))) == touching


texts = st.text(st.sampled_from("aé数🙂 \n"), min_size=28, max_size=32)


@given(spans, st.lists(texts, min_size=4, max_size=4))
def test_what_is_not_in_a_span_stays(values: list[Span], originals: list[str]) -> None:
    merged = edits.merge(spans_of(values))
    column = merged.column(len(originals))
    assert column.type == EDITS
    edited = edits.apply_all(pa.array(originals, pa.large_string()), column)
    for row, original in enumerate(originals):
        inside = {place for at, start, end, _ in values if at == row for place in range(start, end)}
        masks = {start: MASKS.get(kind, "") for at, start, _, kind in listed(merged) if at == row}
        wanted = "".join(
            masks.get(place, "") + ("" if place in inside else character)
            for place, character in enumerate(original)
        )
        assert edited[row] == wanted == edits.apply(original, column[row].as_py())
        if row not in {at for at, *_ in values}:
            assert edited[row] == original


@given(spans, st.integers(0, 4), st.integers(0, 4))
def test_columns_may_be_slices(values: list[Span], first: int, count: int) -> None:
    merged = edits.merge(spans_of(values))
    column = merged.column(4).slice(first, count)
    originals = pa.array(["x" * 40] * 4, pa.large_string())
    whole = edits.apply_all(originals, merged.column(4))
    assert edits.apply_all(originals.slice(first, count), column) == whole[first : first + count]
    rows: list[list[dict[str, object]]] = [[], [], [], []]
    for row, start, end, kind in values:
        rows[row].append({"start": start, "end": end, "kind": kind})
    read = Spans.of_column(pa.array(rows, SPANS).slice(first, count))
    wanted = [(row - first, *rest) for row, *rest in sorted(values, key=lambda one: one[0])]
    assert listed(read) == [one for one in wanted if 0 <= one[0] < count]


def test_no_spans_are_no_edits() -> None:
    none = edits.merge()
    assert len(none) == 0
    assert none.column(2).to_pylist() == [[], []]


@pytest.mark.parametrize(
    "wrong",
    [[(0, 9)], [(2, 2)], [(3, 2)], [(0, 2), (1, 3)], [(2, 3), (0, 1)], [(-1, 2)]],
)
def test_edits_of_another_text_are_an_error(wrong: list[tuple[int, int]]) -> None:
    column = [{"start": start, "end": end, "text": ""} for start, end in wrong]
    with pytest.raises(UserError, match=r"does not fit a text of 5 characters"):
        edits.apply("abcde", column)
