"""XML of any length, read as a stream of elements without building a tree.

A document type is refused, and with it every entity that a file could define: no expansion, no
outside reference. What a dump needs are the five predefined ones.
"""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol
from xml.parsers import expat

from scripts.common.errors import UserError

BLOCK_BYTES = 1 << 18
_MAX_TOKEN_BYTES = 64 << 20  # expat keeps a start tag in memory until it ends


class Handler(Protocol):
    def start(self, name: str, attributes: dict[str, str]) -> None: ...

    def end(self, name: str) -> None: ...

    def text(self, data: str) -> None: ...


class XmlStream:
    """Feeds blocks of a file to a handler's methods, in the order of the file."""

    def __init__(self, handler: Handler) -> None:
        self._fed = 0
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = handler.start
        self._parser.EndElementHandler = handler.end
        self._parser.CharacterDataHandler = handler.text
        self._parser.StartDoctypeDeclHandler = _refuse_document_type

    def feed(self, block: bytes) -> None:
        self._parser.Parse(block, False)
        self._fed += len(block)
        if self._fed - self._parser.CurrentByteIndex > _MAX_TOKEN_BYTES:
            raise ValueError(f"a tag has more than {_MAX_TOKEN_BYTES:,} bytes")

    def close(self) -> None:
        """Raise ExpatError unless the document is whole."""
        self._parser.Parse(b"", True)


def blocks(file: Path) -> Iterator[bytes]:
    """Yield the bytes of a file that is plain or compressed (by its name: .bz2, .gz)."""
    with _open(file) as stream:
        while block := stream.read(BLOCK_BYTES):
            yield block


@contextmanager
def whole(name: str) -> Iterator[None]:
    """Turn what a truncated or malformed file raises into a UserError that names it."""
    try:
        yield
    except (expat.ExpatError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise UserError(
            f"{name} cannot be read to its end ({error}): "
            "restore the file or take it out of `paths`"
        ) from error


def _open(file: Path) -> BinaryIO:
    if file.suffix == ".bz2":
        return bz2.open(file)  # type: ignore[return-value]
    if file.suffix == ".gz":
        return gzip.open(file)  # type: ignore[return-value]
    return file.open("rb")


def _refuse_document_type(*declaration: object) -> None:
    raise ValueError("it declares a document type, which no dump does")
