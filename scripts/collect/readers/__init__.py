"""The readers of sources, by the name that the configuration gives them."""

from collections.abc import Callable
from typing import Any

from scripts.collect.readers.html import HtmlReader
from scripts.collect.readers.huggingface import HuggingfaceReader
from scripts.collect.readers.jsonl import JsonlReader
from scripts.collect.readers.parquet import ParquetReader
from scripts.collect.readers.pdf import PdfReader
from scripts.collect.readers.problems import ProblemsReader
from scripts.collect.readers.python_environment import PythonEnvironmentReader
from scripts.collect.readers.repository import RepositoryReader
from scripts.collect.readers.stackexchange import StackExchangeReader
from scripts.collect.readers.text import TextReader
from scripts.collect.readers.warc import WarcReader
from scripts.collect.readers.wikipedia import WikipediaReader
from scripts.collect.records import Reader
from scripts.common.config.collect import AnySource

READERS: dict[str, Callable[[Any], Reader]] = {
    "huggingface": HuggingfaceReader,
    "html": HtmlReader,
    "jsonl": JsonlReader,
    "parquet": ParquetReader,
    "pdf": PdfReader,
    "problems": ProblemsReader,
    "python-environment": PythonEnvironmentReader,
    "repository": RepositoryReader,
    "stackexchange": StackExchangeReader,
    "text": TextReader,
    "warc": WarcReader,
    "wikipedia": WikipediaReader,
}


def reader_of(source: AnySource) -> Reader:
    return READERS[source.reader](source)
