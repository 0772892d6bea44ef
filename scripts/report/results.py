"""What was gained and what was kept: scores, paired differences and their verdicts."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.common import layout, tables
from scripts.common.artifact import Artifact
from scripts.common.config.train import Merge
from scripts.report.training import Phases

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
    gain: float
    low: float
    high: float
    verdict: str
    margin: float | None  # where the group is a retention domain
    retained: bool | None

    @property
    def label(self) -> str:
        """What is measured, without the metric: the group, and the task unless that says it."""
        implied = self.task in (self.group, self.metric)
        return self.group if implied else f"{self.task} · {self.group}"

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
        """Return the differences with a verdict, less those that are there to be retained."""
        return [delta for delta in self.deltas if delta.verdict == verdict and delta.margin is None]

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
    """Read the comparison, in its order."""
    path = Artifact.load(layout.comparison()).member("comparison.parquet")
    return [_delta(row) for row in tables.read(path).to_pylist()]


def _delta(row: Mapping[str, Any]) -> Delta:
    gain, low, high = row["delta"], row["low"], row["high"]
    if not row["higher_is_better"]:
        gain, low, high = -gain, -high, -low
    verdict = BETTER if row["better"] else WORSE if row["worse"] else UNDECIDED
    same = ("phase", "against", "task", "group", "metric", "margin", "retained")
    told = {key: row[key] for key in same}
    return Delta(**told, gain=gain, low=low, high=high, verdict=verdict)


def verdicts(
    deltas: Sequence[Delta],
    compare: Mapping[str, Sequence[str]],
    phases: Phases,
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


def _role(phase: str, against: str, phases: Phases) -> str:
    origins = phases[phase].origins
    if against in origins:
        return "merged in it" if isinstance(phases[phase], Merge) else "its parent"
    return "its control" if phases[against].origins == origins else "another phase"


Scores = dict[tuple[str, str, str], dict[str, float]]


def read_scores(phases: Sequence[str], tasks: Sequence[str]) -> Scores:
    """Return the mean by (task, group, metric) and phase, as the evaluations count it."""
    scores: Scores = defaultdict(dict)
    for task in tasks:
        for phase in phases:
            for group, metrics in Artifact.load(layout.evaluation(phase, task)).counts.items():
                for metric, cell in metrics.items():
                    scores[task, group, metric][phase] = cell["mean"]
    return dict(sorted(scores.items()))


def by_position(scores: Scores, task: str) -> dict[str, list[tuple[float, float]]]:
    """Return (last position, mean loss) by phase, from a position-loss task's ``loss_0256``."""
    curves: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for (scored, _, metric), means in scores.items():
        if scored == task:
            last = int(metric.removeprefix("loss_"))
            for phase, mean in means.items():
                curves[phase].append((last, mean))
    return {phase: sorted(points) for phase, points in curves.items()}
