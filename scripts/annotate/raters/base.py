"""What all kinds of rater share: the record of a rater, and what a kind's module must offer."""

import importlib
import json
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from scripts.annotate.raters.kinds import module_of
from scripts.common import canonical, layout
from scripts.common.artifact import Artifact, Draft
from scripts.common.config.annotate import TextRater
from scripts.common.config.base import Model, Name
from scripts.common.errors import UserError
from scripts.common.texts import Texts

RECORD = "rater.json"


class Training(Model):
    """A rater to train, or to take over; ``shards`` counts those of each source that it names."""

    rater: TextRater
    shards: dict[Name, int]

    def documents(self, source: str) -> list[Path]:
        return [layout.documents(source, shard) for shard in range(self.shards[source])]


class Record(Model):
    """A rater's member ``rater.json``: its settings, and the sha256 of the user's files it needs.

    The files are not copied, as models are large: they are checked before they are used.
    """

    rater: TextRater
    files: dict[str, str]

    @classmethod
    def read(cls, rater: Artifact) -> "Record":
        return cls.model_validate_json(rater.member(RECORD).read_text(encoding="utf-8"))

    def write(self, draft: Draft) -> None:
        text = canonical.dumps(self.model_dump(mode="json")) + "\n"
        draft.path(RECORD).write_text(text, encoding="utf-8")

    def check_files(self) -> None:
        """Raise UserError for a file that is no longer what the rater was made with."""
        for name, sha256 in self.files.items():
            path = Path(name)
            if not path.is_file() or canonical.sha256_file(path) != sha256:
                raise UserError(
                    f"{name} is missing or has changed since the rater was made: put it back, or "
                    "run Snakemake, which makes the rater again"
                )


class Scorer(Protocol):
    """A rater, ready to score."""

    def score(self, texts: Texts) -> NDArray[np.float64]:
        """Return each text's score, float64 [texts]; NaN where there is none."""

    def counts(self) -> dict[str, Any]:
        """Return what is to be told of all that was scored."""


class Kind(Protocol):
    """The module of a kind of rater."""

    def train(self, draft: Draft, name: str, training: Training) -> None:
        """Write the rater's members and counts; raises UserError where that cannot be."""

    def scorer(self, rater: Artifact, record: Record) -> Scorer:
        """Open a rater."""


def load(kind: str) -> Kind:
    return cast(Kind, importlib.import_module(module_of(kind)))


def kind_of(path: Path) -> str:
    """Return the kind of a rater by its content record's path."""
    record = json.loads(Artifact.load(path).member(RECORD).read_bytes())
    return str(record["rater"]["kind"])
