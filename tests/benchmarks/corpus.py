"""Real text to measure on: what the installed packages carry, the same for the same versions.

``prose_and_code`` is nearly all ASCII: docstrings first, then source code. ``translations`` is what
Django's message catalogues say in some hundred languages: a fifth of its characters are not ASCII.
"""

import re
from collections.abc import Iterator
from importlib import metadata
from itertools import chain

from scripts.collect.readers.python_environment import PythonEnvironmentReader
from scripts.collect.records import Record
from scripts.common.config.collect import PythonEnvironmentSource

_MESSAGE = re.compile(r'^msgstr(?:\[\d+\])? ((?:".*"\n?)+)', re.MULTILINE)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def prose_and_code(megabytes: float) -> list[str]:
    """Return documents of at least so many MB (10**6 bytes), if the environment has them."""
    return _until(chain(_read("docstrings"), _read("source")), megabytes)


def translations() -> list[str]:
    """Return a document for each of Django's message catalogues with anything translated."""
    files = sorted(metadata.distribution("django").files or [], key=str)
    catalogues = (file.locate().read_text("utf-8") for file in files if file.suffix == ".po")
    return [text for text in map(_translated, catalogues) if text]


def size(texts: list[str]) -> int:
    """Return the bytes of the texts in UTF-8."""
    return sum(len(text.encode()) for text in texts)


def _read(content: str) -> Iterator[str]:
    source = PythonEnvironmentSource.model_validate(
        {"reader": "python-environment", "domain": "any", "content": content}
    )
    records = PythonEnvironmentReader(source).read(0)
    return (record.text for record in records if isinstance(record, Record))


def _until(texts: Iterator[str], megabytes: float) -> list[str]:
    found: list[str] = []
    left = megabytes * 1e6
    while left > 0 and (text := next(texts, None)) is not None:
        found.append(text)
        left -= len(text.encode())
    return found


def _translated(catalogue: str) -> str:
    messages = ("".join(_QUOTED.findall(match[1])) for match in _MESSAGE.finditer(catalogue))
    return "\n".join(message.replace("\\n", "\n") for message in messages if message)
