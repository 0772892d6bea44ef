"""What a phase's tokens decide: its LR, the sizes of its batches and the lengths of its rows.

All are functions of a clock that counts tokens. It starts at 0 with each phase, unless the phase
inherits its parent's: then several phases go through one schedule, each a stretch of it. A rest of
a phase that is less than a batch counts, so that phases begin where their tokens add up to.

Imports no torch, so that a configuration can be checked in milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from scripts.common.batch_plan import BatchPlan
from scripts.common.config.base import Model
from scripts.common.config.train import Scheduling
from scripts.common.errors import UserError
from scripts.train.schedule import Schedule


class Clock(Model):
    """Where a phase left off: what its children may inherit. The default is the start of all."""

    lr: float | None = None
    tokens: int = 0  # since the clock began
    first_lr: float | None = None  # what was inherited when it began: 0.1x is a multiple of it


@dataclass(frozen=True)
class Course:
    """A phase's LR, batches and clock."""

    tokens: int
    start: Clock
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
        plan = phase.plan(start.tokens)
        span = phase.schedule_tokens or start.tokens + phase.tokens
        schedule = Schedule.parse(
            phase.lr, tokens=span, inherited=start.first_lr, decay=phase.decay
        )
        return cls(phase.tokens, start, schedule, plan)

    def lr(self, tokens: float) -> float:
        """Return the LR after ``tokens`` of the phase."""
        return self.schedule.at(self.start.tokens + tokens)

    @property
    def end(self) -> Clock:
        """Where the phase leaves off."""
        return Clock(
            lr=self.lr(self.tokens),
            tokens=self.start.tokens + self.tokens,
            first_lr=self.start.first_lr,
        )


def courses(phases: Mapping[str, Scheduling]) -> dict[str, Course]:
    """Return the course of every phase along the tree that their parents make.

    Raises UserError naming the phase at fault. Parents must exist, and none be its own ancestor.
    """
    found: dict[str, Course] = {}
    waiting = dict(phases)
    while waiting:
        for name, phase in list(waiting.items()):
            if phase.parent is None or phase.parent in found:
                start = Clock() if phase.parent is None else found[phase.parent].end
                try:
                    found[name] = Course.of(waiting.pop(name), start)
                except UserError as error:
                    raise UserError(f"phases.{name}.{error}") from None
    return {name: found[name] for name in phases}
