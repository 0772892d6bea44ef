"""PDF files: the text of each is one document."""

from collections.abc import Iterator
from typing import Any

from scripts.collect import files
from scripts.collect.extraction import pdf
from scripts.collect.extraction.found import found_in_files, versions
from scripts.collect.records import Found
from scripts.common.config.collect import PdfSource


class PdfReader:
    def __init__(self, source: PdfSource) -> None:
        self.source = source
        self.files = files.matched(source.paths, source.reader)

    def inputs(self, shard: int) -> dict[str, Any]:
        return {
            **files.identities(self.files[shard :: self.source.shards]),
            **versions(pdf.PACKAGES),
        }

    def read(self, shard: int) -> Iterator[Found]:
        return found_in_files(self.files[shard :: self.source.shards], pdf.task())
