"""The optimizer steps of a phase: accumulate, clip, step, record, keep a checkpoint."""

import contextlib
import logging
import math
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

import torch
from torch import Tensor
from transformers import PreTrainedModel

from scripts.common.config.train import Optimizer
from scripts.common.errors import UserError
from scripts.train.batches import Batch, Batches
from scripts.train.course import Course
from scripts.train.loss import head_loss
from scripts.train.model import forward_hidden, parameter_groups
from scripts.train.state import TrainState

log = logging.getLogger(__name__)

EXIT_INTERRUPTED = 75  # EX_TEMPFAIL of sysexits.h: run it again
# Activations of more tokens than this at a time fall out of the CPU's caches, or of a GPU's memory.
_MICRO_BATCH_TOKENS = {"cpu": 4096, "cuda": 16_384}
_PROGRESS_SECONDS = 5.0


def adamw(model: PreTrainedModel, settings: Optimizer) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        parameter_groups(model, settings.weight_decay),
        betas=(settings.beta1, settings.beta2),
        fused=True,
    )


class Interrupted(SystemExit):
    """SIGTERM or SIGUSR1 came; the state is saved. Ends the program with EXIT_INTERRUPTED."""

    def __init__(self) -> None:
        super().__init__(EXIT_INTERRUPTED)


class Trainer:
    """Takes a state through the steps of its phase."""

    def __init__(
        self,
        state: TrainState,
        batches: Batches,
        course: Course,
        settings: Optimizer,
        *,
        name: str,
    ) -> None:
        self.state = state
        self.batches = batches
        self.course = course
        self.settings = settings
        self.name = name

    def run(self, save: Callable[[TrainState], None], checkpoint_tokens: int) -> None:
        """Run to the last step, with ``save`` every ``checkpoint_tokens`` and when interrupted.

        Raises UserError naming the step whose loss or gradient is not finite, and Interrupted.
        """
        state = self.state
        saved = state.tokens
        progress = Progress(self.name, state, len(self.batches))
        self.state.model.train()
        with caught_signals() as caught:
            while state.step < len(self.batches):
                self.step()
                progress.report()
                last = state.step == len(self.batches)
                if not last and (caught or state.tokens - saved >= checkpoint_tokens):
                    save(state)
                    saved = state.tokens
                if caught:
                    log.info("%s: %s at step %d", self.name, caught[0].name, state.step)
                    raise Interrupted

    def step(self) -> None:
        """Take one optimizer step and append its metrics.

        Its LR is the course's in the middle of its tokens, so that neither the first step of a
        warm-up from 0 nor the last one of a decay to 0 is lost.
        """
        state = self.state
        batch = self.batches[state.step]
        batch_tokens = batch.input_ids_BT.numel()
        lr = self.course.lr(state.tokens + batch_tokens / 2)
        loss = self._accumulate(batch)
        norm = float(
            torch.nn.utils.clip_grad_norm_(state.model.parameters(), self.settings.clip_norm)
        )
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise UserError(
                f"phase {self.name}, step {state.step + 1}: loss {loss}, gradient norm {norm} at "
                f"LR {lr:.3g}; lower `lr`, lengthen the warm-up or lower `optimizer.clip_norm`"
            )
        for group in state.optimizer.param_groups:
            group["lr"] = lr
        state.optimizer.step()
        state.optimizer.zero_grad()
        state.step += 1
        state.tokens += batch_tokens
        state.metrics.append(
            {"step": state.step, "tokens": state.tokens, "lr": lr, "loss": loss, "grad_norm": norm}
        )

    def _accumulate(self, batch: Batch) -> float:
        """Add up the gradients of the micro-batches; return the mean loss per predicted token.

        Every token of the batch weighs the same, however the micro-batches divide them
        (transformers issue 34694), so the sums are divided by the whole batch's count.
        """
        device = self.state.model.device
        rows = max(1, _MICRO_BATCH_TOKENS[device.type] // batch.input_ids_BT.shape[1])
        targets = max(1, batch.targets)
        total = torch.zeros((), device=device)
        for micro in batch.split(rows):
            loss, entropy = token_losses(self.state.model, micro, self.settings.z_loss)
            (loss / targets).backward()
            total += entropy
        return float(total) / targets


def token_losses(model: PreTrainedModel, batch: Batch, z_weight: float) -> tuple[Tensor, Tensor]:
    """Return two sums over predicted tokens: the loss to descend, and its cross-entropy [nats].

    They differ by the z-loss (see ``loss.head_loss``). Matrix products are in bf16 on CUDA.
    """
    labels_N = batch.labels_BT[:, 1:].flatten().to(model.device, non_blocking=True)
    with torch.autocast("cuda", torch.bfloat16, enabled=model.device.type == "cuda"):
        hidden_BTD = forward_hidden(model, batch)
        hidden_ND = hidden_BTD[:, :-1].flatten(0, 1)
        if torch.is_autocast_enabled("cuda"):
            hidden_ND = hidden_ND.bfloat16()  # a norm's output is fp32 under autocast
    return head_loss(hidden_ND, model.get_output_embeddings().weight, labels_N, z_weight)


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
