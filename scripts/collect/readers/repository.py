"""Source repositories: folders, or git at a commit; a document for each file or repository.

With ``concatenate``, the files of a repository follow each other in the order of their imports,
each under a comment with its path, as a model with a long context is to see them.
"""

import difflib
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from scripts.collect import files
from scripts.collect.records import Found, Record, Skipped
from scripts.collect.repository.code import Code, LeftOut, Repository, printable
from scripts.collect.repository.languages import KNOWN
from scripts.collect.repository.licenses import joint
from scripts.collect.repository.places import Place, places
from scripts.collect.repository.tree import Tree
from scripts.common.config.collect import RepositorySource
from scripts.common.errors import UserError


class RepositoryReader:
    def __init__(self, source: RepositorySource) -> None:
        self.source = source
        for language in sorted(set(source.languages) - set(KNOWN)):
            near = difflib.get_close_matches(language, KNOWN) or sorted(KNOWN)
            raise UserError(f"`languages`: {language!r} is not known; did you mean one of {near}?")
        self.places = places(source)

    def inputs(self, shard: int) -> dict[str, Any]:
        mine = files.share(self.places, shard, self.source.shards)
        versions = {name: version(name) for name in ("networkx", "packaging")}
        return {**{place.name: place.identity() for place in mine}, **versions}

    def read(self, shard: int) -> Iterator[Found]:
        for place in files.share(self.places, shard, self.source.shards):
            with place.opened() as tree:
                yield from files.share_records(
                    self._records(place, tree), self.places, shard, self.source.shards
                )

    def _records(self, place: Place, tree: Tree) -> Iterator[Found]:
        repository = Repository(tree, self.source.languages, self.source.max_characters)
        if self.source.concatenate:
            yield from self._parts(place, repository)
            return
        for found in repository.by_path():
            locator = f"{place.name}/{printable(found.path)}"
            if isinstance(found, LeftOut):
                yield Skipped(locator, found.reason)
            else:
                about = {"path": printable(found.path), "language": found.language.name}
                yield _record(place, locator, found.text, found.license, about)

    def _parts(self, place: Place, repository: Repository) -> Iterator[Found]:
        """Yield the repository as one document, or as several where it would be too long."""
        part: list[Code] = []
        length = number = 0
        for found in repository.by_imports():
            if isinstance(found, LeftOut):
                yield Skipped(f"{place.name}/{printable(found.path)}", found.reason)
                continue
            size = len(found.under_its_path()) + 1
            if part and length + size > self.source.max_characters:
                yield _joined(place, number, part)
                part, length, number = [], 0, number + 1
            part.append(found)
            length += size
        if part:
            yield _joined(place, number, part)


def _joined(place: Place, number: int, part: list[Code]) -> Record:
    about = {
        "part": number,
        "paths": [printable(code.path) for code in part],
        "languages": sorted({code.language.name for code in part}),
    }
    text = "\n".join(code.under_its_path() for code in part)
    return _record(
        place, f"{place.name}#{number}", text, joint(code.license for code in part), about
    )


def _record(
    place: Place, locator: str, text: str, license: str | None, about: dict[str, Any]
) -> Record:
    where = {"repository": place.url or place.name, "revision": place.revision or None}
    return Record(locator, text, url=locator, license=license, metadata={**where, **about})
