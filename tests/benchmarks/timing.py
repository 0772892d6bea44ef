"""What the benchmarks share: a figure is the best of some runs, in seconds of one core."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """A stage of ours beside a peer's, both in ``unit`` per second of processor time."""

    stage: str
    peer: str
    unit: str
    ours: float
    theirs: float
    target: float  # the least ratio that we promise

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs


def seconds(work: Callable[[], Any], runs: int = 3) -> float:
    """Return the least processor time, all threads counted, that ``work`` took."""
    taken = []
    for _ in range(runs):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| stage | peer | unit | ours | theirs | ratio | promised |", "|" + "---|" * 7]
    for row in rows:
        lines.append(
            f"| {row.stage} | {row.peer} | {row.unit} | {row.ours:,.1f} | {row.theirs:,.2f} "
            f"| {row.ratio:,.1f}x | {row.target:g}x |"
        )
    return "\n".join(lines)
