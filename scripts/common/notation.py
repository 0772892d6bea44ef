"""A quantity that changes with the tokens, in the notation of the survey's Table 3.

``Warmup(3e-3, 1M) -> Constant(3e-3) -> Cosine(0, 10%)`` is a chain of segments. Each starts at the
value where the one before ended (the first at what is inherited) and reaches its own at its end:

===================================  ==============================================================
``Warmup(peak[, length])``           linear from 0
``Constant[(value[, length])]``      jumps to ``value`` at once; without it, keeps the value
``Linear(end[, length])``            linear
``Cosine(end[, length])``            half a cosine
``Exponential(end[, length])``       equal factors over equal tokens
``OneMinusSqrt(end[, length])``      end + (start - end)(1 - sqrt(share)): Hägele et al. (2024)
``Decay(end[, length])``             Table 3's word where a report names no form: linear, or as said
``WSD(peak, warmup, decay[, end])``  Warmup(peak, warmup), a Constant as long as is left, and
                                     Decay(end, decay), to 0 unless ``end`` is given
===================================  ==============================================================

A length counts tokens (``20M``) or is a share of the whole (``10%``); at most one segment may lack
one and takes what is left. What values look like, and which forms there are, is the ``Grammar``'s.

Imports nothing heavy, so that a configuration can be checked in milliseconds.
"""

import bisect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

from scripts.common import quantity
from scripts.common.errors import UserError


def _linear(start: float, end: float, share: float) -> float:
    return start + (end - start) * share


# Each takes the value at the start, at the end, and how far along the segment is, from 0 to 1.
_CURVES: dict[str, Callable[[float, float, float], float]] = {
    "Warmup": _linear,
    "Constant": lambda start, end, share: end,
    "Linear": _linear,
    "Cosine": lambda start, end, share: end + (start - end) * (1 + math.cos(math.pi * share)) / 2,
    "Exponential": lambda start, end, share: start * (end / start) ** share,
    "OneMinusSqrt": lambda start, end, share: end + (start - end) * (1 - math.sqrt(share)),
}
DECAYS = ("Linear", "Cosine", "Exponential", "OneMinusSqrt")
_DECAY, _WSD = "Decay", "WSD"

_SEGMENT = re.compile(r"(?P<form>\w+)\s*(?:\((?P<arguments>[^()]*)\))?")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")


@dataclass(frozen=True)
class Segment:
    """A curve from value ``start`` to ``end`` over the tokens from ``begin`` to ``stop``."""

    curve: str
    start: float
    end: float
    begin: float
    stop: float

    def at(self, tokens: float) -> float:
        if tokens >= self.stop:
            return self.end
        share = (tokens - self.begin) / (self.stop - self.begin)
        return _CURVES[self.curve](self.start, self.end, share)


@dataclass(frozen=True)
class Chain:
    """Segments end to end, from 0 tokens on: a pure function of tokens."""

    segments: tuple[Segment, ...]

    def segment(self, tokens: float) -> Segment:
        """Return the segment that holds after ``tokens``; past the end, the last one."""
        return self.segments[bisect.bisect_right(self._inner_edges, tokens)]

    def at(self, tokens: float) -> float:
        """Return the value after ``tokens``; past the end, the last one."""
        return self.segment(tokens).at(tokens)

    @property
    def last(self) -> float:
        return self.segments[-1].end

    @property
    def edges(self) -> tuple[float, ...]:
        """Where segments begin and end, from 0 to the chain's end."""
        return (0.0, *(segment.stop for segment in self.segments))

    @cached_property
    def _inner_edges(self) -> tuple[float, ...]:
        return self.edges[1:-1]


@dataclass(frozen=True)
class Grammar:
    """What a key's notation may say: its forms, and how its values are read.

    ``read`` turns a written value, with what is inherited, into a number; its ValueError is told to
    the user with the segment at fault.
    """

    key: str
    forms: tuple[str, ...]
    read: Callable[[str, float | None], float]
    example: str

    def parse(
        self,
        notation: str,
        *,
        tokens: int | None,
        inherited: float | None = None,
        decay: str = DECAYS[0],
    ) -> Chain:
        """Read a chain over ``tokens``, or as many as its lengths add up to where that is None.

        ``decay`` is the curve of `Decay`. Raises UserError naming the notation, the segment at
        fault and the remedy.
        """
        return _Parser(self, notation, tokens, inherited, decay).chain()


class _Call(NamedTuple):
    """One segment as written: what is absent is None."""

    text: str
    form: str
    value: str | None
    length: str | None


