"""Phases compared in pairs on every task, with intervals and verdicts.

The intervals cover the choice of items, not the noise of training: two seeds of one phase may
differ by more. A verdict of `better` or `worse` holds after Holm's correction over all rows of a
pair. A retention domain is `retained` if its bits per byte, at the bad end of the interval, rose
by less than the margin (in bits per byte): a test of non-inferiority.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model, Name
from scripts.common.errors import UserError
from scripts.evaluate import bootstrap, scores

log = logging.getLogger(__name__)

SCHEMA = pa.schema(
    [
        pa.field("phase", pa.string(), nullable=False),
        pa.field("against", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("higher_is_better", pa.bool_(), nullable=False),
        pa.field("n", pa.int64(), nullable=False),  # items
        pa.field("documents", pa.int64(), nullable=False),
        pa.field("mean_phase", pa.float64(), nullable=False),
        pa.field("mean_against", pa.float64(), nullable=False),
        pa.field("delta", pa.float64(), nullable=False),  # phase less against
        pa.field("low", pa.float64(), nullable=False),
        pa.field("high", pa.float64(), nullable=False),
        pa.field("p", pa.float64(), nullable=False),
        pa.field("p_holm", pa.float64(), nullable=False),
        pa.field("better", pa.bool_(), nullable=False),
        pa.field("worse", pa.bool_(), nullable=False),
        pa.field("margin", pa.float64()),  # null where nothing is to be retained
        pa.field("retained", pa.bool_()),
    ]
)
# With k documents that all lean one way every resample does too, whereas a sign test gives 2^(1-k).
MINIMUM_DOCUMENTS = 10

Row = dict[str, Any]
Evaluations = Mapping[tuple[str, str], Artifact]  # by phase and task


class Retention(Model):
    """The tasks by domain, the domains to retain, and the loss that is allowed [bits per byte]."""

    tasks: list[Name]
    domains: list[Name]
    margin: Annotated[float, Field(gt=0)]


class Settings(Model):
    tasks: list[Name]
    compare: dict[Name, list[Name]]
    retention: Retention
    confidence: Annotated[float, Field(gt=0, lt=1)]

    def pairs(self) -> list[tuple[str, str]]:
        return [(phase, other) for phase in sorted(self.compare) for other in self.compare[phase]]

    def evaluations(self) -> list[tuple[str, str]]:
        """Return each phase and task that a pair needs, once."""
        phases = {phase for pair in self.pairs() for phase in pair}
        return [(phase, task) for phase in sorted(phases) for task in self.tasks]


def build(draft: Draft, evaluations: Evaluations, settings: Settings) -> None:
    """Compare each pair of phases; raises UserError if they were scored on different items."""
    rows = [
        row
        for phase, against in settings.pairs()
        for row in _compare_pair(phase, against, evaluations, settings)
    ]
    tables.write(pa.Table.from_pylist(rows, schema=SCHEMA), draft.path("comparison.parquet"))
    draft.counts = {
        "rows": len(rows),
        "better": sum(row["better"] for row in rows),
        "worse": sum(row["worse"] for row in rows),
        "retained": sum(row["retained"] is True for row in rows),
        "not_retained": sum(row["retained"] is False for row in rows),
    }


def _compare_pair(
    phase: str, against: str, evaluations: Evaluations, settings: Settings
) -> list[Row]:
    rows = [
        {"phase": phase, "against": against, "task": task, **row}
        for task in settings.tasks
        for row in _compare_task(
            evaluations[phase, task], evaluations[against, task], settings.confidence
        )
    ]
    for row, p in zip(rows, bootstrap.holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
        decided = p <= 1 - settings.confidence and row["documents"] >= MINIMUM_DOCUMENTS
        row["better"] = decided and (row["delta"] > 0) == row["higher_is_better"]
        row["worse"] = decided and not row["better"]
        row.update(_retention(row, settings.retention))
    return rows


def _compare_task(first: Artifact, second: Artifact, confidence: float) -> Iterator[Row]:
    """Yield a row for each group and metric of a task, less what concerns the pair as a whole."""
    ours, theirs = _cells(first), _cells(second)
    for group, metric in sorted(ours.keys() | theirs.keys()):
        cell, other = ours.get((group, metric)), theirs.get((group, metric))
        if cell is None or other is None or not _same_items(cell, other):
            raise UserError(
                f"{first.folder} and {second.folder} hold different items of {group}/{metric}: "
                "the phases must have the same tokenizer and items; evaluate both again"
            )
        values, weights = cell["value"], cell["weight"]
        estimate = bootstrap.paired(values, other["value"], weights, cell["document"], confidence)
        yield {
            "group": group,
            "metric": metric,
            "higher_is_better": scores.higher_is_better(metric),
            "n": len(values),
            "documents": len(np.unique(cell["document"])),
            "mean_phase": float(np.average(values, weights=weights)),
            "mean_against": float(np.average(other["value"], weights=weights)),
            **estimate._asdict(),
        }


def _cells(evaluation: Artifact) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the columns of each group and metric as arrays, ordered by item."""
    table = tables.read(evaluation.member(scores.MEMBER)).sort_by("item")
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    keys = list(zip(columns["group"].tolist(), columns["metric"].tolist(), strict=True))
    rows: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    return {
        key: {name: column[chosen] for name, column in columns.items()}
        for key, chosen in rows.items()
    }


def _same_items(cell: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(np.array_equal(cell[name], other[name]) for name in ("item", "document", "weight"))


def _retention(row: Row, retention: Retention) -> Row:
    if row["task"] not in retention.tasks or row["group"] not in retention.domains:
        return {"margin": None, "retained": None}
    return {"margin": retention.margin, "retained": row["high"] < retention.margin}


def main() -> None:
    arguments = parser(__doc__).parse_args()
    settings = parse_settings(Settings, arguments.settings)
    records = {key: layout.evaluation(*key) for key in settings.evaluations()}
    artifact = make(
        lambda draft: build(
            draft, {key: Artifact.load(path) for key, path in records.items()}, settings
        ),
        output=layout.comparison(),
        module="scripts.evaluate.compare",
        settings=settings.model_dump(mode="json"),
        inputs=records.values(),
    )
    log.info("comparison: %s", ", ".join(f"{n} {name}" for name, n in artifact.counts.items()))


if __name__ == "__main__":
    run(main)
