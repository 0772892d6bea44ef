"""Making and reading artifacts: folders of files with a manifest (see ``layout``).

``make`` runs a program's work in a temporary folder, then hashes, syncs and renames what it wrote
and writes the records, ``content.json`` last: an artifact is whole or absent. If the folder already
holds what the same inputs, settings and code made, ``make`` keeps it: Snakemake plans every job
behind a changed one, and this is where a change that changed nothing stops spreading.
"""

import errno
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common import canonical, layout, provenance
from scripts.common.code import code_hash
from scripts.common.errors import UserError
from scripts.common.files import replace, write_text

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Artifact:
    """A finished artifact, read from its ``content.json``."""

    path: Path
    content: Mapping[str, Any]

    @classmethod
    def load(cls, path: Path) -> "Artifact":
        """Read the artifact whose ``content.json`` is at ``path``.

        Raises UserError if it is absent or not a content record.
        """
        try:
            content = json.loads(path.read_bytes())
            content["members"], content["counts"]
        except FileNotFoundError:
            raise UserError(f"{path} is missing: make it with `snakemake {path}`") from None
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} is no content record ({error}): delete it and run Snakemake again"
            ) from None
        return cls(path, content)

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def counts(self) -> Mapping[str, Any]:
        return self.content["counts"]

    @property
    def digest(self) -> str:
        """The sha256 by which other manifests name this artifact as their input."""
        return canonical.sha256_text(canonical.dumps(self.content))

    def member(self, name: str) -> Path:
        """Return the path of a member file, checked to be listed, there and of its full size.

        Raises UserError otherwise; ``verify`` also compares the hashes.
        """
        record = self.content["members"].get(name)
        file = self.folder / name
        if record is None:
            raise UserError(f"{self.path} lists no member {name!r}: it was made by other code")
        if not file.is_file() or file.stat().st_size != record["size"]:
            raise UserError(
                f"{file} is missing or truncated ({record['size']} bytes expected): "
                f"delete {self.path} and run Snakemake again"
            )
        return file

    def check_members(self) -> None:
        """Check that every member is there and of its full size; raises UserError otherwise."""
        for name in self.content["members"]:
            self.member(name)

    def verify(self) -> None:
        """Check the hash of every member; raises UserError naming the first that differs."""
        for name, record in self.content["members"].items():
            if canonical.sha256_file(self.member(name)) != record["sha256"]:
                raise UserError(
                    f"{self.folder / name} does not have the sha256 that {self.path} records: "
                    f"delete {self.path} and run Snakemake again"
                )


class Draft:
    """An artifact in the making: write members to ``path(name)``, set ``counts``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.counts: dict[str, Any] = {}

    def path(self, name: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def member_names(self) -> list[str]:
        files = (file for file in self.folder.rglob("*") if file.is_file())
        return sorted(file.relative_to(self.folder).as_posix() for file in files)


@dataclass(frozen=True)
class Observing:
    """What is measured while an artifact is made, and decides nothing but the record of it.

    An artifact is not made anew for another ``settings`` or other ``inputs`` of this kind: it keeps
    the record that it has, and says in its manifest what that was measured by.
    """

    settings: Any
    inputs: Sequence[Path]

    def record(self) -> dict[str, Any]:
        """Return what manifests say of it; raises UserError for inputs that are missing."""
        return {"inputs": _digests(self.inputs), "settings": self.settings}


def make(
    build: Callable[[Draft], None],
    *,
    output: Path,
    module: str,
    settings: Any,
    inputs: Iterable[Path],
    loads: Iterable[str] = (),
    observing: Observing | None = None,
) -> Artifact:
    """Make the artifact at ``output`` (its ``content.json``) by ``build``, or keep it as it is.

    ``module`` is the program's dotted name, ``settings`` whatever JSON can carry, ``inputs`` the
    content records of the artifacts that ``build`` reads, ``loads`` the modules that the program
    imports by a name it was given. Raises UserError for inputs that are missing or truncated and
    for a full disk; then nothing is left under the artifact's final names.
    """
    manifest = {
        "code": code_hash(module, *loads),
        "inputs": _digests(inputs),
        "module": module,
        "settings": settings,
    }
    observed = {} if observing is None else {"observing": observing.record()}
    if kept := _kept(output, manifest, observed):
        log.info("%s: kept, same inputs, settings and code as when it was made", output.parent)
        return kept
    attempt = provenance.start()
    partial = output.parent / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        draft = Draft(partial)
        build(draft)
        content = _content(draft)
        _publish(draft, output, {**manifest, **observed, "content": content}, attempt)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"no space left on the disk of {output.parent}: nothing was kept of this attempt; "
                "free some and run Snakemake again"
            ) from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Artifact.load(output)


def _digests(inputs: Iterable[Path]) -> dict[str, str]:
    return {path.as_posix(): _whole(path).digest for path in sorted(inputs)}


def _whole(path: Path) -> Artifact:
    artifact = Artifact.load(path)
    artifact.check_members()
    return artifact


def _content(draft: Draft) -> dict[str, Any]:
    members = {
        name: {
            "sha256": canonical.sha256_file(draft.folder / name),
            "size": (draft.folder / name).stat().st_size,
        }
        for name in draft.member_names()
    }
    return {"counts": draft.counts, "members": members}


def _publish(draft: Draft, output: Path, manifest: dict[str, Any], attempt: dict[str, Any]) -> None:
    folder = output.parent
    for record in (layout.CONTENT, layout.MANIFEST, layout.PROVENANCE):
        (folder / record).unlink(missing_ok=True)  # a crash from here on leaves none that lies
    for name in manifest["content"]["members"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        replace(draft.folder / name, folder / name)
    write_text(folder / layout.MANIFEST, canonical.dumps(manifest) + "\n")
    write_text(folder / layout.PROVENANCE, canonical.dumps(provenance.finish(attempt)) + "\n")
    write_text(output, canonical.dumps(manifest["content"]) + "\n")


def _kept(output: Path, wanted: Mapping[str, Any], observed: Mapping[str, Any]) -> Artifact | None:
    """Return the artifact that is already there if ``wanted`` made it and it is intact."""
    try:
        manifest = json.loads((output.parent / layout.MANIFEST).read_bytes())
        content = manifest.pop("content")
        before = {"observing": manifest.pop("observing")} if "observing" in manifest else {}
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    if canonical.dumps(manifest) != canonical.dumps(wanted):
        return None
    artifact = Artifact(output, content)
    try:
        artifact.verify()
    except UserError as error:
        log.warning("%s", error)
        return None
    if canonical.dumps(before) != canonical.dumps(observed):
        log.info(
            "%s: what is measured while it is made has changed, which is no reason to make it "
            "again: delete %s to have it measured so",
            output.parent,
            output.parent,
        )
    write_text(output, canonical.dumps(content) + "\n")
    return artifact
