"""The readers of sources, by the name that the configuration gives them."""

from collections.abc import Callable
from typing import Any

from scripts.collect.readers.jsonl import JsonlReader
from scripts.collect.readers.parquet import ParquetReader
from scripts.collect.readers.problems import ProblemsReader
from scripts.collect.readers.python_environment import PythonEnvironmentReader
from scripts.collect.readers.text import TextReader
from scripts.collect.records import Reader
from scripts.common.config.collect import AnySource

READERS: dict[str, Callable[[Any], Reader]] = {
    "jsonl": JsonlReader,
    "parquet": ParquetReader,
    "problems": ProblemsReader,
    "python-environment": PythonEnvironmentReader,
    "text": TextReader,
}


def reader_of(source: AnySource) -> Reader:
    return READERS[source.reader](source)
