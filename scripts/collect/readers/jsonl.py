"""JSON Lines, plain or compressed (gzip, zstd): one object a line, one document each."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from scripts.collect import files
from scripts.collect.fields import record_of
from scripts.collect.records import Quarantine, Record
from scripts.common import canonical
from scripts.common.config.collect import JsonlSource
from scripts.common.errors import UserError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class JsonlReader:
    def __init__(self, source: JsonlSource) -> None:
        self.source = source
        self.files = files.matched(source.paths, source.reader)

    def inputs(self, shard: int) -> dict[str, Any]:
        return files.identities(files.share(self.files, shard, self.source.shards))

    def read(self, shard: int) -> Iterator[Record | Quarantine]:
        for file in files.share(self.files, shard, self.source.shards):
            lines = files.share_records(_lines(file), self.files, shard, self.source.shards)
            for number, line in lines:
                yield self._record(line, f"{files.printable(file)}:{number}")

    def _record(self, line: bytes, locator: str) -> Record | Quarantine:
        try:
            row = json.loads(line.decode())
            canonical.dumps(row)  # refuses NaN and infinities, which no artifact can carry
        except UnicodeDecodeError as error:
            return Quarantine(locator, "not_utf8", str(error))
        except (ValueError, RecursionError) as error:
            return Quarantine(locator, "malformed_json", str(error))
        if not isinstance(row, dict):
            return Quarantine(locator, "not_an_object", f"the line is a JSON {type(row).__name__}")
        return record_of(row, locator, self.source.text_field, self.source.fields)


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank with their numbers, from 1."""
    try:
        with pa.input_stream(str(file), compression="detect") as stream:
            for number, line in enumerate(io.BufferedReader(stream), start=1):
                content = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
                if content.strip():
                    yield number, content
    except OSError as error:
        raise UserError(
            f"{files.printable(file)} cannot be read to its end ({error}): "
            "restore the file or take it out of `paths`"
        ) from error
