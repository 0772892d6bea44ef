"""HTML files: the main text of each is one document."""

from collections.abc import Iterator
from typing import Any

from scripts.collect import files
from scripts.collect.extraction import html
from scripts.collect.extraction.found import found_in_files, versions
from scripts.collect.records import Found
from scripts.common.config.collect import HtmlSource


class HtmlReader:
    def __init__(self, source: HtmlSource) -> None:
        self.source = source
        self.files = files.matched(source.paths, source.reader)

    def inputs(self, shard: int) -> dict[str, Any]:
        return {
            **files.identities(self.files[shard :: self.source.shards]),
            **versions(html.PACKAGES[self.source.extractor]),
        }

    def read(self, shard: int) -> Iterator[Found]:
        task = html.task(self.source.extractor)
        return found_in_files(self.files[shard :: self.source.shards], task)
