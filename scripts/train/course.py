"""What a phase's tokens decide: its LR, the sizes of its batches and the lengths of its rows.

All are functions of a clock that counts tokens. It starts at 0 with each phase, unless the phase
inherits its parent's: then several phases go through one schedule, each a stretch of it. A rest of
a phase that is less than a batch counts, so that phases begin where their tokens add up to.

Imports no torch, so that a configuration can be checked in milliseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from scripts.common.batch_plan import BatchPlan
from scripts.common.config.base import Model
from scripts.common.config.train import Merge, Scheduling
from scripts.common.errors import UserError
from scripts.train.schedule import Schedule


class Clock(Model):
    """Where a phase left off: what its children may inherit. The default is the start of all."""

    lr: float | None = None
    tokens: int | None = 0  # since the clock began; none: of merged phases that differ in it
    first_lr: float | None = None  # what was inherited when it began: 0.1x is a multiple of it

    @classmethod
    def common(cls, clocks: Sequence["Clock"]) -> "Clock":
        """Return what ``clocks`` agree on, of one or more: where a merge of their phases stands."""
        first = clocks[0]
        alike = all((one.tokens, one.first_lr) == (first.tokens, first.first_lr) for one in clocks)
        return cls(
            lr=first.lr if all(one.lr == first.lr for one in clocks) else None,
            tokens=first.tokens if alike else None,
            first_lr=first.first_lr if alike else None,
        )


@dataclass(frozen=True)
class Course:
    """A phase's LR, batches and clock."""

    tokens: int
    begin: int  # tokens of the clock before the phase's first
    first_lr: float | None  # as of the clock
    schedule: Schedule
    plan: BatchPlan

    @classmethod
    def of(cls, phase: Scheduling, parent: Clock) -> "Course":
        """Work out the course of a phase whose parent left off at ``parent``.

        Raises UserError naming the notation at fault, or the key.
        """
        if phase.inherit.clock:
            start = parent
        else:
            lr = parent.lr if phase.inherit.lr is None else phase.inherit.lr
            start = Clock(lr=lr, first_lr=lr)
        if start.tokens is None:
            raise UserError(
                "inherit.clock: the parent is a merge of phases that are not at the same tokens of "
                "one clock: leave it out"
            )
        plan = phase.plan(start.tokens)
        span = phase.schedule_tokens or start.tokens + phase.tokens
        schedule = Schedule.parse(
            phase.lr, tokens=span, inherited=start.first_lr, decay=phase.decay
        )
        return cls(phase.tokens, start.tokens, start.first_lr, schedule, plan)

    def lr(self, tokens: float) -> float:
        """Return the LR after ``tokens`` of the phase."""
        return self.schedule.at(self.begin + tokens)

    @property
    def end(self) -> Clock:
        """Where the phase leaves off."""
        return Clock(
            lr=self.lr(self.tokens),
            tokens=self.begin + self.tokens,
            first_lr=self.first_lr,
        )


def courses(phases: Mapping[str, Scheduling | Merge]) -> dict[str, Course]:
    """Return the course of every phase that is trained, along the tree that their parents make.

    Raises UserError naming the phase at fault. Parents must exist, and none be its own ancestor.
    """
    found: dict[str, Course] = {}
    left_off: dict[str, Clock] = {}
    for name in TopologicalSorter({key: one.origins for key, one in phases.items()}).static_order():
        phase, starts = phases[name], [left_off[origin] for origin in phases[name].origins]
        if isinstance(phase, Merge):
            left_off[name] = Clock.common(starts)
            continue
        try:
            found[name] = Course.of(phase, starts[0] if starts else Clock())
        except UserError as error:
            raise UserError(f"phases.{name}.{error}") from None
        left_off[name] = found[name].end
    return {name: found[name] for name in phases if name in found}
