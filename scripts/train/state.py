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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from scripts.common import canonical
from scripts.common.errors import UserError
from scripts.common.files import sync
from scripts.train.backends import Backend
from scripts.train.ranks import Ranks

log = logging.getLogger(__name__)

_RUN_PREFIX = ".run-"
_STEP_PREFIX = "step-"
_WEIGHTS, _MOMENTS, _RNG = "model", "optimizer", "rng"  # what checkpoints' files begin with


@dataclass
class TrainState:
    """A run between two steps. ``tokens`` are the phase's; one of ``metrics`` is one step's."""

    backend: Backend
    step: int = 0
    tokens: int = 0
    metrics: list[dict[str, Any]] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write this process's part of it into ``folder``, to stay there."""
        ranks = self.backend.ranks
        parts = {
            _WEIGHTS: _every(self.backend.weights(), ranks),
            _MOMENTS: _every(self.backend.moments(), ranks),
            _RNG: _rng(),
        }
        for prefix, tensors in parts.items():
            file = folder / f"{prefix}-{ranks.rank:05d}.safetensors"
            save_file(tensors, file)
            sync(file)
        if ranks.first:
            write_metrics(self.metrics, folder / "metrics.jsonl")
            progress = {"step": self.step, "tokens": self.tokens}
            (folder / "trainer.json").write_text(canonical.dumps(progress) + "\n")

    def restore(self, folder: Path) -> None:
        """Take up what any number of processes wrote; raises UserError for a damaged folder."""
        try:
            self.backend.load_weights(SavedTensors(folder, _WEIGHTS))
            moments = SavedTensors(folder, _MOMENTS)
            if moments:  # there are none before a first step is taken
                self.backend.load_moments(moments)
            progress = json.loads((folder / "trainer.json").read_bytes())
            lines = (folder / "metrics.jsonl").read_text().splitlines()
            self.metrics = [json.loads(line) for line in lines]
            self.step, self.tokens = progress["step"], progress["tokens"]
            _set_rng(SavedTensors(folder, _RNG))
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise UserError(
                f"{folder} is no readable checkpoint ({error}): delete it to go on from the one "
                "before, or from the start"
            ) from error


class SavedTensors(Mapping[str, Tensor]):
    """The tensors in all files ``{prefix}*.safetensors`` of a folder, read when asked for."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._file: dict[str, Any] = {}
        for path in sorted(folder.glob(f"{prefix}*.safetensors")):
            opened = safe_open(path, framework="pt")
            self._file.update(dict.fromkeys(opened.keys(), opened))

    def __getitem__(self, name: str) -> Tensor:
        tensor: Tensor = self._file[name].get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._file)

    def __len__(self) -> int:
        return len(self._file)


def inherit_moments(backend: Backend, folder: Path) -> None:
    """Take up a parent phase's moments; raises UserError if they are of another model."""
    try:
        backend.load_moments(SavedTensors(folder, _MOMENTS))
    except (KeyError, RuntimeError) as error:
        raise UserError(
            f"{folder}/{_MOMENTS}.safetensors is of another model than the weights beside it "
            f"({error}): make the phase again"
        ) from error


def _every(tensors: Iterator[tuple[str, Tensor]], ranks: Ranks) -> dict[str, Tensor]:
    """Return the tensors that are this process's to write: each ``ranks.world``-th."""
    return on_host(pair for place, pair in enumerate(tensors) if place % ranks.world == ranks.rank)


def on_host(tensors: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Return the tensors in the host's memory: together, a GPU may not have room for them."""
    return {name: tensor.cpu() for name, tensor in tensors}


def write_metrics(metrics: list[dict[str, Any]], file: Path) -> None:
    file.write_text("".join(canonical.dumps(record) + "\n" for record in metrics))


def _rng() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _set_rng(states: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if torch.cuda.is_available() and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"])


class RunFolder:
    """The checkpoints of one attempt at a phase, under a key of all that decides its outcome."""

    def __init__(self, phase_folder: Path, key: str) -> None:
        self.key = key
        self.path = phase_folder / f"{_RUN_PREFIX}{key}"

    def save(self, state: TrainState) -> None:
        """Add the checkpoint of ``state`` and drop the ones before it: all processes at once."""
        final = self.path / f"{_STEP_PREFIX}{state.step:09d}"
        partial = self.path / ".partial"
        ranks = state.backend.ranks
        if ranks.first:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        ranks.wait()
        state.save(partial)
        ranks.wait()
        if ranks.first:
            self._finish(partial, final)

    def _finish(self, partial: Path, final: Path) -> None:
        for file in (partial / "metrics.jsonl", partial / "trainer.json", partial):
            sync(file)  # processes have synced their own tensors
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
    """Hold a phase's folder against other processes, for which this one waits.

    The file system breaks the lock of a process, or a node, that is gone. Raises UserError for a
    file system without locks.
    """
    phase_folder.mkdir(parents=True, exist_ok=True)
    lock = phase_folder / ".lock"
    while True:
        with lock.open("a+") as stream:
            _wait_for_lock(stream, phase_folder)
            if not _is_still(lock, stream.fileno()):  # its last holder removed it meanwhile
                continue
            try:
                yield
            finally:
                lock.unlink()
            return


def _wait_for_lock(stream: IO[str], phase_folder: Path) -> None:
    try:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("another process trains into %s: waiting for it to end", phase_folder)
            fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError as error:
        raise UserError(
            f"{phase_folder} cannot be locked against a second writer ({error}): its file system "
            "must be mounted with locks (for Lustre, `-o flock`)"
        ) from error


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