class _Parser:
    def __init__(
        self,
        grammar: Grammar,
        notation: str,
        tokens: int | None,
        inherited: float | None,
        decay: str,
    ) -> None:
        self.grammar = grammar
        self.notation = notation
        self.tokens = tokens
        self.inherited = inherited
        self.decay = decay

    def chain(self) -> Chain:
        texts = [text.strip() for text in re.split(r"->|→", self.notation)]
        calls = [call for text in texts for call in self._calls(text)]
        stops = map(float, accumulate(self._lengths(calls), initial=Fraction(0)))
        segments: list[Segment] = []
        value = self.inherited
        for call, (begin, stop) in zip(calls, pairwise(stops), strict=True):
            curve = self.decay if call.form == _DECAY else call.form
            start, end = self._endpoints(call, curve, value)
            segments.append(Segment(curve, start, end, begin, stop))
            value = end
        return Chain(tuple(segments))

    def _calls(self, text: str) -> list[_Call]:
        """Split ``Form(value, length)`` into its parts; a WSD becomes the three that it means."""
        forms = self.grammar.forms
        match = _SEGMENT.fullmatch(text)
        if match is None or match["form"] not in forms:
            raise self._error(text, f"write one of {', '.join(forms)}, as in `{self._example}`")
        form = match["form"]
        written = (match["arguments"] or "").strip()
        arguments = [argument.strip() for argument in written.split(",")] if written else []
        if form == _WSD:
            return self._wsd(text, arguments)
        if len(arguments) > 2 or "" in arguments:
            raise self._error(
                text, f"give a value and then, if needed, a length: `{self._example}`"
            )
        if not arguments and form != "Constant":
            raise self._error(text, f"give the value that it ends at, as in `{self._example}`")
        value, length = [*arguments, None, None][:2]
        return [_Call(text, form, value, length)]

    def _wsd(self, text: str, arguments: list[str]) -> list[_Call]:
        if len(arguments) not in (3, 4) or "" in arguments:
            raise self._error(
                text,
                "give the peak, the lengths of the warm-up and of the decay, and where it ends if "
                "not at 0: `WSD(3e-4, 1%, 10%, 3e-5)`",
            )
        peak, warmup, decay, end = [*arguments, "0"][:4]
        return [
            _Call(text, "Warmup", peak, warmup),
            _Call(text, "Constant", None, None),
            _Call(text, _DECAY, end, decay),
        ]

    def _endpoints(self, call: _Call, curve: str, value: float | None) -> tuple[float, float]:
        end = self._value(call) if call.value is not None else value
        if curve == "Warmup":
            start: float | None = 0.0
        else:
            start = end if curve == "Constant" else value
        if start is None or end is None:
            raise self._error(
                call.text,
                f"there is no inherited {self.grammar.key} to start from: begin with a "
                "Warmup(peak) or a Constant(value)",
            )
        if curve == "Exponential" and min(start, end) <= 0:
            raise self._error(
                call.text,
                "an Exponential cannot start or end at 0: use Linear(0), or a small end value",
            )
        return start, end

    def _value(self, call: _Call) -> float:
        assert call.value is not None
        try:
            return self.grammar.read(call.value, self.inherited)
        except ValueError as error:
            raise self._error(call.text, str(error)) from None

    def _lengths(self, calls: list[_Call]) -> list[Fraction]:
        known = [None if call.length is None else self._length(call) for call in calls]
        free = [call.text for call, length in zip(calls, known, strict=True) if length is None]
        if len(free) > 1:
            raise self._error(free[1], f"only one segment may lack a length, and {free[0]!r} does")
        told = sum((length for length in known if length is not None), Fraction(0))
        if self.tokens is None:
            if free:
                raise self._error(free[0], "give it a length, or the whole its tokens (--tokens)")
            return [length for length in known if length is not None]
        left = self.tokens - told
        if left < 0 or (free and left == 0):
            raise self._error(
                free[0] if free else calls[-1].text,
                f"the lengths leave {float(left):,.0f} of the {self.tokens:,} tokens for it: "
                "shorten some, give more `tokens`, or `schedule_tokens` if it outlasts the phase",
            )
        if left > 0 and not free:
            raise self._error(
                calls[-1].text,
                f"the lengths end {float(left):,.0f} tokens before the {self.tokens:,} do: leave "
                "one length out",
            )
        return [left if length is None else length for length in known]

    def _length(self, call: _Call) -> Fraction:
        written = call.length or ""
        if match := _PERCENT.fullmatch(written):
            if self.tokens is None:
                raise self._error(
                    call.text,
                    f"{written} of what? Give the whole its tokens (--tokens), or write 20M",
                )
            length = Fraction(match[1]) / 100 * self.tokens
        else:
            try:
                length = Fraction(quantity.tokens(written))
            except ValueError as error:
                raise self._error(call.text, f"{error}, or a share of the whole, 10%") from None
        if length <= 0:
            raise self._error(call.text, "its length is 0: give it tokens, or leave it out")
        return length

    @property
    def _example(self) -> str:
        return self.grammar.example

    def _error(self, segment: str, remedy: str) -> UserError:
        return UserError(f"{self.grammar.key} {self.notation!r}, segment {segment!r}: {remedy}")
