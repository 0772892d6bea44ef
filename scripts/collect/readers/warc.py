"""Web archives (WARC, plain or compressed, and Common Crawl's WET): one page, one document.

A page is the answer to one request (``response``), or the text that somebody else has extracted
from it (``conversion``, in WET files: take one of the two, not both). Records of other types are
about pages and are no loss.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from scripts.collect import files
from scripts.collect.extraction import http
from scripts.collect.extraction.found import found, too_large, versions
from scripts.collect.extraction.isolation import extract
from scripts.collect.extraction.task import Answer, Extracted, Refused
from scripts.collect.records import Found
from scripts.common.config.collect import WarcSource
from scripts.common.errors import UserError

_PAGES = (WarcRecordType.response, WarcRecordType.conversion)
_DAMAGED = (WarcRecordType.no_type, WarcRecordType.unknown)


@dataclass(frozen=True, slots=True)
class _Capture:
    """What the archive's own header says of a page."""

    locator: str
    url: str | None
    created: str | None
    record: str | None

    @classmethod
    def of(cls, record: WarcRecord, file: str) -> "_Capture":
        header = record.headers
        url = header.get("WARC-Target-URI")
        return cls(
            f"{file}:{record.stream_pos}",  # in the decompressed file
            url.strip("<>") if url else None,  # wget writes these
            header.get("WARC-Date"),
            header.get("WARC-Record-ID"),
        )

    def found(self, answer: Answer) -> Found:
        return found(answer, self.locator, self.url, created=self.created, record=self.record)


class _Forward(io.RawIOBase):
    """A stream that knows where it is: fastwarc asks, and decompressing ones of pyarrow refuse."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        block: bytes = self._stream.read(None if size < 0 else size)
        self._position += len(block)
        return block

    def tell(self) -> int:
        return self._position


class WarcReader:
    def __init__(self, source: WarcSource) -> None:
        self.source = source
        self.files = files.matched(source.paths, source.reader)

    def inputs(self, shard: int) -> dict[str, Any]:
        return {
            **files.identities(files.share(self.files, shard, self.source.shards)),
            **versions(http.PACKAGES[self.source.extractor]),
        }

    def read(self, shard: int) -> Iterator[Found]:
        task = http.task(self.source.extractor)
        for capture, answer in extract(self._captures(shard), task):
            yield capture.found(answer)

    def _captures(self, shard: int) -> Iterator[tuple[_Capture, bytes | Answer]]:
        for file in files.share(self.files, shard, self.source.shards):
            yield from files.share_records(_captures(file), self.files, shard, self.source.shards)


def _captures(file: Path) -> Iterator[tuple[_Capture, bytes | Answer]]:
    """Yield the pages in a file: the HTTP messages to extract from, or what they are without.

    Raises UserError for a file that is damaged or ends too early, which fastwarc takes for its end.
    """
    name = files.printable(file)
    try:
        with pa.input_stream(str(file), compression="detect") as stream:
            for record in ArchiveIterator(_Forward(stream), parse_http=False):
                declared = _declared_length(record)
                refusal = _refusal(record, declared)
                is_read = record.record_type in _PAGES and refusal is None
                block = record.reader.read() if is_read else b""
                length = len(block) if is_read else record.consume()
                if length != declared:
                    raise OSError(
                        f"the record at {record.stream_pos} has {length:,} of {declared:,} bytes"
                    )
                if record.record_type in (*_PAGES, *_DAMAGED):
                    yield _Capture.of(record, name), refusal or _content(record, block)
    except OSError as error:
        raise UserError(
            f"{name} cannot be read to its end ({error}): "
            "restore the file or take it out of `paths`"
        ) from error


def _declared_length(record: WarcRecord) -> int:
    declared = (record.headers.get("Content-Length") or "").strip()
    if not (declared.isascii() and declared.isdigit()):
        raise OSError(f"the record at {record.stream_pos} has no length: its header is cut off")
    return int(declared)


def _refusal(record: WarcRecord, length: int) -> Refused | None:
    """Return why a page's record is not read, from its header alone."""
    header = record.headers
    if record.record_type in _DAMAGED:
        return Refused("unknown_record", f"its type is {header.get('WARC-Type')!r}")
    if truncated := header.get("WARC-Truncated") or header.get("WARC-Segment-Number"):
        return Refused("truncated", f"the archive has a part of the page: {truncated}", True)
    kind = (header.get("Content-Type") or "no content type").partition(";")[0].strip().lower()
    wanted = "text/plain" if record.record_type == WarcRecordType.conversion else "application/http"
    if kind != wanted:
        return Refused("not_a_page", kind, ordinary=True)
    return too_large(length)


def _content(record: WarcRecord, block: bytes) -> bytes | Answer:
    if record.record_type == WarcRecordType.response:
        return block
    try:
        return Extracted(block.decode())
    except UnicodeDecodeError as error:
        return Refused("not_utf8", str(error))
