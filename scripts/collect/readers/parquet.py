"""Parquet files: one row, one document."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.collect import files
from scripts.collect.fields import record_of
from scripts.collect.records import Quarantine, Record
from scripts.common.config.collect import ParquetSource
from scripts.common.errors import UserError

_BATCH_ROWS = 1000


class ParquetReader:
    """Reads the text, the mapped fields and, as metadata, the columns of plain scalars."""

    def __init__(self, source: ParquetSource) -> None:
        self.source = source
        self.files = files.matched(source.paths, source.reader)

    def inputs(self, shard: int) -> dict[str, Any]:
        return files.identities(files.share(self.files, shard, self.source.shards))

    def read(self, shard: int) -> Iterator[Record | Quarantine]:
        for file in files.share(self.files, shard, self.source.shards):
            records = self._records(file)
            yield from files.share_records(records, self.files, shard, self.source.shards)

    def _records(self, file: Path) -> Iterator[Record | Quarantine]:
        name = files.printable(file)
        try:
            # Buffered ahead, each row group's bytes would be kept until the file is closed.
            with pq.ParquetFile(file, pre_buffer=False) as parquet:
                if fault := self._schema_fault(parquet.schema_arrow):
                    yield Quarantine(name, "wrong_schema", fault, parquet.metadata.num_rows)
                else:
                    yield from self._rows(parquet, name)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(
                f"{name} is no readable Parquet file ({error}): "
                "restore the file or take it out of `paths`"
            ) from error

    def _schema_fault(self, schema: pa.Schema) -> str | None:
        for column in (self.source.text_field, *self.source.fields.values()):
            if column not in schema.names:
                return f"no column {column!r}; there are {schema.names[:20]}"
            if not _is_text(schema.field(column).type):
                return f"column {column!r} is {schema.field(column).type}, not a string"
        return None

    def _rows(self, parquet: pq.ParquetFile, name: str) -> Iterator[Record | Quarantine]:
        columns = [field.name for field in parquet.schema_arrow if _is_scalar(field.type)]
        row = 0
        for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
            values = [_values(column) for column in batch.columns]
            for cells in zip(*values, strict=True):
                yield self._record(dict(zip(columns, cells, strict=True)), f"{name}:{row}")
                row += 1

    def _record(self, cells: dict[str, Any], locator: str) -> Record | Quarantine:
        try:
            row = {
                name: cell.decode() if isinstance(cell, bytes) else cell
                for name, cell in cells.items()
            }
        except UnicodeDecodeError as error:
            return Quarantine(locator, "not_utf8", str(error))
        return record_of(row, locator, self.source.text_field, self.source.fields)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    plain = _plain(kind)
    return pa.types.is_string(plain) or pa.types.is_large_string(plain)


def _is_scalar(kind: pa.DataType) -> bool:
    tests = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating)
    return _is_text(kind) or any(test(_plain(kind)) for test in tests)


def _values(column: pa.Array) -> list[Any]:
    """Return a column's values: text as bytes, for Parquet does not promise that it is UTF-8."""
    plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    if _is_text(plain.type):
        return plain.cast(pa.large_binary()).to_pylist()
    if pa.types.is_floating(plain.type):  # JSON has no NaN and no infinity
        return [
            value if value is not None and math.isfinite(value) else None
            for value in plain.to_pylist()
        ]
    return plain.to_pylist()
