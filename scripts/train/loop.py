"""The optimizer steps of a phase: accumulate, clip, step, record, keep a checkpoint."""

import contextlib
import logging
import math
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import torch

from scripts.common.config.train import Spikes
from scripts.common.errors import UserError
from scripts.slurm.job import end_of_job, is_preempted, queue_again
from scripts.train.batches import Batch, Batches
from scripts.train.course import Course
from scripts.train.heldout import HeldOut
from scripts.train.prefetch import Prefetched
from scripts.train.progress import Progress, Stopwatch
from scripts.train.spikes import SpikeRule
from scripts.train.state import TrainState

log = logging.getLogger(__name__)

EXIT_INTERRUPTED = 75  # EX_TEMPFAIL of sysexits.h: run it again
_RESERVE_SECONDS = 180.0  # before the job's time is over: to save, and to end


class Interrupted(SystemExit):
    """It is to stop, and its state is saved. Ends the program with EXIT_INTERRUPTED."""

    def __init__(self) -> None:
        super().__init__(EXIT_INTERRUPTED)


class Trainer:
    """Takes a state through the steps of its phase."""

    def __init__(
        self,
        state: TrainState,
        batches: Batches | Prefetched,
        course: Course,
        spikes: Spikes,
        *,
        z_loss: float,
        micro_batch_tokens: int,
        name: str,
        heldout: HeldOut | None = None,
    ) -> None:
        self.state = state
        self.batches = batches
        self.course = course
        self.name = name
        self._spikes = SpikeRule(spikes, state.metrics)
        self._skips_allowed = spikes.in_a_row
        self._z_loss = z_loss
        self._micro_batch_tokens = micro_batch_tokens
        self._heldout = heldout
        self.watch = Stopwatch()

    def run(
        self, save: Callable[[TrainState], None], checkpoint_tokens: int, progress: Progress
    ) -> None:
        """Run to the last step, with ``save`` every ``checkpoint_tokens`` and when told to stop.

        Raises Interrupted when it was, and UserError naming the step after too many that could not
        be taken.
        """
        state, ranks = self.state, self.state.backend.ranks
        end = end_of_job() if ranks.first else None
        saved = state.tokens
        state.backend.model.train()
        with caught_signals() as caught:
            while state.step < len(self.batches):
                self.step()
                with self.watch.on("logging"):
                    progress.step()
                last = state.step == len(self.batches)
                stop = ranks.agree(bool(caught) or _is_near(end))
                if stop or (not last and state.tokens - saved >= checkpoint_tokens):
                    with self.watch.on("checkpoints"):
                        save(state)
                    saved = state.tokens
                if stop:
                    why = caught[0].name if caught else "its time is almost over"
                    log.info("%s: %s at step %d", self.name, why, state.step)
                    if ranks.first and (is_preempted() if caught else _is_near(end)):
                        queue_again()
                    ranks.wait()  # srun kills all processes as soon as one has ended so
                    raise Interrupted
        log.info("%s: %s", self.name, self.watch)

    def step(self) -> None:
        """Take one optimizer step, unless it is a spike, and append its metrics.

        Its LR is the course's in the middle of its tokens, so that neither the first step of a
        warm-up from 0 nor the last one of a decay to 0 is lost.
        """
        state = self.state
        before = {}
        if state.step == 0 and self._heldout is not None and self._heldout.at_start:
            before = {"heldout_before": self._measured(self._heldout)}
        with self.watch.on("data"):
            batch = self.batches[state.step]
        batch_tokens = batch.input_ids_BT.numel()
        lr = self.course.lr(state.tokens + batch_tokens / 2)
        loss = self._accumulate(batch)
        norm = state.backend.update(lr, lambda norm: self._spikes.reason(loss, norm) is None)
        state.step += 1
        state.tokens += batch_tokens
        record = {"step": state.step, "tokens": state.tokens, "lr": lr}
        self._record(
            {**record, "loss": loss, "grad_norm": norm, **before}, self._spikes.reason(loss, norm)
        )
        if self._heldout is not None and (
            state.step == len(self.batches)
            or self._heldout.is_due(state.tokens - batch_tokens, state.tokens)
        ):
            state.metrics[-1]["heldout"] = self._measured(self._heldout)

    def _record(self, record: dict[str, Any], skipped: str | None) -> None:
        """Append a step's metrics; what is not finite is null there, as JSON has no other word."""
        if skipped is not None:
            record["skipped"] = skipped
            log.warning("%s: step %d is not taken: %s", self.name, record["step"], skipped)
        self._spikes.add(record)
        finite = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in record.items()
        }
        self.state.metrics.append(finite)
        if self._spikes.in_a_row >= self._skips_allowed:
            raise UserError(
                f"phase {self.name}, step {record['step']}: {self._skips_allowed} steps in a row "
                f"could not be taken, at last as {skipped}, at LR {record['lr']:.3g}; lower `lr`, "
                "lengthen the warm-up, lower `optimizer.clip_norm` or raise `spikes.deviations`"
            )

    def _measured(self, heldout: HeldOut) -> dict[str, float | None]:
        """Return the bits per byte of held-out text, by domain."""
        with self.watch.on("held-out text"):
            return heldout.bits_per_byte(self.state.backend, self._micro_batches)

    def _accumulate(self, batch: Batch) -> float:
        """Add up the gradients of the micro-batches; return the mean loss per predicted token.

        Every token of the batch weighs the same, however micro-batches and processes divide them
        (transformers issue 34694), so the sums are divided by the whole batch's count.
        """
        backend = self.state.backend
        targets = max(1, batch.targets)
        total = torch.zeros((), device=backend.model.device)
        for micro in self._micro_batches(batch):
            loss, entropy = backend.losses(micro, self._z_loss)
            backend.backward(loss / targets)
            total += entropy
        return float(backend.ranks.sum(total)) / targets

    def _micro_batches(self, batch: Batch) -> list[Batch]:
        """Return this process's rows of a batch, as many at a time as it can do at once."""
        ranks = self.state.backend.ranks
        rows = max(1, self._micro_batch_tokens * ranks.sequence // batch.input_ids_BT.shape[1])
        return batch.share(ranks.group, ranks.groups).split(rows)


def _is_near(end: float | None) -> bool:
    """Tell whether the job ends within the time that a checkpoint may take."""
    return end is not None and end - time.time() < _RESERVE_SECONDS


@contextlib.contextmanager
def caught_signals() -> Iterator[list[signal.Signals]]:
    """Collect SIGTERM and SIGUSR1, which schedulers send ahead of a kill, instead of dying."""
    caught: list[signal.Signals] = []

    def catch(number: int, _frame: FrameType | None) -> None:
        caught.append(signal.Signals(number))

    before = {number: signal.signal(number, catch) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
