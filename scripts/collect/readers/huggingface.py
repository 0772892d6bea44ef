"""Data sets in the formats of the Hugging Face hub, streamed: nothing is kept on the disk.

Of the hub a commit is read, which its name determines for ever. No code of a data set runs. The
token for gated data sets is taken from HF_TOKEN by the libraries themselves and shown nowhere.
"""

import datetime
import math
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.collect import files
from scripts.collect.fields import record_of
from scripts.collect.records import Found
from scripts.common.config.collect import HuggingfaceSource
from scripts.common.errors import UserError

if TYPE_CHECKING:
    from datasets import IterableDataset

_TIMEOUT_SECONDS = 60
_IDENTIFYING_HEADERS = ("ETag", "Last-Modified", "Content-Length")
_QUERY = re.compile(r"\?[^\s'\")]+")  # a signed address is a key to what it points to
_MAX_ERROR_CHARACTERS = 500


class HuggingfaceReader:
    def __init__(self, source: HuggingfaceSource) -> None:
        self.source = source
        if source.is_folder and not Path(source.dataset).is_dir():
            raise UserError(f"{source.dataset} is no folder: correct `dataset`")
        if not source.is_folder and Path(source.dataset).exists():  # it would be read instead
            raise UserError(
                f"`dataset: {source.dataset}` is also the name of a local file or folder: write "
                f"./{source.dataset} to read that, or move it away to read the hub's"
            )

    def inputs(self, shard: int) -> dict[str, Any]:
        versions = {name: version(name) for name in ("datasets", "pyarrow")}
        source = self.source
        if not (source.is_folder or source.is_format):
            return {"dataset": source.dataset, "revision": source.revision, **versions}
        resolved = self._resolved_files()
        local = [Path(os.path.relpath(file)) for file in resolved if "://" not in file]
        return {
            **files.identities(local),
            **{file: _identity(file) for file in resolved if "://" in file},
            **versions,
        }

    def read(self, shard: int) -> Iterator[Found]:
        """Yield the records of the shard's files, or its share of each where files are fewer."""
        data = self._load()
        count = data.num_shards
        for number in files.share(range(count), shard, self.source.shards):
            rows = enumerate(self._rows(data, count, number))
            mine = files.share_records(rows, range(count), shard, self.source.shards)
            for row_number, row in mine:
                yield self._record(row, f"{self._place}/{number}:{row_number}")

    @property
    def _place(self) -> str:
        source = self.source
        version = f"@{source.revision}" if source.revision else ""
        name = f"/{source.name}" if source.name else ""
        return f"{source.dataset}{version}{name}/{source.split}"

    def _load(self) -> "IterableDataset":
        import datasets  # takes a second, which the other readers shall not

        datasets.disable_progress_bars()
        try:
            data = datasets.load_dataset(
                **self._arguments(), split=self.source.split, streaming=True
            )
            return data.decode(False)  # no picture, no sound
        except Exception as error:  # what the libraries below may raise has no common ancestor
            raise self._fault(error) from error

    def _arguments(self) -> dict[str, Any]:
        source = self.source
        return {
            "path": source.dataset,
            "name": source.name,
            "revision": source.revision,
            "data_files": source.data_files and {source.split: list(source.data_files)},
        }

    def _resolved_files(self) -> list[str]:
        import datasets

        try:
            builder = datasets.load_dataset_builder(**self._arguments())
            return sorted((builder.config.data_files or {}).get(self.source.split, []))
        except Exception as error:
            raise self._fault(error) from error

    def _rows(self, data: "IterableDataset", count: int, number: int) -> Iterator[dict[str, Any]]:
        try:
            yield from data.shard(num_shards=count, index=number)
        except Exception as error:
            raise self._fault(error) from error

    def _record(self, row: Mapping[str, Any], locator: str) -> Found:
        plain = {name: _plain(value) for name, value in row.items()}
        return record_of(plain, locator, self.source.text_field, self.source.fields)

    def _fault(self, error: Exception) -> UserError:
        text = _without_query(f"{type(error).__name__}: {error}")
        if token := os.environ.get("HF_TOKEN"):
            text = text.replace(token, "***")
        return UserError(
            f"{self._place} cannot be read ({text[:_MAX_ERROR_CHARACTERS]}): correct `dataset`, "
            "`name`, `split`, `revision` or `data_files`; where the network failed, run again; a "
            "gated data set needs the HF_TOKEN of somebody who accepted its terms, and "
            "HF_HUB_OFFLINE=1 shuts the hub out"
        )


def _plain(value: Any) -> Any:
    """Return a value as JSON can carry it: dates as ISO 8601, what is binary as null."""
    match value:
        case str() | bool() | int() | None:
            return value
        case float():
            return value if math.isfinite(value) else None
        case datetime.date() | datetime.time():  # a datetime is a date
            return value.isoformat()
        case Mapping():
            return {str(key): _plain(one) for key, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
    return None


def _identity(address: str) -> dict[str, str]:
    """Return what a server tells of a file's version.

    Raises UserError if it cannot be asked.
    """
    request = urllib.request.Request(address, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
            headers = answer.headers
    except (urllib.error.URLError, OSError) as error:
        raise UserError(
            f"{address} cannot be reached ({error}): correct `data_files`, or run "
            "again when the network is back"
        ) from error
    return {name: headers[name] for name in _IDENTIFYING_HEADERS if headers[name]}


def _without_query(text: str) -> str:
    return _QUERY.sub("?...", text)
