"""Text that installed Python packages carry: source, docstrings, descriptions, help topics.

Packages are read through their installers' file lists and are never imported, so that a collection
depends on nothing but their names and versions.
"""

import ast
import functools
import gc
import inspect
import json
import platform
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import PurePosixPath
from pydoc_data.topics import topics
from typing import Any, TypeVar

from scripts.collect.records import Quarantine, Record
from scripts.common.config.collect import PythonEnvironmentSource
from scripts.common.errors import UserError

_MIN_PROSE_CHARACTERS = 200
_MAX_LICENSE_CHARACTERS = 100  # some packages put the whole license text into this field
_TEST_FOLDERS = {"test", "tests", "_tests"}
_TEST_FILE = re.compile(r"test_.*\.py|.*_test\.py|conftest\.py")
# Which of these is installed, and in which build, depends on the machine's accelerator.
_MACHINE_SPECIFIC = re.compile(r"torch|torchvision|torchaudio|triton|pytorch-triton.*|nvidia-.*")
_TOPICS_LICENSE = "PSF-2.0"

_Unit = TypeVar("_Unit")
_Found = Record | Quarantine | None  # None: nothing worth a document
_Definition = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class _Package:
    """What is read of a distribution's metadata, which importlib parses anew at every look."""

    name: str
    version: str
    license: str | None
    description: str
    distribution: metadata.Distribution

    @classmethod
    def of(cls, distribution: metadata.Distribution) -> "_Package":
        fields = distribution.metadata
        return cls(
            _normalised(fields["Name"]),
            fields["Version"],
            _license(fields),
            _field(fields, "Description") or "",
            distribution,
        )

    @property
    def url(self) -> str:
        return f"pypi:{self.name}=={self.version}"

    def record(self, locator: str, text: str) -> Record:
        about = {"package": self.name, "version": self.version}
        return Record(locator, text, license=self.license, metadata=about)


_File = tuple[_Package, PurePosixPath]


class PythonEnvironmentReader:
    def __init__(self, source: PythonEnvironmentSource) -> None:
        self.source = source

    @functools.cached_property
    def packages(self) -> list[_Package]:
        return [_Package.of(one) for one in _distributions(self.source.packages)]

    def inputs(self, shard: int) -> dict[str, Any]:
        if self.source.content == "topics":
            return {"python": platform.python_version()}
        return {package.name: package.version for package in self.packages}

    def read(self, shard: int) -> Iterator[Record | Quarantine]:
        match self.source.content:
            case "topics":
                yield from self._records(_topic, sorted(topics.items()), shard)
            case "descriptions":
                yield from self._records(_description, self.packages, shard)
            case "docstrings":
                yield from self._records(self._docstrings, self._files(), shard)
            case "source":
                yield from self._records(self._code, self._files(), shard)

    def _records(
        self, record_of: Callable[[_Unit], _Found], units: list[_Unit], shard: int
    ) -> Iterator[Record | Quarantine]:
        for unit in units[shard :: self.source.shards]:
            if (found := record_of(unit)) is not None:
                yield found

    def _files(self) -> list[_File]:
        return [
            (package, PurePosixPath(file))
            for package in self.packages
            for file in sorted(map(str, package.distribution.files or []))
            if _is_module(PurePosixPath(file))
        ]

    def _code(self, file: _File) -> _Found:
        """Return a module's source, or None if it is empty or too long."""
        found = _read(*file)
        if isinstance(found, Quarantine):
            return found
        if not found.text.strip() or len(found.text) > self.source.max_characters:
            return None
        return found

    def _docstrings(self, file: _File) -> _Found:
        """Return a module's docstrings as one text, or None if they are few or too long."""
        package, path = file
        found = _read(package, path)
        if isinstance(found, Quarantine):
            return found
        try:
            sections = docstrings(found.text, _module_name(path))
        except (SyntaxError, ValueError, RecursionError) as error:
            return Quarantine(found.locator, "syntax_error", str(error))
        if sum(len(prose) for _, prose in sections) < _MIN_PROSE_CHARACTERS:
            return None
        text = "\n\n".join(f"# {heading}\n\n{prose}" for heading, prose in sections)
        if len(text) > self.source.max_characters:
            return None
        return package.record(found.locator, text)


