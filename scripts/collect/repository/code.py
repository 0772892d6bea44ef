"""A repository's code: which of its files it is, in what order, and under which licenses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from scripts.collect.repository import chaff
from scripts.collect.repository.imports import dependency_order, imports
from scripts.collect.repository.languages import Language, language_of
from scripts.collect.repository.licenses import folder_license, header_license, is_license_file
from scripts.collect.repository.tree import File, Tree

_MAX_LICENSE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Code:
    """A file of source code."""

    path: PurePosixPath
    language: Language
    text: str
    license: str | None

    def under_its_path(self) -> str:
        """Return the text below a comment that says which file it is."""
        return f"{self.language.remark(printable(self.path))}\n{self.text.strip(chr(10))}\n"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is no code of the repository's own, with the reason."""

    path: PurePosixPath
    reason: str


class Repository:
    """The code in a tree of files, read when it is asked for: texts are not kept."""

    def __init__(self, tree: Tree, languages: Sequence[str], max_characters: int) -> None:
        self._tree = tree
        self._languages = languages
        self._max_characters = max_characters
        self.files = tree.files()

    def by_path(self) -> Iterator[Code | LeftOut]:
        """Yield what each file is, in the order of the paths."""
        return map(self._code, self.files)

    def by_imports(self) -> Iterator[Code | LeftOut]:
        """Yield first what is left out, then the code, each file after those that it imports."""
        candidates = {str(file.path) for file in self.files if not self._reason_by_path(file)}
        imported: dict[str, set[str]] = {}
        for found in self.by_path():
            if isinstance(found, LeftOut):
                yield found
            else:
                path = str(found.path)
                imported[path] = imports(path, found.language.name, found.text, candidates)
        files = {str(file.path): file for file in self.files}
        for path in dependency_order(imported):
            yield self._code(files[path])

    def _code(self, file: File) -> Code | LeftOut:
        if reason := self._reason_by_path(file):
            return LeftOut(file.path, reason)
        content = self._tree.read(file)
        if chaff.is_binary(content):
            return LeftOut(file.path, "binary")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return LeftOut(file.path, "not_utf8")
        if len(text) > self._max_characters:
            return LeftOut(file.path, "too_long")
        if reason := chaff.reason_by_text(file.path, text):
            return LeftOut(file.path, reason)
        language = language_of(file.path)
        assert language is not None  # else it is not code by its path
        return Code(file.path, language, text, header_license(text) or self._license(file.path))

    def _reason_by_path(self, file: File) -> str | None:
        if reason := chaff.reason_by_path(file.path):
            return reason
        language = language_of(file.path)
        if language is None or is_license_file(file.path):
            return "not_code"
        if self._languages and language.name not in self._languages:
            return "other_language"
        # No character takes more than four bytes: this one is not even read.
        return "too_long" if file.size > 4 * self._max_characters else None

    def _license(self, path: PurePosixPath) -> str | None:
        """Return the license of the nearest folder above a file that has license files."""
        near = (folder for folder in path.parents if folder in self._folder_licenses)
        return next((self._folder_licenses[folder] for folder in near), None)

    @cached_property
    def _folder_licenses(self) -> dict[PurePosixPath, str | None]:
        texts: dict[PurePosixPath, dict[str, str]] = {}
        for file in self.files:
            if is_license_file(file.path) and file.size <= _MAX_LICENSE_BYTES:
                text = self._tree.read(file).decode(errors="replace")
                texts.setdefault(file.path.parent, {})[file.path.name] = text
        return {folder: folder_license(named) for folder, named in texts.items()}


def printable(path: PurePosixPath) -> str:
    """Return a path as text that UTF-8 can carry and that ends no line."""
    text = str(path).encode("utf-8", "backslashreplace").decode()
    return text.replace("\n", "\\n").replace("\r", "\\r")
