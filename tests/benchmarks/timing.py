"""What the benchmarks share: a figure is the best of some runs, in seconds of one core."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SHOWN_CHARACTERS = 6000


@dataclass(frozen=True)
class Cost:
    """What a run took: processor and wall-clock seconds, and the largest process's memory."""

    processor: float
    wall: float
    peak_bytes: int


def cost(command: Sequence[str], folder: Path, environment: dict[str, str] | None = None) -> Cost:
    """Run a command in ``folder`` to its end and return its cost, with what it started.

    The environment's programs come first in PATH. Raises RuntimeError, with the end of what it
    printed, if it fails.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "PATH": path, **(environment or {})},
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{' '.join(command)}:\n{output.read()[-_SHOWN_CHARACTERS:]}")
    return Cost(used.ru_utime + used.ru_stime, wall, used.ru_maxrss * 1024)


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
