"""HTTP responses as crawlers store them: the status, the content's codings, then the page."""

import io
import re
import zlib
from collections.abc import Callable

from fastwarc.stream_io import BrotliReader, ZstdReader
from fastwarc.warc import WarcRecord, WarcRecordType

from scripts.collect.extraction import html
from scripts.collect.extraction.task import Answer, Refused, Task

PACKAGES = {extractor: ("fastwarc", *names) for extractor, names in html.PACKAGES.items()}
_HTML_TYPES = {"text/html", "application/xhtml+xml"}
_MAX_HEADER_BYTES = 1 << 20
_MAX_PAGE_BYTES = 1 << 26  # a few kilobytes can claim to be gigabytes
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,15}")
_GZIP_MAGIC = b"\x1f\x8b"


def task(extractor: str) -> Task:
    sample = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{html.SAMPLE}"
    return Task(response, (extractor,), sample)


def response(message: bytes, extractor: str) -> Answer:
    """Return the main text of the HTML page in an HTTP response, header and all."""
    record = WarcRecord()
    record.init_headers(WarcRecordType.response)
    record.set_bytes_content(message)
    record.is_http = True
    try:
        record.parse_http(max_header_len=_MAX_HEADER_BYTES, quirks_mode=True)
    except OSError as error:
        return Refused("malformed_http", str(error))
    header, status = record.http_headers, record.http_headers.status_code
    if status is None:
        return Refused("malformed_http", f"it begins with {message[:40]!r}")
    if not 200 <= status < 300:
        return Refused("http_status", str(status), ordinary=True)
    content_type = (record.http_content_type or "").lower()
    if content_type not in _HTML_TYPES:
        return Refused("not_html", content_type or "no content type", ordinary=True)
    try:
        content = record.reader.read()
        if "chunked" in (header.get("Transfer-Encoding") or "").lower():
            content = dechunked(content)
        content = decompressed(content, header.get("Content-Encoding") or "")
    except (OSError, ValueError, zlib.error) as error:
        return Refused("undecodable", str(error))
    return html.page(content, extractor, record.http_charset)


def dechunked(content: bytes) -> bytes:
    """Undo the chunked transfer coding; return as it is what was stored without it.

    Raises ValueError where the next chunk should begin and does not, as where the rest is cut off.
    """
    chunks: list[bytes] = []
    position = 0
    while True:
        end = content.find(b"\n", position)
        size_text = content[position:end].partition(b";")[0].strip() if end >= 0 else b""
        if not _CHUNK_SIZE.fullmatch(size_text):
            if not chunks:
                return content
            raise ValueError(f"{size_text[:20]!r} where the size of a chunk should be")
        size = int(size_text, 16)
        if size == 0:
            return b"".join(chunks)
        chunks.append(content[end + 1 : end + 1 + size])
        position = end + 1 + size
        position += 2 if content[position : position + 2] == b"\r\n" else 1


def decompressed(content: bytes, codings: str) -> bytes:
    """Undo the content codings, the last one first; gzip only if the content looks like it.

    Raises ValueError, OSError or zlib.error for codings that are unknown, damaged, cut off or of
    more than _MAX_PAGE_BYTES.
    """
    for name in reversed(codings.lower().split(",")):
        name = name.strip()
        if name in ("", "identity", "none"):
            continue
        if name not in _CODINGS:
            raise ValueError(f"the content coding {name!r} is unknown")
        content = _CODINGS[name](content)
    return content


def _gunzipped(content: bytes) -> bytes:
    # Some crawlers store the decoded page with the header of the coded one.
    return _inflated(content, 31) if content.startswith(_GZIP_MAGIC) else content


def _deflated(content: bytes) -> bytes:
    """Undo "deflate", which is zlib's format by the standard and a bare stream by some servers."""
    try:
        return _inflated(content, 15)
    except zlib.error:
        return _inflated(content, -15)


def _inflated(content: bytes, window_bits: int) -> bytes:
    stream = zlib.decompressobj(window_bits)
    plain = stream.decompress(content, _MAX_PAGE_BYTES)
    if stream.unconsumed_tail:
        raise ValueError(f"more than {_MAX_PAGE_BYTES:,} bytes")
    if not stream.eof:
        raise ValueError(f"the compressed content is cut off after {len(plain):,} bytes")
    return plain


def _read(reader: type[BrotliReader] | type[ZstdReader], content: bytes) -> bytes:
    plain = reader(io.BytesIO(content)).read(_MAX_PAGE_BYTES + 1)
    if len(plain) > _MAX_PAGE_BYTES:
        raise ValueError(f"more than {_MAX_PAGE_BYTES:,} bytes")
    return plain


_CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": _gunzipped,
    "x-gzip": _gunzipped,
    "deflate": _deflated,
    "br": lambda content: _read(BrotliReader, content),
    "zstd": lambda content: _read(ZstdReader, content),
}
