"""Where the repositories of a source are, and what identifies their content."""

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from scripts.collect import files
from scripts.collect.repository.tree import Folder, Tree, fetched
from scripts.common.canonical import dumps, sha256_text
from scripts.common.config.collect import RepositorySource
from scripts.common.errors import UserError


@dataclass(frozen=True, slots=True)
class Place:
    """A folder, or a git repository at a commit; ``name`` is what its files' urls begin with."""

    name: str
    folder: Path | None = None
    url: str = ""
    revision: str = ""

    @contextmanager
    def opened(self) -> Iterator[Tree]:
        """Yield the files; raises UserError if they cannot be fetched."""
        if self.folder is not None:
            yield Folder(self.folder)
            return
        with fetched(self.url, self.revision) as commit:
            yield commit

    def local_files(self) -> list[Path]:
        """Return the files of a folder: none for what is elsewhere."""
        return [] if self.folder is None else Folder(self.folder).local_files()

    def identity(self) -> str:
        """Return what determines the content: a commit, or a hash over a folder's files."""
        if self.folder is None:
            return self.revision
        tree = Folder(self.folder)
        hashes = {
            files.printable(file.path): sha256(tree.read(file)).hexdigest() for file in tree.files()
        }
        return sha256_text(dumps(hashes))


def places(source: RepositorySource) -> list[Place]:
    """Return the source's repositories in the order of the configuration, each once.

    Raises UserError for a path that is no folder.
    """
    found: dict[str, Place] = {}
    for repository in source.repositories:
        if repository.url and repository.revision:
            name = f"{repository.url}@{repository.revision}"
            found[name] = Place(name, url=repository.url, revision=repository.revision)
        for folder in _folders(repository.path) if repository.path else ():
            name = files.printable(folder)
            found[name] = Place(name, folder)
    return list(found.values())


def _folders(pattern: str) -> list[Path]:
    path = Path(pattern)
    matched = [path] if path.exists() else map(Path, glob.glob(pattern))  # noqa: PTH207
    folders = sorted(one for one in matched if one.is_dir())
    if not folders:
        raise UserError(
            f"no folder matches {pattern!r}: correct `path` in `repositories` of this source (a "
            "folder or a pattern such as 'repos/*', relative to the working directory)"
        )
    return folders
