"""Text files in UTF-8: each file is one document."""

from collections.abc import Iterator
from typing import Any

from scripts.collect import files
from scripts.collect.records import Quarantine, Record
from scripts.common.config.collect import TextSource


class TextReader:
    def __init__(self, source: TextSource) -> None:
        self.source = source
        self.files = files.matched(source.paths, source.reader)

    def inputs(self, shard: int) -> dict[str, Any]:
        return files.identities(self.files[shard :: self.source.shards])

    def read(self, shard: int) -> Iterator[Record | Quarantine]:
        for file in self.files[shard :: self.source.shards]:
            locator = files.printable(file)
            try:
                yield Record(locator, file.read_bytes().decode("utf-8-sig"))
            except UnicodeDecodeError as error:
                yield Quarantine(locator, "not_utf8", str(error))
