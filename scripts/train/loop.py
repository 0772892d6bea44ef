"""The optimizer steps of a phase: accumulate, clip, step, record, keep a checkpoint."""

import contextlib
import logging
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from scripts.common.config.train import Spikes
from scripts.common.errors import UserError
from scripts.train.batches import Batch, Batches
from scripts.train.course import Course
from scripts.train.loss import head_loss
from scripts.train.model import forward_hidden
from scripts.train.spikes import SpikeRule
from scripts.train.state import TrainState

log = logging.getLogger(__name__)

EXIT_INTERRUPTED = 75  # EX_TEMPFAIL of sysexits.h: run it again
_PROGRESS_SECONDS = 5.0
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
        batches: Batches,
        course: Course,
        spikes: Spikes,
        *,
        z_loss: float,
        micro_batch_tokens: int,
        name: str,
    ) -> None:
        self.state = state
        self.batches = batches
        self.course = course
        self.name = name
        self._spikes = SpikeRule(spikes, state.metrics)
        self._skips_allowed = spikes.in_a_row
        self._z_loss = z_loss
        self._micro_batch_tokens = micro_batch_tokens

    def run(self, save: Callable[[TrainState], None], checkpoint_tokens: int) -> None:
        """Run to the last step, with ``save`` every ``checkpoint_tokens`` and when told to stop.

        Raises Interrupted when it was, and UserError naming the step after too many that could not
        be taken.
        """
        state, ranks = self.state, self.state.backend.ranks
        saved = state.tokens
        progress = Progress(self.name, state, len(self.batches))
        state.backend.model.train()
        with caught_signals() as caught:
            while state.step < len(self.batches):
                self.step()
                progress.report()
                last = state.step == len(self.batches)
                stop = ranks.agree(bool(caught) or _out_of_time())
                if not last and (stop or state.tokens - saved >= checkpoint_tokens):
                    save(state)
                    saved = state.tokens
                if stop:
                    why = caught[0].name if caught else "its time is almost over"
                    log.info("%s: %s at step %d", self.name, why, state.step)
                    raise Interrupted

    def step(self) -> None:
        """Take one optimizer step, unless it is a spike, and append its metrics.

        Its LR is the course's in the middle of its tokens, so that neither the first step of a
        warm-up from 0 nor the last one of a decay to 0 is lost.
        """
        state = self.state
        batch = self.batches[state.step]
        batch_tokens = batch.input_ids_BT.numel()
        lr = self.course.lr(state.tokens + batch_tokens / 2)
        loss = self._accumulate(batch)
        norm = state.backend.update(lr, lambda norm: self._spikes.reason(loss, norm) is None)
        state.step += 1
        state.tokens += batch_tokens
        record = {"step": state.step, "tokens": state.tokens, "lr": lr}
        self._record({**record, "loss": loss, "grad_norm": norm}, self._spikes.reason(loss, norm))

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

    def _accumulate(self, batch: Batch) -> float:
        """Add up the gradients of the micro-batches; return the mean loss per predicted token.

        Every token of the batch weighs the same, however micro-batches and processes divide them
        (transformers issue 34694), so the sums are divided by the whole batch's count.
        """
        backend = self.state.backend
        rows = max(1, self._micro_batch_tokens // batch.input_ids_BT.shape[1])
        targets = max(1, batch.targets)
        micros = batch.share(backend.ranks.group, backend.ranks.groups).split(rows)
        total = torch.zeros((), device=backend.model.device)
        for place, micro in enumerate(micros):
            loss, entropy = token_losses(backend.model, micro, self._z_loss)
            backend.backward(loss / targets, last=place == len(micros) - 1)
            total += entropy
        return float(backend.ranks.sum(total)) / targets


def token_losses(model: PreTrainedModel, batch: Batch, z_weight: float) -> tuple[Tensor, Tensor]:
    """Return two sums over predicted tokens: the loss to descend, and its cross-entropy [nats].

    They differ by the z-loss (see ``loss.head_loss``). Products are in the type of the weights.
    """
    labels_N = batch.labels_BT[:, 1:].flatten().to(model.device, non_blocking=True)
    hidden_ND = forward_hidden(model, batch)[:, :-1].flatten(0, 1)
    return head_loss(hidden_ND, model.get_output_embeddings().weight, labels_N, z_weight)


def _out_of_time() -> bool:
    """Tell whether SLURM will end the job within the time that a checkpoint may take."""
    end = os.environ.get("SLURM_JOB_END_TIME")
    return end is not None and float(end) - time.time() < _RESERVE_SECONDS


class Progress:
    """Logs every few seconds where the run is."""

    def __init__(self, name: str, state: TrainState, steps: int) -> None:
        self._name = name
        self._state = state
        self._steps = steps
        self._time = time.monotonic()
        self._tokens, self._step = state.tokens, state.step

    def report(self) -> None:
        """Log a line if the last one is a few seconds old, or the run is finished."""
        state = self._state
        elapsed = time.monotonic() - self._time
        if elapsed < _PROGRESS_SECONDS and state.step < self._steps:
            return
        left = (self._steps - state.step) * elapsed / (state.step - self._step)
        latest = state.metrics[-1]
        log.info(
            "%s: step %d/%d, %s tokens/s, lr %.3g, loss %.4f, %d:%02d left",
            self._name,
            state.step,
            self._steps,
            f"{(state.tokens - self._tokens) / elapsed:,.0f}",
            latest["lr"],
            latest["loss"],
            *divmod(round(left), 60),
        )
        self._time, self._tokens, self._step = time.monotonic(), state.tokens, state.step


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
