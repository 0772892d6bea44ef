"""Learning rates in the notation of the survey's Table 3: ``Warmup(3e-3, 1M) -> Cosine(0)``.

A schedule is a chain of segments joined by ``->``. Each starts at the LR where the one before ended
(the first at the LR that the phase inherits) and reaches its own LR at its end:

========================  =========================================================================
``Warmup(peak[, len])``   linear from 0
``Constant[(lr[, len])]`` jumps to ``lr`` at once; without it, keeps the LR
``Linear(end[, len])``    linear
``Cosine(end[, len])``    half a cosine
``Exponential(end[, ..])`` equal factors over equal tokens
``OneMinusSqrt(end[, ..])`` 1 - sqrt, the best of Hägele et al. (2024)
``Decay(end[, len])``     linear: Table 3's word where a report does not name the form
========================  =========================================================================

An LR is absolute (``3e-4``) or a multiple of the inherited one (``0.1x``). A length counts tokens
(``20M``) or is a share of the phase (``10%``); at most one segment may lack one and takes what is
left. ``python -m scripts.train.schedule NOTATION --tokens 8M --at 0 1M`` prints LRs as CSV.

Imports no torch, so that a configuration can be checked in milliseconds.
"""

import argparse
import bisect
import csv
import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from scripts.common import quantity
from scripts.common.command import run
from scripts.common.errors import UserError

# Each takes the LR at the start, at the end, and how far along the segment is, from 0 to 1.
_FORMS: dict[str, Callable[[float, float, float], float]] = {
    "Warmup": lambda start, end, x: start + (end - start) * x,
    "Constant": lambda start, end, x: end,
    "Linear": lambda start, end, x: start + (end - start) * x,
    "Cosine": lambda start, end, x: end + (start - end) * (1 + math.cos(math.pi * x)) / 2,
    "Exponential": lambda start, end, x: start * (end / start) ** x,
    "OneMinusSqrt": lambda start, end, x: end + (start - end) * (1 - math.sqrt(x)),
    "Decay": lambda start, end, x: start + (end - start) * x,
}
_SEGMENT = re.compile(r"(?P<form>\w+)\s*(?:\((?P<arguments>[^()]*)\))?")
_LR = re.compile(r"(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)(?P<relative>x?)")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")


@dataclass(frozen=True)
class Segment:
    """A stretch of the schedule; ``begin`` and ``end`` count the phase's tokens."""

    form: str
    start_lr: float
    end_lr: float
    begin: Fraction
    end: Fraction

    def at(self, tokens: float) -> float:
        if tokens >= self.end:
            return self.end_lr
        share = (tokens - self.begin) / (self.end - self.begin)
        return _FORMS[self.form](self.start_lr, self.end_lr, float(share))


@dataclass(frozen=True)
class Schedule:
    """The LR of one phase as a pure function of the tokens it has consumed."""

    segments: tuple[Segment, ...]

    @classmethod
    def parse(cls, notation: str, *, tokens: int, inherited: float | None = None) -> "Schedule":
        """Read the schedule of a phase of ``tokens`` that starts at the LR ``inherited``, if any.

        Raises UserError naming the notation, the segment at fault and the remedy.
        """
        return cls(_Parser(notation, tokens, inherited).segments())

    def at(self, tokens: float) -> float:
        """Return the LR after ``tokens`` of the phase; past its end, the last one."""
        ends = [segment.end for segment in self.segments]
        index = min(bisect.bisect_right(ends, tokens), len(ends) - 1)
        return self.segments[index].at(tokens)

    @property
    def last(self) -> float:
        """The LR at the end of the phase, which its children inherit."""
        return self.segments[-1].end_lr


