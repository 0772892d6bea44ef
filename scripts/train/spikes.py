"""Which steps are not taken, as OLMo 2 (section 3.2) and its trainer's SkipStepOptimizer do it.

The rule looks at the phase's own metrics, so that a resumed run decides as one that was not killed.
"""

import math
from collections import deque
from typing import Any

from scripts.common.config.train import Spikes

_WATCHED = ("loss", "grad_norm")


class SpikeRule:
    """Judges a step by its loss [nats] and the norm of its gradient."""

    def __init__(self, settings: Spikes, metrics: list[dict[str, Any]]) -> None:
        """Go on behind the steps of ``metrics``."""
        self._settings = settings
        self._taken = {name: deque[float](maxlen=settings.window) for name in _WATCHED}
        self.in_a_row = 0  # steps not taken until now
        for record in metrics:
            self.add(record)

    def reason(self, loss: float, grad_norm: float) -> str | None:
        """Return why a step is not to be taken, if so."""
        for name, value in zip(_WATCHED, (loss, grad_norm), strict=True):
            if not math.isfinite(value):
                return f"{name} is {value}"
            if value > (limit := self._limit(self._taken[name])):
                return f"{name} {value:.6g} is above {limit:.6g}"
        return None

    def add(self, record: dict[str, Any]) -> None:
        """Learn of a step that is over, by its metrics."""
        if "skipped" in record:
            self.in_a_row += 1
            return
        self.in_a_row = 0
        for name, taken in self._taken.items():
            taken.append(record[name])

    def _limit(self, values: deque[float]) -> float:
        """Return what a value must not exceed: none until a window is full."""
        deviations = self._settings.deviations
        if deviations is None or len(values) < self._settings.window:
            return math.inf
        mean = math.fsum(values) / len(values)
        squares = math.fsum((value - mean) ** 2 for value in values)
        return mean + deviations * math.sqrt(squares / (len(values) - 1))
