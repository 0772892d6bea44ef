"""What must survive a killed job, and the folder that keeps it until the phase is finished.

A checkpoint is written under another name, synced and renamed: it is complete or absent. It holds
everything that the next step depends on, so that a resumed run ends with the same bits.
"""

import contextlib
import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer
from transformers import PreTrainedModel

from scripts.common import canonical
from scripts.common.errors import UserError
from scripts.common.files import sync

log = logging.getLogger(__name__)

_RUN_PREFIX = ".run-"
_STEP_PREFIX = "step-"
_RNG = "rng."  # no parameter's name starts like this: they start with a module's


@dataclass
class TrainState:
    """A run between two steps. ``tokens`` are the phase's; one of ``metrics`` is one step's."""

    model: PreTrainedModel
    optimizer: Optimizer
    step: int = 0
    tokens: int = 0
    metrics: list[dict[str, Any]] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write all of it into ``folder``."""
        parameters = {name: value.detach() for name, value in self.model.named_parameters()}
        save_file(parameters, folder / "model.safetensors")
        save_optimizer(self.model, self.optimizer, folder / "optimizer.safetensors", _rng())
        write_metrics(self.metrics, folder / "metrics.jsonl")
        progress = {"step": self.step, "tokens": self.tokens}
        (folder / "trainer.json").write_text(canonical.dumps(progress) + "\n")

    def restore(self, folder: Path) -> None:
        """Take up what ``save`` wrote; raises UserError for a damaged folder."""
        try:
            weights = load_file(folder / "model.safetensors")
            with torch.no_grad():
                for name, parameter in self.model.named_parameters():
                    parameter.copy_(weights[name])
            rng = load_optimizer(self.model, self.optimizer, folder / "optimizer.safetensors")
            progress = json.loads((folder / "trainer.json").read_bytes())
            lines = (folder / "metrics.jsonl").read_text().splitlines()
            self.metrics = [json.loads(line) for line in lines]
            self.step, self.tokens = progress["step"], progress["tokens"]
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise UserError(
                f"{folder} is no readable checkpoint ({error}): delete it to go on from the one "
                "before, or from the start"
            ) from error
        _set_rng(rng)


def save_optimizer(
    model: PreTrainedModel, optimizer: Optimizer, file: Path, extra: dict[str, Tensor] | None = None
) -> None:
    """Write the optimizer's tensors as ``{parameter}.{exp_avg|exp_avg_sq|step}``."""
    tensors = {
        f"{name}.{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state[parameter].items()
    }
    save_file({**tensors, **(extra or {})}, file)


def load_optimizer(model: PreTrainedModel, optimizer: Optimizer, file: Path) -> dict[str, Tensor]:
    """Give the optimizer the tensors in ``file``; return those that are no parameter's.

    Raises UserError where a parameter's are absent or of another shape.
    """
    tensors = load_file(file)
    for name, parameter in model.named_parameters():
        state = {
            key: tensors.pop(f"{name}.{key}", None) for key in ("step", "exp_avg", "exp_avg_sq")
        }
        for key, value in state.items():
            if value is None or (key != "step" and value.shape != parameter.shape):
                raise UserError(
                    f"{file}: no {key} of {name} with shape {tuple(parameter.shape)}; it is of "
                    "another model: make it again"
                )
        optimizer.state[parameter] = {
            key: value.to(parameter.device) for key, value in state.items() if value is not None
        }
    return tensors


def write_metrics(metrics: list[dict[str, Any]], file: Path) -> None:
    file.write_text("".join(canonical.dumps(record) + "\n" for record in metrics))


def _rng() -> dict[str, Tensor]:
    states = {f"{_RNG}cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states[f"{_RNG}cuda"] = torch.cuda.get_rng_state()
    return states


def _set_rng(states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states[f"{_RNG}cpu"])
    if torch.cuda.is_available() and f"{_RNG}cuda" in states:
        torch.cuda.set_rng_state(states[f"{_RNG}cuda"])


class RunFolder:
    """The checkpoints of one attempt at a phase, under a key of all that decides its outcome."""

    def __init__(self, phase_folder: Path, key: str) -> None:
        self.path = phase_folder / f"{_RUN_PREFIX}{key}"

    def save(self, state: TrainState) -> None:
        """Add the checkpoint of ``state`` and drop the ones before it."""
        final = self.path / f"{_STEP_PREFIX}{state.step:09d}"
        partial = self.path / ".partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        state.save(partial)
        for file in partial.iterdir():
            sync(file)
        sync(partial)
        partial.rename(final)
        sync(self.path)
        for older in self._checkpoints():
            if older != final:
                shutil.rmtree(older)

    def resume(self, state: TrainState) -> bool:
        """Bring ``state`` to the last checkpoint; return whether there was one."""
        checkpoints = self._checkpoints()
        if checkpoints:
            state.restore(checkpoints[-1])
        return bool(checkpoints)

    def _checkpoints(self) -> list[Path]:
        return sorted(self.path.glob(f"{_STEP_PREFIX}*"))


def remove_runs(phase_folder: Path) -> None:
    """Remove the checkpoints of a finished phase, also those of attempts with other settings."""
    for folder in phase_folder.glob(f"{_RUN_PREFIX}*"):
        shutil.rmtree(folder)


@contextlib.contextmanager
def sole_writer(phase_folder: Path) -> Iterator[None]:
    """Hold a phase's folder against other processes; raises UserError if one has it."""
    phase_folder.mkdir(parents=True, exist_ok=True)
    lock = phase_folder / ".lock"
    with lock.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(
                f"another process trains into {phase_folder}: wait for it or stop it"
            ) from None
        if not _is_still(lock, stream.fileno()):  # its last holder removed it meanwhile
            raise UserError(f"another process just left {phase_folder}: run again")
        try:
            yield
        finally:
            lock.unlink()


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