class _Parser:
    def __init__(self, notation: str, tokens: int, inherited: float | None) -> None:
        self.notation = notation
        self.tokens = tokens
        self.inherited = inherited

    def segments(self) -> tuple[Segment, ...]:
        texts = [text.strip() for text in re.split(r"->|→", self.notation)]
        calls = [self._call(text) for text in texts]
        lengths = self._lengths(texts, [length for _, _, length in calls])
        ends = [sum(lengths[: index + 1], Fraction(0)) for index in range(len(lengths))]
        segments: list[Segment] = []
        lr = self.inherited
        for text, (form, target, _), (begin, end) in zip(
            texts, calls, pairwise([Fraction(0), *ends]), strict=True
        ):
            start_lr, end_lr = self._endpoints(text, form, target, lr)
            segments.append(Segment(form, start_lr, end_lr, begin, end))
            lr = end_lr
        return tuple(segments)

    def _call(self, text: str) -> tuple[str, str | None, str | None]:
        """Split ``Form(lr, length)`` into its parts; absent arguments are None."""
        match = _SEGMENT.fullmatch(text)
        if match is None or match["form"] not in _FORMS:
            raise self._error(text, f"write one of {', '.join(_FORMS)}, as in `Cosine(3e-5, 20M)`")
        written = (match["arguments"] or "").strip()
        arguments = [argument.strip() for argument in written.split(",")] if written else []
        if len(arguments) > 2 or "" in arguments:
            raise self._error(text, "give an LR and then, if needed, a length: `Linear(0, 20M)`")
        if not arguments and match["form"] != "Constant":
            raise self._error(text, f"give the LR it ends at: `{match['form']}(3e-5)`")
        lr, length = [*arguments, None, None][:2]
        return match["form"], lr, length

    def _endpoints(
        self, text: str, form: str, target: str | None, lr: float | None
    ) -> tuple[float, float]:
        end = self._lr(text, target) if target is not None else lr
        if form == "Warmup":
            start: float | None = 0.0
        else:
            start = end if form == "Constant" else lr
        if start is None or end is None:
            raise self._error(
                text,
                "there is no inherited LR to start from: begin with Warmup(peak) or Constant(lr)",
            )
        if form == "Exponential" and min(start, end) <= 0:
            raise self._error(text, "it cannot start or end at 0: use Linear(0), or a small end LR")
        return start, end

    def _lr(self, text: str, written: str) -> float:
        match = _LR.fullmatch(written)
        if match is None:
            raise self._error(text, f"{written!r} is no LR: write 3e-4, or 0.1x of the inherited")
        value = float(match["number"])
        if not match["relative"]:
            return value
        if self.inherited is None:
            raise self._error(
                text, f"{written!r} needs a parent phase to inherit from: write an absolute LR"
            )
        return value * self.inherited

    def _lengths(self, texts: list[str], written: list[str | None]) -> list[Fraction]:
        known = [
            None if length is None else self._length(text, length)
            for text, length in zip(texts, written, strict=True)
        ]
        free = [text for text, length in zip(texts, known, strict=True) if length is None]
        left = self.tokens - sum((length for length in known if length is not None), Fraction(0))
        if len(free) > 1:
            raise self._error(free[1], f"only one segment may lack a length, and {free[0]!r} does")
        if left < 0 or (free and left == 0):
            raise self._error(
                free[0] if free else texts[-1],
                f"the lengths leave {float(left):,.0f} of the phase's {self.tokens:,} tokens for "
                "it: shorten some, or give the phase more tokens",
            )
        if left > 0 and not free:
            raise self._error(
                texts[-1],
                f"the lengths end {float(left):,.0f} tokens before the phase's {self.tokens:,} do: "
                "leave one length out",
            )
        return [left if length is None else length for length in known]

    def _length(self, text: str, written: str) -> Fraction:
        if match := _PERCENT.fullmatch(written):
            length = Fraction(match[1]) / 100 * self.tokens
        else:
            try:
                length = Fraction(quantity.tokens(written))
            except ValueError as error:
                raise self._error(text, f"{error}, or a share of the phase, 10%") from None
        if length <= 0:
            raise self._error(text, "its length is 0: give it tokens, or leave it out")
        return length

    def _error(self, segment: str, remedy: str) -> UserError:
        return UserError(f"lr {self.notation!r}, segment {segment!r}: {remedy}")


def main() -> None:
    arguments = _arguments()
    schedule = Schedule.parse(
        arguments.notation, tokens=arguments.tokens, inherited=arguments.inherit
    )
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["tokens", "lr"])
    writer.writerows([tokens, f"{schedule.at(tokens):.8g}"] for tokens in arguments.at)


def _arguments() -> argparse.Namespace:
    def count(text: str) -> int:
        try:
            return quantity.tokens(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notation", help='such as "Warmup(3e-3, 1M) -> Cosine(0.1x)"')
    parser.add_argument(
        "--tokens", type=count, required=True, help="the phase's tokens, such as 8M"
    )
    parser.add_argument("--inherit", type=float, help="the LR at which the parent phase ended")
    parser.add_argument("--at", type=count, nargs="+", required=True, help="consumed tokens")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
