"""Where a run is: a line every few seconds, what its time goes into, figures for the trackers.

All of it is of the wall clock and belongs in logs: the metrics of a phase are the same each time.
"""

import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from scripts.common.batch_plan import BatchPlan
from scripts.train.state import TrainState
from scripts.train.tracking import Trackers
from scripts.train.utilization import Flops

log = logging.getLogger(__name__)

_LINE_SECONDS = 5.0


class Stopwatch:
    """Adds up what a run's time is spent on besides training."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._started = time.monotonic()

    @contextlib.contextmanager
    def on(self, what: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[what] += time.monotonic() - start

    def __str__(self) -> str:
        total = time.monotonic() - self._started
        shares = [f"{spent / total:.2%} on {what}" for what, spent in sorted(self.seconds.items())]
        return f"{timedelta(seconds=round(total))}, of which {', '.join(shares)}"


class Progress:
    """Follows a state through the batches of ``plan``."""

    def __init__(
        self,
        name: str,
        state: TrainState,
        plan: BatchPlan,
        trackers: Trackers,
        flops: Flops | None = None,
    ) -> None:
        self._name = name
        self._state = state
        self._steps, self._tokens = len(plan), plan.tokens
        self._trackers = trackers
        self._flops = flops
        self._heldout: Mapping[str, float | None] = {}
        self._line_time = self._step_time = time.monotonic()
        self._line_tokens = self._step_tokens = state.tokens

    def step(self) -> None:
        """Hand the last step's figures on; log a line if the one before is a few seconds old."""
        now = time.monotonic()
        record = self._state.metrics[-1]
        self._heldout = record.get("heldout", self._heldout)
        self._trackers.log(record, self._speed(self._step_tokens, self._step_time, now))
        self._step_time, self._step_tokens = now, self._state.tokens
        if now - self._line_time >= _LINE_SECONDS or self._state.step == self._steps:
            self._line(record, now)

    def _speed(self, tokens: int, then: float, now: float) -> dict[str, float]:
        """Return tokens per second, and MFU where it is known, since ``then``."""
        rate = (self._state.tokens - tokens) / (now - then)
        share = {} if self._flops is None else {"mfu": self._flops.share(rate)}
        return {"tokens_per_second": rate, **share}

    def _line(self, record: Mapping[str, Any], now: float) -> None:
        speed = self._speed(self._line_tokens, self._line_time, now)
        left = (self._tokens - self._state.tokens) / speed["tokens_per_second"]
        parts = [
            f"step {record['step']}/{self._steps}",
            f"{speed['tokens_per_second']:,.0f} tokens/s",
            *([f"MFU {speed['mfu']:.1%}"] if "mfu" in speed else []),
            f"lr {record['lr']:.3g}",
            f"loss {number(record['loss'])}",
            *(f"{domain} {number(bits)}" for domain, bits in self._heldout.items()),
            f"{timedelta(seconds=round(left))} left",
        ]
        log.info("%s: %s", self._name, ", ".join(parts))
        self._line_time, self._line_tokens = now, self._state.tokens


def number(value: float | None) -> str:
    """Return a figure as lines tell it; None stands for what is not finite."""
    return "not finite" if value is None else f"{value:.4f}"
