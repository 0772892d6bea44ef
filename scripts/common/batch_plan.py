"""The batches of a phase: how many rows each has, of how many tokens, from a ramp or a number.

A batch has the size, and its rows the context, that hold at its first token: both are pure
functions of the tokens consumed before it. So the mixture's order, training and a resumed run
agree on where every batch begins without telling one another.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field

from scripts.common import quantity
from scripts.common.notation import Chain, Grammar


def _count(written: str, _inherited: float | None) -> float:
    count = quantity.tokens(written)
    if count == 0:
        raise ValueError("0 is no size: give it tokens, 64M")
    return count


_BATCH = Grammar(
    "batch_tokens", ("Warmup", "Constant", "Linear"), _count, "Constant(64M, 6T) -> Constant(96M)"
)
_CONTEXT = Grammar("context", ("Constant",), _count, "Constant(4096, 1T) -> Constant(8192)")


def _ramp(value: Any) -> Any:
    """Return a count as an integer; leave a notation, which its phase will read, as it is."""
    if isinstance(value, str) and "(" in value:
        return value.strip()
    return quantity.tokens(value)


Ramp = Annotated[Annotated[int, Field(gt=0)] | str, BeforeValidator(_ramp)]


class Stretch(NamedTuple):
    """Consecutive batches of one shape."""

    batches: int
    rows: int  # of a batch
    context: int

    @property
    def batch_tokens(self) -> int:
        return self.rows * self.context


class Place(NamedTuple):
    """Where a batch's rows are in the phase's order."""

    first_row: int
    rows: int
    context: int


@dataclass(frozen=True)
class BatchPlan:
    """A phase's batches in order, as stretches of equal ones."""

    stretches: tuple[Stretch, ...]
    edges: tuple[int, ...] = ()  # tokens of the phase after which a ramp's next segment holds

    @classmethod
    def of(
        cls,
        tokens: int,
        batch_tokens: int | str,
        context: int | str,
        *,
        start: int = 0,
        span: int | None = None,
    ) -> "BatchPlan":
        """Plan the whole batches that fit in ``tokens``.

        Ramps are read from ``start`` tokens on of the ``span`` that they describe; unless given,
        that ends with the phase. Raises UserError for a ramp that cannot be read.
        """
        span = start + tokens if span is None else span
        chains = (_chain(_BATCH, batch_tokens, span), _chain(_CONTEXT, context, span))
        merged = []
        for (rows, length), same in groupby(
            _batches(tokens, start, *chains), key=lambda one: (one.rows, one.context)
        ):
            merged.append(Stretch(sum(one.batches for one in same), rows, length))
        places = {math.ceil(edge) - start for chain in chains for edge in chain.edges}
        return cls(tuple(merged), tuple(sorted(at for at in places if 0 < at < tokens)))

    def __len__(self) -> int:
        return sum(stretch.batches for stretch in self.stretches)

    @property
    def rows(self) -> int:
        return sum(stretch.batches * stretch.rows for stretch in self.stretches)

    @property
    def tokens(self) -> int:
        return sum(stretch.batches * stretch.batch_tokens for stretch in self.stretches)

    @property
    def longest(self) -> int:
        """The longest context of any row."""
        return max(stretch.context for stretch in self.stretches)

    def row_lengths(self) -> list[tuple[int, int]]:
        """Return the rows in order as (how many, of what context)."""
        return [
            (sum(one.batches * one.rows for one in same), context)
            for context, same in groupby(self.stretches, key=lambda one: one.context)
        ]

    def __getitem__(self, step: int) -> Place:
        """Return the place of the batch of ``step``, from 0."""
        if not 0 <= step < len(self):
            raise IndexError(step)
        index = bisect_right(self._first_steps, step) - 1
        stretch = self.stretches[index]
        within = (step - self._first_steps[index]) * stretch.rows
        return Place(self._first_rows[index] + within, stretch.rows, stretch.context)

    @cached_property
    def _first_steps(self) -> list[int]:
        return list(accumulate((one.batches for one in self.stretches[:-1]), initial=0))

    @cached_property
    def _first_rows(self) -> list[int]:
        return list(accumulate((one.batches * one.rows for one in self.stretches[:-1]), initial=0))


def _chain(grammar: Grammar, written: int | str, span: int) -> Chain:
    notation = f"Constant({written})" if isinstance(written, int) else written
    return grammar.parse(notation, tokens=span)


def _batches(tokens: int, start: int, batch: Chain, context: Chain) -> Iterator[Stretch]:
    """Yield the batches one by one, or as many at once as are surely alike."""
    consumed = 0
    while True:
        place = start + consumed
        length = int(context.at(place))
        rows = max(1, math.floor(batch.at(place) / length + 0.5))  # to the nearest whole row
        fit = (tokens - consumed) // (rows * length)
        if fit == 0:
            return
        until = min(
            _steady_until(batch, place, (rows - 0.5) * length, (rows + 0.5) * length),
            _steady_until(context, place, length, length),
        )
        alike = -(-(until - place) // (rows * length))  # those that begin before it changes
        count = max(1, min(fit, alike))
        yield Stretch(count, rows, length)
        consumed += count * rows * length


def _steady_until(chain: Chain, place: int, low: float, high: float) -> int:
    """Return a token before which the chain's value surely rounds as it does at ``place``.

    ``low`` and ``high`` are where its rounding changes. It may be too early by a few tokens.
    """
    segment = chain.segment(place)
    if segment.start == segment.end or place >= segment.stop:
        return math.ceil(segment.stop) if segment is not chain.segments[-1] else 1 << 62
    reached = high if segment.end > segment.start else low
    share = (reached - segment.start) / (segment.end - segment.start)
    length = segment.stop - segment.begin
    return math.floor(segment.begin + length * min(1.0, share)) - 2
