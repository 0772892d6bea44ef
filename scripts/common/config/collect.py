"""The sources of documents, by their readers, and the held-out split."""

from typing import Annotated, Literal

from pydantic import Field

from scripts.common.config.base import Fraction, Model, Name


class Source(Model):
    """What all sources have, whatever their reader."""

    domain: Name
    shards: Annotated[int, Field(ge=1)] = 1
    license: str | None = None
    max_quarantined: Fraction = 0.01


class PythonEnvironmentSource(Source):
    """Text that installed packages carry, read from their own file lists."""

    reader: Literal["python-environment"]
    content: Literal["source", "docstrings", "descriptions", "topics"]
    packages: list[str] = []
    max_characters: Annotated[int, Field(gt=0)] = 100_000


class JsonlSource(Source):
    reader: Literal["jsonl"]
    paths: list[str]
    text_field: str = "text"
    fields: dict[Literal["url", "license", "created", "language"], str] = {}


class ParquetSource(Source):
    reader: Literal["parquet"]
    paths: list[str]
    text_field: str = "text"
    fields: dict[Literal["url", "license", "created", "language"], str] = {}


class TextSource(Source):
    """A folder's text files, one document each."""

    reader: Literal["text"]
    paths: list[str]


class ProblemsSource(Source):
    """Generated arithmetic problems whose answers are computed and checked."""

    reader: Literal["problems"]
    count: Annotated[int, Field(gt=0)]
    seed: int = 0


AnySource = Annotated[
    PythonEnvironmentSource | JsonlSource | ParquetSource | TextSource | ProblemsSource,
    Field(discriminator="reader"),
]


class HeldOut(Model):
    """Documents split off by the hash of their content: for evaluation, never for training."""

    fraction: Fraction
