"""Good and bad documents to learn from: equally many, the same whatever the shards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.common import tables
from scripts.common.artifact import Artifact
from scripts.common.errors import UserError
from scripts.common.keyed_hash import keyed_hash

VALIDATION_ONE_IN = 10


@dataclass(frozen=True)
class Example:
    order: int  # the hash of the document's id
    text: str
    good: bool


@dataclass(frozen=True)
class _Candidate:
    order: int
    path: Path
    row: int


def read_sides(
    name: str, positive: Sequence[Path], negative: Sequence[Path], most: int
) -> tuple[list[Example], list[Example]]:
    """Return examples to train on and, a tenth of all, to validate with, in order of their hashes.

    ``positive`` and ``negative`` are the content records of their documents. Both sides give
    equally many, at most ``most``, chosen by the hash of their ids. Raises UserError where a side
    has too few.
    """
    sides = {"positive": _candidates(name, positive), "negative": _candidates(name, negative)}
    per_side = min(most, *map(len, sides.values()))
    if per_side < VALIDATION_ONE_IN:
        found = {side: len(candidates) for side, candidates in sides.items()}
        raise UserError(
            f"raters.{name}: {found} documents are too few to train on and validate with; "
            f"name sources that have at least {VALIDATION_ONE_IN} documents a side"
        )
    examples = sorted(
        (
            example
            for side, candidates in sides.items()
            for example in _read(candidates[:per_side], good=side == "positive")
        ),
        key=lambda example: example.order,
    )
    return (
        [example for place, example in enumerate(examples) if place % VALIDATION_ONE_IN],
        examples[::VALIDATION_ONE_IN],
    )


def _candidates(name: str, contents: Sequence[Path]) -> list[_Candidate]:
    """Return the documents of one side, in the order of their ids' hashes."""
    found: list[_Candidate] = []
    for content in contents:
        path = Artifact.load(content).member("documents.parquet")
        ids = tables.read(path, ["id"]).column("id").to_numpy()
        hashes = keyed_hash(ids, f"rater {name}").tolist()
        found.extend(_Candidate(order, path, row) for row, order in enumerate(hashes))
    return sorted(found, key=lambda candidate: (candidate.order, str(candidate.path)))


def _read(candidates: list[_Candidate], good: bool) -> Iterator[Example]:
    for path in sorted({candidate.path for candidate in candidates}):
        here = sorted((one for one in candidates if one.path == path), key=lambda one: one.row)
        texts = tables.take(path, ["text"], [candidate.row for candidate in here])["text"]
        for candidate, text in zip(here, texts.to_pylist(), strict=True):
            yield Example(candidate.order, text, good)
