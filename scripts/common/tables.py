"""The Parquet tables that stages hand to each other, and how they are read and written."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common.errors import UserError

ROW_GROUP_ROWS = 1000

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


def write(table: pa.Table, path: Path) -> None:
    """Write a table as the house does: zstd, small row groups, the same bytes each time."""
    pq.write_table(
        table, path, compression="zstd", compression_level=3, row_group_size=ROW_GROUP_ROWS
    )


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


def batches(
    path: Path, columns: Sequence[str], rows: int = ROW_GROUP_ROWS
) -> Iterator[pa.RecordBatch]:
    """Yield some columns of a table, at most ``rows`` at a time, so that memory stays bounded.

    Raises UserError for a damaged file.
    """
    try:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(rows, columns=columns)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is no readable Parquet file ({error}): make it again") from error


def check_aligned(table: pa.Table, ids: Sequence[int], path: Path) -> None:
    """Check that a row-aligned table has the ids of its documents, in order."""
    if table.column("id").to_pylist() != list(ids):
        raise UserError(f"{path} is not aligned with its documents: make it again")
