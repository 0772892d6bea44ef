"""From the extraction's answers to what readers yield."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from scripts.collect import files
from scripts.collect.extraction.isolation import extract
from scripts.collect.extraction.task import Answer, Extracted, Refused, Task
from scripts.collect.records import Found, Quarantine, Record, Skipped

MAX_BYTES = 1 << 27  # of one document as it is read into memory


def found(answer: Answer, locator: str, url: str | None = None, **metadata: Any) -> Found:
    """Return the record in an answer; its ``created`` comes from the metadata, if it is there."""
    if isinstance(answer, Extracted):
        said: Mapping[str, Any] = {**metadata, **answer.metadata}
        created = said.get("created")
        rest = {key: value for key, value in said.items() if key != "created"}
        return Record(locator, answer.text, url=url, created=created, metadata=rest)
    if answer.ordinary:
        return Skipped(locator, answer.reason)
    return Quarantine(locator, answer.reason, answer.detail)


def too_large(size: int) -> Refused | None:
    """Return the refusal of content that has so many bytes, if they are too many."""
    if size <= MAX_BYTES:
        return None
    return Refused("too_large", f"{size:,} bytes, more than {MAX_BYTES:,}")


def found_in_files(paths: Iterable[Path], task: Task) -> Iterator[Found]:
    """Yield what each file is as one document."""
    contents = ((path, too_large(path.stat().st_size) or path.read_bytes()) for path in paths)
    for path, answer in extract(contents, task):
        yield found(answer, files.printable(path))


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of the packages that make the text, which another version may change."""
    return {name: version(name) for name in packages}
