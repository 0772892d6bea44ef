"""Parquet tables: written and read a row group at a time, however large the file."""

import secrets
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import tables
from scripts.common.errors import UserError

_SCHEMA = pa.schema({"id": pa.int64(), "text": pa.large_string()})
_GROUPS, _ROWS, _CHARACTERS = 64, 100, 4000


@pytest.fixture(scope="module")
def incompressible(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 64 row groups, each as large as its 100 random texts."""
    path = tmp_path_factory.mktemp("tables") / "documents.parquet"
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as file:
        for group in range(_GROUPS):
            texts = [secrets.token_hex(_CHARACTERS // 2) for _ in range(_ROWS)]
            ids = range(group * _ROWS, (group + 1) * _ROWS)
            file.write_table(pa.table({"id": ids, "text": texts}, _SCHEMA))
    return path


def test_batches_hold_no_more_than_a_few_row_groups(incompressible: Path) -> None:
    before = pa.total_allocated_bytes()
    ids, most = [], 0
    for batch in tables.batches(incompressible, ["id", "text"]):
        ids.extend(batch["id"].to_pylist())
        most = max(most, pa.total_allocated_bytes() - before)
    assert ids == list(range(_GROUPS * _ROWS))
    assert most < 6 * _ROWS * _CHARACTERS < incompressible.stat().st_size / 4


@given(st.sets(st.integers(0, _GROUPS * _ROWS - 1)))
def test_the_rows_taken_are_those_asked_for(incompressible: Path, rows: set[int]) -> None:
    assert tables.take(incompressible, ["id"], sorted(rows))["id"].to_pylist() == sorted(rows)


def test_a_row_group_is_bounded_but_for_a_row_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_ROW_GROUP_CHARACTERS", 10)
    monkeypatch.setattr(tables, "ROW_GROUP_ROWS", 3)
    texts = ["a" * 4, "b" * 6, "c" * 30, "d", "", "e" * 10, "f", "", "g", "h"]
    path = tmp_path / "rows.parquet"
    with tables.RowWriter(path, _SCHEMA) as rows:
        for number, text in enumerate(texts):
            rows.add({"id": number, "text": text})
    groups = [batch["text"].to_pylist() for batch in tables.batches(path, ["text"])]
    assert [text for group in groups for text in group] == texts
    assert groups == [texts[:2], texts[2:3], texts[3:5], texts[5:6], texts[6:9], texts[9:]]


def test_a_table_without_rows_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    with tables.RowWriter(path, _SCHEMA):
        pass
    assert tables.read(path).schema == _SCHEMA
    assert list(tables.batches(path, ["id"])) == []
    assert tables.take(path, ["text"], []).num_rows == 0


def test_a_damaged_file_is_named(incompressible: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "cut.parquet"
    damaged.write_bytes(incompressible.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"cut\.parquet is no readable Parquet file"):
        list(tables.batches(damaged, ["id"]))