def docstrings(code: str, module: str) -> list[tuple[str, str]]:
    """Return the qualified name and the cleaned docstring of all that has one, in file order.

    Counted are the module, its classes and functions and their members, not what is defined within
    a function. Raises SyntaxError and ValueError for what is no Python source.
    """
    with warnings.catch_warnings(), _without_collection():
        warnings.simplefilter("ignore")  # invalid escapes in other people's strings
        return list(_sections(ast.parse(code), module))


@contextmanager
def _without_collection() -> Iterator[None]:
    """Pause the cycle collector, which takes three quarters of the time that large trees take."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _sections(node: _Definition, name: str) -> Iterator[tuple[str, str]]:
    prose = inspect.cleandoc(ast.get_docstring(node, clean=False) or "").strip()
    if prose:
        yield name, prose
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        for child in node.body:
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _sections(child, f"{name}.{child.name}")


def _read(package: _Package, path: PurePosixPath) -> Record | Quarantine:
    locator = f"{package.url}/{path}"
    try:
        content = package.distribution.locate_file(path).read_bytes()  # type: ignore[attr-defined]
        text = content.decode("utf-8-sig")
    except OSError as error:
        return Quarantine(locator, "missing_file", error.strerror or str(error))
    except UnicodeDecodeError as error:
        return Quarantine(locator, "not_utf8", str(error))
    return package.record(locator, text)


def _description(package: _Package) -> _Found:
    if not package.description.strip():
        return None
    return package.record(package.url, package.description)


def _topic(topic: tuple[str, str]) -> _Found:
    name, text = topic
    url = f"python:{platform.python_version()}/pydoc_data/topics/{name}"
    return Record(url, text, license=_TOPICS_LICENSE, language="en", metadata={"topic": name})


# --------------------------------------------------------------------------------- distributions


def _distributions(packages: list[str]) -> list[metadata.Distribution]:
    """Return the installed distributions that are named, or all that are alike on all machines.

    Sorted by normalised name. Raises UserError for one that is not installed, or is editable: its
    files are somebody's working copy, which no version identifies.
    """
    installed: dict[str, metadata.Distribution] = {}
    for distribution in metadata.distributions():
        if name := distribution.metadata["Name"]:  # else the remains of a broken install
            installed.setdefault(_normalised(name), distribution)
    if not packages:
        return [
            distribution
            for name, distribution in sorted(installed.items())
            if not _MACHINE_SPECIFIC.fullmatch(name) and not _direct_url(distribution)
        ]
    names = sorted({_normalised(package) for package in packages})
    if missing := [name for name in names if name not in installed]:
        raise UserError(
            f"not installed: {', '.join(missing)}; correct `packages` of this python-environment "
            "source, or install them into the environment that collects"
        )
    for name in names:
        if _direct_url(installed[name]).get("dir_info", {}).get("editable"):
            raise UserError(
                f"{name} is an editable install, which no version identifies: take "
                "it out of `packages` of this python-environment source, or install a release"
            )
    return [installed[name] for name in names]


def _direct_url(distribution: metadata.Distribution) -> dict[str, Any]:
    """Return the record of an install from a URL or folder (PEP 610), empty for a release."""
    text = distribution.read_text("direct_url.json")
    return json.loads(text) if text else {}


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _field(fields: metadata.PackageMetadata, name: str) -> str | None:
    """Return a field or None; importlib_metadata, once imported, raises KeyError for the latter."""
    return fields[name] if name in fields else None  # noqa: SIM401  there is no `get` in Python 3.11


def _license(fields: metadata.PackageMetadata) -> str | None:
    if expression := _field(fields, "License-Expression"):
        return expression
    stated = (_field(fields, "License") or "").strip()
    is_name = "\n" not in stated and len(stated) <= _MAX_LICENSE_CHARACTERS
    if stated and stated.upper() != "UNKNOWN" and is_name:
        return stated
    classifiers = [
        value.split(" :: ")[-1]
        for value in fields.get_all("Classifier") or []
        if value.startswith("License :: ")
    ]
    return "; ".join(classifiers) or None


def _is_module(path: PurePosixPath) -> bool:
    """Tell whether a listed file is a module that the package itself consists of."""
    return (
        path.suffix == ".py"
        and ".." not in path.parts
        and not _TEST_FOLDERS & set(path.parts)
        and not _TEST_FILE.fullmatch(path.name)
    )


def _module_name(path: PurePosixPath) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
