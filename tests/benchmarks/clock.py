"""What optimizer steps take: the figures of a loop without those of making it ready."""

import statistics
import time
from itertools import pairwise


class Clock:
    """Is told the end of each optimizer step; the first one warms up and does not count."""

    def __init__(self) -> None:
        self._ends: list[tuple[float, float]] = []

    def tick(self) -> None:
        self._ends.append((time.perf_counter(), time.process_time()))

    @property
    def seconds(self) -> float:
        """Seconds of a step, the median."""
        return self._median(0)

    @property
    def processor_seconds(self) -> float:
        """Processor seconds of a step, all threads counted, the median."""
        return self._median(1)

    def _median(self, which: int) -> float:
        ends = [end[which] for end in self._ends]
        return statistics.median(b - a for a, b in pairwise(ends))
