"""The external sort against sorting in memory."""

import itertools
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.deduplicate import spill

RECORD = np.dtype([(spill.KEY, "<u8"), ("value", "<i4")])
KEYS = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**63, 2**64 - 1]))


@given(
    st.lists(st.lists(st.tuples(KEYS, st.integers(0, 9)), max_size=20), max_size=4),
    st.sampled_from([1, 3, 10**6]),
)
def test_parts_are_all_records_by_ascending_keys(
    batches: list[list[tuple[int, int]]], part_records: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "PART_RECORDS", part_records)
        spilled = spill.Spill(Path(folder, "new", "records"), RECORD)
        for batch in batches:
            spilled.add(np.array(batch, RECORD))
        parts = [part.tolist() for part in spilled.parts()]
        assert not any(Path(folder, "new").iterdir())
    expected = [record for batch in batches for record in batch]
    assert Counter(record for part in parts for record in part) == Counter(expected)
    for part, later in itertools.pairwise(parts):
        assert max(key for key, _ in part) < min(key for key, _ in later)


@pytest.mark.parametrize(("records", "parts"), [(100, 1), (101, 2), (401, 8), (30_000, 256)])
def test_parts_are_bounded(
    records: int, parts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "PART_RECORDS", 100)
    spilled = spill.Spill(tmp_path / "records", RECORD)
    keys = np.random.default_rng(0).integers(0, 2**64, records, np.uint64)
    spilled.add(np.array([*zip(keys.tolist(), range(records), strict=True)], RECORD))
    sizes = [len(part) for part in spilled.parts()]
    assert len(sizes) == parts and sum(sizes) == records
    assert max(sizes) < 2 * max(100, records / parts)


@given(st.lists(st.integers(0, 12), max_size=30))
def test_repeated_are_those_that_occur_more_than_once(keys: list[int]) -> None:
    indices = spill.repeated(np.array(keys, np.uint64))
    assert sorted(indices) == [i for i, key in enumerate(keys) if keys.count(key) > 1]
    ordered = [keys[index] for index in indices]
    assert ordered == sorted(ordered)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=20))
def test_runs_end_where_a_column_changes(rows: list[tuple[int, int]]) -> None:
    columns = np.array(rows, np.int64).reshape(len(rows), 2).T
    expected = [i for i in range(len(rows)) if i == 0 or rows[i] != rows[i - 1]]
    assert spill.runs(*columns).tolist() == [*expected, len(rows)]
