"""What was gained and what was kept: scores, paired differences and their verdicts."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from scripts.common import layout, tables
from scripts.common.artifact import Artifact
from scripts.common.config import Phase
from scripts.common.errors import UserError

BETTER, WORSE, UNDECIDED = "better", "worse", "undecided"
RETAINED, LOST = "retained", "lost"


@dataclass(frozen=True)
class Delta:
    """A paired difference, turned so that a positive ``gain`` is better."""

    phase: str
    against: str
    task: str
    group: str
    metric: str
    n: int
    mean_phase: float
    mean_against: float
    gain: float
    low: float
    high: float
    verdict: str
    margin: float | None  # where the group is a retention domain
    retained: bool | None

    @property
    def label(self) -> str:
        return self.task if self.group == self.task else f"{self.task} · {self.group}"

    @property
    def retention(self) -> str | None:
        """RETAINED, LOST (wholly beyond the margin) or UNDECIDED; None elsewhere."""
        if self.margin is None:
            return None
        if self.retained:
            return RETAINED
        return LOST if self.high < -self.margin else UNDECIDED


@dataclass(frozen=True)
class Verdict:
    """What one phase gained and kept against another; ``role`` says what the other is."""

    phase: str
    against: str
    role: str
    deltas: Sequence[Delta]

    def with_verdict(self, verdict: str) -> list[Delta]:
        return [delta for delta in self.deltas if delta.verdict == verdict]

    @property
    def retention(self) -> list[Delta]:
        return [delta for delta in self.deltas if delta.margin is not None]

    @property
    def general(self) -> str | None:
        """The one word on general ability: lost if any domain is, retained if all are."""
        told = {delta.retention for delta in self.retention}
        if not told:
            return None
        return LOST if LOST in told else UNDECIDED if UNDECIDED in told else RETAINED


def read_deltas() -> list[Delta]:
    """Read the comparison; raises UserError naming the columns that it lacks."""
    path = Artifact.load(layout.comparison()).member("comparison.parquet")
    table = tables.read(path)
    _require(table, _COLUMNS, path)
    return [_delta(row) for row in table.to_pylist()]


_COLUMNS = (
    "phase", "against", "task", "group", "metric", "higher_is_better", "n", "mean_phase",
    "mean_against", "delta", "low", "high", "better", "worse", "retained", "margin",
)  # fmt: skip


def _delta(row: Mapping[str, Any]) -> Delta:
    gain, low, high = row["delta"], row["low"], row["high"]
    if not row["higher_is_better"]:
        gain, low, high = -gain, -high, -low
    verdict = BETTER if row["better"] else WORSE if row["worse"] else UNDECIDED
    names = {key: row[key] for key in ("phase", "against", "task", "group", "metric", "n")}
    means = {key: row[key] for key in ("mean_phase", "mean_against", "margin", "retained")}
    return Delta(**names, **means, gain=gain, low=low, high=high, verdict=verdict)


def verdicts(
    deltas: Sequence[Delta], compare: Mapping[str, Sequence[str]], phases: Mapping[str, Phase]
) -> list[Verdict]:
    """Return a verdict for each pair that is compared, in the configuration's order."""
    return [
        Verdict(
            phase,
            against,
            _role(phase, against, phases),
            [delta for delta in deltas if (delta.phase, delta.against) == (phase, against)],
        )
        for phase, others in compare.items()
        for against in others
    ]


def _role(phase: str, against: str, phases: Mapping[str, Phase]) -> str:
    parent = phases[phase].parent
    if against == parent:
        return "its parent"
    return "its control" if phases[against].parent == parent else "another phase"


Scores = dict[tuple[str, str, str], dict[str, float]]


def read_scores(phases: Sequence[str], tasks: Sequence[str]) -> Scores:
    """Return the weighted mean by (task, group, metric) and phase."""
    scores: Scores = defaultdict(dict)
    for task in tasks:
        for phase in phases:
            for group, metric, mean in _weighted_means(phase, task):
                scores[task, group, metric][phase] = mean
    return dict(sorted(scores.items()))


def _weighted_means(phase: str, task: str) -> list[tuple[str, str, float]]:
    path = Artifact.load(layout.evaluation(phase, task)).member("items.parquet")
    table = tables.read(path)
    _require(table, ("group", "metric", "value", "weight"), path)
    weighted = pa.compute.multiply(table.column("value"), table.column("weight"))
    sums = (
        table.append_column("weighted", weighted)
        .group_by(["group", "metric"])
        .aggregate([("weighted", "sum"), ("weight", "sum")])
    )
    return [
        (row["group"], row["metric"], row["weighted_sum"] / row["weight_sum"])
        for row in sums.to_pylist()
    ]


def by_position(scores: Scores, task: str) -> dict[str, list[tuple[float, float]]]:
    """Return (first position, loss) by phase, from the groups of a position-loss task."""
    curves: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for (scored, group, _), means in scores.items():
        if scored == task:
            first = int(re.findall(r"\d+", group)[0])
            for phase, mean in means.items():
                curves[phase].append((first, mean))
    return {phase: sorted(points) for phase, points in curves.items()}


@dataclass(frozen=True)
class Hits:
    """Training documents of a source that share n-grams with a task's items."""

    source: str
    task: str
    documents: int
    items: int
    ngrams: int


def read_hits(source: str, shards: int) -> list[Hits]:
    """Count a source's contamination hits by task."""
    read = [
        tables.read(
            Artifact.load(layout.attributes(source, "contamination", shard)).member("hits.parquet")
        )
        for shard in range(shards)
    ]
    by_task: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for hit in pa.concat_tables(read).to_pylist():
        by_task[hit["task"]].append(hit)
    return [
        Hits(
            source,
            task,
            documents=len({hit["id"] for hit in hits}),
            items=len({hit["item"] for hit in hits}),
            ngrams=sum(hit["ngrams"] for hit in hits),
        )
        for task, hits in sorted(by_task.items())
    ]


def _require(table: pa.Table, columns: Sequence[str], path: Any) -> None:
    if missing := sorted(set(columns) - set(table.column_names)):
        raise UserError(f"{path} has no column {missing}: it was made by other code, make it again")
