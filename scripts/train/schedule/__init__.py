"""Learning rates in the notation of the survey's Table 3: ``Warmup(3e-3, 1M) -> Cosine(0)``.

``scripts.common.notation`` says how a chain is read. Here its values are learning rates: absolute
(``3e-4``) or a multiple of the inherited one (``0.1x``).
``python -m scripts.train.schedule NOTATION --at 0 1M`` prints them.

Imports no torch, so that a configuration can be checked in milliseconds.
"""

import math
import re
from dataclasses import dataclass

from scripts.common.notation import DECAYS, Chain, Grammar

_LR = re.compile(r"(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)(?P<relative>x?)")


def _read(written: str, inherited: float | None) -> float:
    match = _LR.fullmatch(written)
    if match is None or not math.isfinite(value := float(match["number"])):
        raise ValueError(f"{written!r} is no LR: write 3e-4, or 0.1x of the inherited")
    if not match["relative"]:
        return value
    if inherited is None:
        raise ValueError(
            f"{written!r} needs a parent phase to inherit from (or `inherit.lr`): write an "
            "absolute LR"
        )
    return value * inherited


_LR_GRAMMAR = Grammar(
    "lr", ("Warmup", "Constant", *DECAYS, "Decay", "WSD"), _read, "Cosine(3e-5, 20M)"
)


@dataclass(frozen=True)
class Schedule(Chain):
    """The LR as a pure function of consumed tokens."""

    @classmethod
    def parse(
        cls,
        notation: str,
        *,
        tokens: int | None,
        inherited: float | None = None,
        decay: str = DECAYS[0],
    ) -> "Schedule":
        """Read a schedule over ``tokens`` that starts at the LR ``inherited``, if any.

        Without ``tokens`` it is as long as its lengths add up to. ``decay`` is the form of `Decay`.
        Raises UserError naming the notation, the segment at fault and the remedy.
        """
        chain = _LR_GRAMMAR.parse(notation, tokens=tokens, inherited=inherited, decay=decay)
        return cls(chain.segments)
