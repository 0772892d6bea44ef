"""The user's files behind a source: matched by patterns, shared out over shards."""

import glob
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePath
from typing import Any, TypeVar

from scripts.common.canonical import sha256_file
from scripts.common.errors import UserError

SUFFIXES = {
    "jsonl": (".jsonl", ".jsonl.gz", ".jsonl.zst"),
    "parquet": (".parquet",),
    "text": (".txt",),
    "html": (".html", ".htm", ".xhtml"),
    "warc": (".warc", ".warc.gz", ".warc.zst", ".warc.wet", ".warc.wet.gz"),
    "pdf": (".pdf",),
    "wikipedia": (".xml", ".xml.bz2", ".xml.gz"),
    "stackexchange": ("Posts.xml", ".7z"),
    "benchmark": (".json", ".json.gz", ".jsonl", ".jsonl.gz"),  # of decontamination
}
_Unit = TypeVar("_Unit")


def matched(patterns: Sequence[str], reader: str) -> list[Path]:
    """Return the files that the patterns match, sorted, each once.

    A pattern is a file, a folder, which stands for the files below it that have one of the reader's
    suffixes, or a glob with ``*``, ``?``, ``**``. Raises UserError for one that matches no file.
    """
    files: set[Path] = set()
    for pattern in patterns:
        found = set(_files_of(pattern, SUFFIXES[reader]))
        if not found:
            raise UserError(
                f"no file matches {pattern!r}: correct `paths` of this {reader} source (a file, a "
                f"pattern such as 'data/**/*{SUFFIXES[reader][0]}', or a folder of "
                f"{', '.join(SUFFIXES[reader])} files; relative to the working directory)"
            )
        files |= found
    if not files:
        raise UserError(f"`paths` of this {reader} source is empty: name at least one file")
    return sorted(files)


def _files_of(pattern: str, suffixes: tuple[str, ...]) -> Iterator[Path]:
    path = Path(pattern)
    if path.is_dir():
        found = [file for file in path.rglob("*") if file.name.endswith(suffixes)]
    elif path.exists():  # before it is taken for a glob: brackets are allowed in names
        found = [path]
    else:
        found = [Path(name) for name in glob.glob(pattern, recursive=True)]  # noqa: PTH207
    return (file for file in found if file.is_file())


def share(units: Sequence[_Unit], shard: int, shards: int) -> Sequence[_Unit]:
    """Return the shard's files: its part of them, or all where there are fewer than shards."""
    return units[shard::shards] if len(units) >= shards else units


def share_records(
    records: Iterator[_Unit], files: Sequence[Any], shard: int, shards: int
) -> Iterator[_Unit]:
    """Yield the shard's records of one of the source's ``files`` (see ``share``)."""
    return records if len(files) >= shards else islice(records, shard, None, shards)


def identities(files: Sequence[Path]) -> dict[str, Any]:
    """Return the size and sha256 of each file by its path."""
    return {
        printable(file): {"sha256": sha256_file(file), "size": file.stat().st_size}
        for file in files
    }


def printable(path: PurePath) -> str:
    """Return a path as text that UTF-8 can carry, whatever bytes its name has."""
    return path.as_posix().encode("utf-8", "backslashreplace").decode()
