"""The sources of documents, by their readers, and the held-out split."""

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from scripts.common.config.base import Fraction, Model, Name

_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)
_PATTERN = re.compile(r"[?*\[]")  # what the datasets library takes for one, in addresses, too
_GIT_URL = re.compile(r"(https://[^\s@]+|ssh://([\w.-]+@)?[^\s@:-][^\s@]*|file:///\S+)")


class Source(Model):
    """What all sources have, whatever their reader."""

    domain: Name
    shards: Annotated[int, Field(ge=1)] = 1
    license: str | None = None
    unicode: Literal["keep", "repair", "nfc"] = "keep"
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


class HtmlSource(Source):
    """HTML files, one document each: the page's main text."""

    reader: Literal["html"]
    paths: list[str]
    extractor: Literal["trafilatura", "resiliparse"] = "trafilatura"


class WarcSource(Source):
    """Web archives, as Common Crawl has them: the main text of each HTML page."""

    reader: Literal["warc"]
    paths: list[str]
    extractor: Literal["trafilatura", "resiliparse"] = "trafilatura"


class PdfSource(Source):
    """PDF files, one document each."""

    reader: Literal["pdf"]
    paths: list[str]


class WikipediaSource(Source):
    """Dumps of a MediaWiki, which tell the wiki's address and language themselves."""

    reader: Literal["wikipedia"]
    paths: list[str]


class StackExchangeSource(Source):
    """Dumps of Stack Exchange sites: a question with its answers is one document."""

    reader: Literal["stackexchange"]
    paths: list[str]
    site: Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")] | None = None
    min_answer_score: int = 0
    max_answers: Annotated[int, Field(ge=1)] = 10


class HuggingfaceSource(Source):
    """A data set of the Hugging Face hub at one commit, a local folder, or files at addresses."""

    reader: Literal["huggingface"]
    dataset: str
    name: str | None = None
    split: Annotated[str, Field(pattern=r"^[\w.-]+$")] = "train"  # streams have no slices
    revision: str | None = None
    data_files: Annotated[list[str], Field(min_length=1)] | None = None
    text_field: str = "text"
    fields: dict[Literal["url", "license", "created", "language"], str] = {}

    @property
    def is_folder(self) -> bool:
        return self.dataset.startswith(("/", "./", "../"))

    @property
    def is_format(self) -> bool:
        return self.dataset in ("arrow", "csv", "json", "parquet", "text")

    @model_validator(mode="after")
    def _pinned(self) -> "HuggingfaceSource":
        if self.is_folder or self.is_format:
            if self.revision is not None:
                raise ValueError("`revision` is for data sets of the hub: take it out")
        elif not _HUB_ID.fullmatch(self.dataset):
            raise ValueError(
                f"{self.dataset!r} is no data set of the hub (owner/name); "
                "a folder's path begins with ./, ../ or /"
            )
        elif not _COMMIT.fullmatch(self.revision or ""):
            raise ValueError(
                f"{self.dataset} needs `revision`, the 40 digits of a commit, for a branch or tag "
                "may move (the hub shows them under 'Files and versions', 'History'); "
                f"got {self.revision!r}"
            )
        if self.is_format and self.data_files is None:
            raise ValueError(f"{self.dataset!r} is a format: name the files in `data_files`")
        for file in self.data_files or ():
            if "://" in file and _PATTERN.search(file):
                raise ValueError(f"data_files: {file!r}: an address is no pattern and no query")
            if "://" in file and not (self.is_format and file.startswith(("http://", "https://"))):
                raise ValueError(
                    f"data_files: {file!r}: an address (http or https) goes with a format as "
                    "`dataset`, such as json; a data set's own files are named by their paths"
                )
        return self


class Repository(Model):
    """Where code is: folders by path or pattern, or a git repository at one commit."""

    path: str | None = None
    url: str | None = None
    revision: str | None = None

    @model_validator(mode="after")
    def _pinned(self) -> "Repository":
        if (self.path is None) == (self.url is None):
            raise ValueError("a repository has either `path` or `url`")
        if self.url is None:
            if self.revision is not None:
                raise ValueError("`revision` is for a `url`: a folder is read as it is")
            return self
        if not _GIT_URL.fullmatch(self.url):
            raise ValueError(
                f"{self.url!r} is no address of a git repository: https://, ssh:// or file://, "
                "and without a password, which belongs into git's credential helper"
            )
        if not _COMMIT.fullmatch(self.revision or ""):
            raise ValueError(
                f"{self.url} needs `revision`, the 40 digits of a commit (`git ls-remote` shows "
                f"them), for a branch or tag may move; got {self.revision!r}"
            )
        return self


class RepositorySource(Source):
    """Source code: a document for each file, or for each repository in the order of imports."""

    reader: Literal["repository"]
    repositories: Annotated[list[Repository], Field(min_length=1)]
    languages: list[Name] = []
    concatenate: bool = False
    max_characters: Annotated[int, Field(gt=0)] = 1_000_000


class ProblemsSource(Source):
    """Generated arithmetic problems whose answers are computed and checked."""

    reader: Literal["problems"]
    count: Annotated[int, Field(gt=0)]
    seed: int = 0


AnySource = Annotated[
    PythonEnvironmentSource
    | JsonlSource
    | ParquetSource
    | TextSource
    | HtmlSource
    | WarcSource
    | PdfSource
    | WikipediaSource
    | StackExchangeSource
    | HuggingfaceSource
    | RepositorySource
    | ProblemsSource,
    Field(discriminator="reader"),
]


class HeldOut(Model):
    """Documents split off by the hash of their content: for evaluation, never for training."""

    fraction: Fraction
