"""The Parquet tables that stages hand to each other, and how they are read and written."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common.errors import UserError

ROW_GROUP_ROWS = 1000
_ROW_GROUP_CHARACTERS = 4_000_000  # bounds the memory of whatever a program makes of a row group

DOCUMENTS = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("license", pa.string()),
        pa.field("created", pa.string()),
        pa.field("language", pa.string()),
        pa.field("metadata", pa.string(), nullable=False),  # a JSON object
    ]
)
QUARANTINE = pa.schema(
    [
        pa.field("url", pa.string(), nullable=False),  # file and line or row
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)
# Stretches of a text, in characters, with what they are: those of personal data, of repeated lines.
SPANS = pa.list_(
    pa.field(
        "item",
        pa.struct(
            [
                pa.field("start", pa.int32(), nullable=False),
                pa.field("end", pa.int32(), nullable=False),
                pa.field("kind", pa.string(), nullable=False),
            ]
        ),
        nullable=False,
    )
)
# What is done to a text on its way to tokens: stretches, ascending and apart, and what takes their
# place.
EDITS = pa.list_(
    pa.field(
        "item",
        pa.struct(
            [
                pa.field("start", pa.int32(), nullable=False),
                pa.field("end", pa.int32(), nullable=False),
                pa.field("text", pa.string(), nullable=False),
            ]
        ),
        nullable=False,
    )
)
SELECTION = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("kept", pa.bool_(), nullable=False),
        pa.field("reason", pa.string()),  # null where kept
        pa.field("repeats", pa.int32(), nullable=False),  # reads in an epoch: 0 where dropped
        pa.field("edits", EDITS, nullable=False),
    ]
)


_COMPRESSION = {"compression": "zstd", "compression_level": 3}


def write(table: pa.Table, path: Path) -> None:
    """Write a table as the house does: zstd, small row groups, the same bytes each time."""
    pq.write_table(table, path, row_group_size=ROW_GROUP_ROWS, **_COMPRESSION)


class RowWriter:
    """Writes rows as they come, holding one row group.

    A row group has at most 1000 rows, and texts of at most 4 million characters or a single row.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file = pq.ParquetWriter(path, schema, **_COMPRESSION)
        self._rows: list[Mapping[str, Any]] = []
        self._characters = 0

    def add(self, row: Mapping[str, Any]) -> None:
        characters = sum(len(value) for value in row.values() if isinstance(value, str))
        self._characters += characters
        if len(self._rows) == ROW_GROUP_ROWS or self._characters > _ROW_GROUP_CHARACTERS:
            self._write_rows()
            self._characters = characters
        self._rows.append(row)

    def _write_rows(self) -> None:
        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, self._file.schema))
        self._rows = []

    def __enter__(self) -> "RowWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._write_rows()
        self._file.close()


def read(
    path: Path,
    columns: Sequence[str] | None = None,
    filters: list[tuple[str, str, Any]] | None = None,
) -> pa.Table:
    """Read a table, or some of its columns and rows (pyarrow's ``filters``).

    Raises UserError for a damaged file.
    """
    try:
        return pq.read_table(path, columns=columns, filters=filters, partitioning=None)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is no readable Parquet file ({error}): make it again") from error


def batches(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield some columns of a table, a row group at a time, so that memory stays bounded.

    Raises UserError for a damaged file.
    """
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                yield from file.iter_batches(max(rows, 1), row_groups=[group], columns=columns)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is no readable Parquet file ({error}): make it again") from error


def take(path: Path, columns: Sequence[str], rows: Sequence[int]) -> pa.Table:
    """Return some columns of the rows with the numbers ``rows``, which ascend, in their order."""
    numbers = np.asarray(rows, np.int64)
    taken, first = [], 0
    for batch in batches(path, columns):
        begin, end = np.searchsorted(numbers, [first, first + len(batch)])
        taken.append(batch.take(pa.array(numbers[begin:end] - first)))
        first += len(batch)
    schema = pq.read_schema(path)
    return pa.Table.from_batches(taken, pa.schema([schema.field(name) for name in columns]))


def check_aligned(table: pa.Table, ids: Sequence[int], path: Path) -> None:
    """Check that a row-aligned table has the ids of its documents, in order."""
    if table.column("id").to_pylist() != list(ids):
        raise UserError(f"{path} is not aligned with its documents: make it again")
