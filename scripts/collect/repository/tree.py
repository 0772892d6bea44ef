"""The files of a repository: a folder as it is, or a git commit without a working copy.

Git is asked for the objects alone, and its files are read from there: nothing is checked out, so
that no hook, filter, symbolic link or submodule of somebody else's comes to effect.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from scripts.common.errors import UserError

_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "https:ssh:file",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",  # a graphical prompt would wait for ever, too
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_OPTIONAL_LOCKS": "0",
}
_OPTIONS = [
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "gc.auto=0"),
    *("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60"),  # a stalled server
    *("-c", "transfer.fsckObjects=true"),
]
_ELSEWHERE = {  # where git would look for a repository instead, as it is told within its hooks
    "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
}  # fmt: skip
_BATCH_MODE = "ssh -o BatchMode=yes"
_TREE_LINE = re.compile(r"(\d{6}) (\w+) ([0-9a-f]+) +(\d+|-)\t(.*)", re.DOTALL)
_REGULAR_FILES = {"100644", "100755"}
_SHOWN_CHARACTERS = 500


@dataclass(frozen=True, order=True)
class File:
    """A regular file: its path within the repository, and its size."""

    path: PurePosixPath
    size: int
    key: str  # how the tree finds it again


class Tree(Protocol):
    """A repository's files, sorted by path."""

    def files(self) -> list[File]: ...

    def read(self, file: File) -> bytes: ...


class Folder:
    """A folder: links are not followed, the store of a version control system is no part of it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self) -> list[File]:
        return sorted(self._walk(self.root))

    def local_files(self) -> list[Path]:
        """Return the files' own paths."""
        return [Path(file.key) for file in self.files()]

    def read(self, file: File) -> bytes:
        return Path(file.key).read_bytes()

    def _walk(self, folder: Path) -> Iterator[File]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in (".git", ".hg", ".svn"):
                        yield from self._walk(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    path = PurePosixPath(Path(entry.path).relative_to(self.root).as_posix())
                    yield File(path, entry.stat(follow_symlinks=False).st_size, entry.path)


class Commit:
    """A commit within a bare repository of this machine."""

    def __init__(self, repository: Path, revision: str) -> None:
        self._repository = repository
        listing = _git(repository, "ls-tree", "-r", "-z", "-l", "--full-tree", revision)
        self._files = sorted(_listed(listing))
        self._reader = subprocess.Popen(
            ["git", *_OPTIONS, "cat-file", "--batch"],
            cwd=repository,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def files(self) -> list[File]:
        return self._files

    def read(self, file: File) -> bytes:
        assert self._reader.stdin is not None and self._reader.stdout is not None
        self._reader.stdin.write(f"{file.key}\n".encode())
        self._reader.stdin.flush()
        head = self._reader.stdout.readline().split()
        if len(head) != 3 or head[1] != b"blob":
            raise UserError(f"git has no content for {file.path} ({b' '.join(head)!r}): run again")
        content = self._reader.stdout.read(int(head[2]) + 1)
        return content[:-1]

    def close(self) -> None:
        self._reader.communicate()


@contextmanager
def fetched(url: str, revision: str) -> Iterator[Commit]:
    """Fetch a commit, without its history where the server lets us, and forget it at the end.

    Raises UserError with what git said if it cannot be had.
    """
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder)
        _git(repository, "init", "--quiet", "--bare", ".")
        try:
            _git(repository, "fetch", "--quiet", "--no-tags", "--depth=1", "--", url, revision)
        except UserError:  # not every server gives out a commit by its name alone
            _git(repository, "fetch", "--quiet", "--", url, "+refs/*:refs/*")
        try:
            commit = Commit(repository, revision)
        except UserError as error:
            raise UserError(
                f"{url} has no commit {revision} ({error}): correct `revision`"
            ) from error
        try:
            yield commit
        finally:
            commit.close()


def _git(repository: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", *_OPTIONS, *arguments],
            cwd=repository,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise UserError(
            "git is not installed: install it, or give the repository's `path`"
        ) from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-_SHOWN_CHARACTERS:]
        raise UserError(
            f"git {arguments[0]} failed: {said}\nCorrect `url` or `revision`, see that git can log "
            "in without asking (a credential helper, an ssh key), or run again"
        )
    return done.stdout


def _environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    return {"GIT_SSH_COMMAND": _BATCH_MODE, **inherited, **_ENVIRONMENT, "LC_ALL": "C"}


def _listed(listing: bytes) -> Iterator[File]:
    for line in listing.split(b"\0")[:-1]:
        match = _TREE_LINE.fullmatch(line.decode("utf-8", "surrogateescape"))
        if match and match[1] in _REGULAR_FILES:
            yield File(PurePosixPath(match[5]), int(match[4]), match[3])
