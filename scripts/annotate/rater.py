"""Train a rater: a fastText classifier of good against bad documents.

Both sides give equally many documents, chosen and ordered by the hash of their ids, so that a
score of 0.5 is the line between the two. A tenth of them is kept from training and measures the
rater; the held-out documents of the sources are not read.
"""

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from scripts.annotate import model
from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.annotate import Rater
from scripts.common.config.base import Model, Name
from scripts.common.errors import UserError
from scripts.common.keyed_hash import keyed_hash

log = logging.getLogger(__name__)

_VALIDATION_ONE_IN = 10
_MIN_ACCURACY = 0.6


class Settings(Model):
    """``shards`` is the number of shards of each source that the rater names."""

    rater: Rater
    shards: dict[Name, int]

    def documents(self, source: str) -> list[Path]:
        return [layout.documents(source, shard) for shard in range(self.shards[source])]


@dataclass(frozen=True)
class Example:
    order: int  # the hash of the document's id
    text: str
    good: bool


def build(draft: Draft, name: str, settings: Settings) -> None:
    """Write `model.bin`; raises UserError where a side has too few documents to learn from."""
    sides = {
        side: _candidates(settings, sources, name)
        for side, sources in (
            ("positive", settings.rater.positive),
            ("negative", settings.rater.negative),
        )
    }
    per_side = min(settings.rater.documents_per_side, *map(len, sides.values()))
    if per_side < _VALIDATION_ONE_IN:
        found = {side: len(candidates) for side, candidates in sides.items()}
        raise UserError(
            f"raters.{name}: {found} documents are too few to train on and validate with; "
            f"name sources that have at least {_VALIDATION_ONE_IN} documents a side"
        )
    examples = [
        example
        for side, candidates in sides.items()
        for example in _read(candidates[:per_side], good=side == "positive")
    ]
    examples.sort(key=lambda example: example.order)
    validation = examples[::_VALIDATION_ONE_IN]
    training = [example for place, example in enumerate(examples) if place % _VALIDATION_ONE_IN]
    with tempfile.TemporaryDirectory() as folder:
        model.train(
            ((example.text, example.good) for example in training),
            settings.rater,
            lines=Path(folder, "examples.txt"),
            model=draft.path("model.bin"),
        )
    accuracy = _accuracy(draft.path("model.bin"), validation)
    if accuracy < _MIN_ACCURACY:
        log.warning(
            "raters.%s: accuracy %.3f on documents kept from training is close to chance: "
            "its two sides are too alike, or too few",
            name,
            accuracy,
        )
    draft.counts = {
        "accuracy": round(accuracy, 6),
        "documents_per_side": per_side,
        "training": len(training),
        "validation": len(validation),
    }


@dataclass(frozen=True)
class _Candidate:
    order: int
    path: Path
    row: int


def _candidates(settings: Settings, sources: list[str], name: str) -> list[_Candidate]:
    """Return the documents of one side, in the order of their ids' hashes."""
    found: list[_Candidate] = []
    for source in sources:
        for content in settings.documents(source):
            path = Artifact.load(content).member("documents.parquet")
            ids = tables.read(path, ["id"]).column("id").to_numpy()
            hashes = keyed_hash(ids, f"rater {name}").tolist()
            found.extend(_Candidate(order, path, row) for row, order in enumerate(hashes))
    return sorted(found, key=lambda candidate: (candidate.order, str(candidate.path)))


def _read(candidates: list[_Candidate], good: bool) -> list[Example]:
    examples: list[Example] = []
    for path in sorted({candidate.path for candidate in candidates}):
        here = [candidate for candidate in candidates if candidate.path == path]
        rows = pa.array([candidate.row for candidate in here], pa.int64())
        texts = tables.read(path, ["text"]).column("text").take(rows).to_pylist()
        examples.extend(
            Example(candidate.order, text, good)
            for candidate, text in zip(here, texts, strict=True)
        )
    return examples


def _accuracy(path: Path, examples: list[Example]) -> float:
    scores = model.Model(path).score([example.text for example in examples])
    good = np.array([example.good for example in examples])
    return float(((scores > 0.5) == good).mean())


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rater", required=True)
    given = arguments.parse_args()
    settings = parse_settings(Settings, given.settings)
    artifact = make(
        lambda draft: build(draft, given.rater, settings),
        output=layout.rater(given.rater),
        module="scripts.annotate.rater",
        settings=settings.model_dump(mode="json"),
        inputs=[content for source in settings.shards for content in settings.documents(source)],
    )
    log.info(
        "rater %s: %s documents a side, accuracy %.3f on %s kept from training",
        given.rater,
        f"{artifact.counts['documents_per_side']:,}",
        artifact.counts["accuracy"],
        f"{artifact.counts['validation']:,}",
    )


if __name__ == "__main__":
    run(main)
