"""Train one phase: its order's tokens, from its parent's weights, moments and learning rate.

Leaves a Hugging Face folder with the optimizer's tensors, the trainer's record and the metrics of
every step. A run that was killed goes on from its last checkpoint and ends with the same bits.
"""

import json
import logging
import os
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch.utils import deterministic
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from scripts.common import canonical, layout
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.code import code_hash
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Name
from scripts.common.config.train import Architecture, Engine, Optimizer, Rope, Scheduling, Spikes
from scripts.common.errors import UserError
from scripts.common.quantity import Tokens
from scripts.train import model as models
from scripts.train.backends.plain import PlainBackend
from scripts.train.batches import Batches, Order, SourceShard
from scripts.train.blocks import prepare_blocks
from scripts.train.course import Clock, Course
from scripts.train.loop import Trainer
from scripts.train.ranks import Ranks
from scripts.train.state import (
    RunFolder,
    TrainState,
    inherit_moments,
    remove_runs,
    sole_writer,
    write_metrics,
)

log = logging.getLogger(__name__)

MODULE = "scripts.train.phase"
# Activations of more tokens than this at a time fall out of the CPU's caches, or of a GPU's memory.
_MICRO_BATCH_TOKENS = {"cpu": 4096, "cuda": 16_384}


class Settings(Scheduling):
    """A phase without what only its order depends on; ``model`` is for a phase without parent."""

    model: Architecture | None
    tokenizer: Name
    rope: Rope | None
    optimizer: Optimizer
    spikes: Spikes
    precision: Literal["fp32", "bf16", "fp8"] | None
    engine: Engine
    checkpoint_tokens: Tokens

    def decisive(self) -> dict[str, Any]:
        """The settings that the outcome depends on, with the bytes of a base checkpoint."""
        values = self.model_dump(mode="json", exclude={"checkpoint_tokens", "engine"})
        if self.model is not None and self.model.path is not None:
            values["base"] = _checkpoint_hashes(Path(self.model.path))
        return values


class Inputs:
    """The artifacts that a phase reads."""

    def __init__(self, phase: str, settings: Settings) -> None:
        self.parent = (
            Artifact.load(layout.phase(settings.parent)) if settings.parent is not None else None
        )
        self.course = Course.of(settings, self._parent_clock())
        self.order = Order(Artifact.load(layout.order(phase)), self.course.plan)
        self.tokens: dict[SourceShard, Path] = {
            (source, shard): layout.tokens(settings.tokenizer, source, shard)
            for source, shard in self.order.source_shards
        }
        self.tokenizer = Artifact.load(layout.tokenizer(settings.tokenizer))
        fixed = [layout.order(phase), self.tokenizer.path]
        parent = [self.parent.path] if self.parent is not None else []
        self.paths = [*fixed, *parent, *self.tokens.values()]

    @cached_property
    def parent_record(self) -> dict[str, Any]:
        """What the parent's training left: its totals and its clock."""
        if self.parent is None:
            return {}
        record: dict[str, Any] = json.loads(self.parent.member("trainer.json").read_bytes())
        return record

    def _parent_clock(self) -> Clock:
        return Clock.model_validate(self.parent_record.get("clock", {}))


def build(draft: Draft, phase: str, inputs: Inputs, settings: Settings, runs: RunFolder) -> None:
    """Train ``phase`` into ``draft``, with checkpoints in ``runs``.

    Raises UserError for inputs that do not fit together and for steps that cannot be taken;
    SystemExit with status 75 once it has saved its state because it was told to stop.
    """
    device = _prepare_torch(settings.engine.deterministic)
    batches = Batches(inputs.order, inputs.tokens)
    state = _start(inputs, settings, device)
    if runs.resume(state):
        log.info("%s: goes on from step %d", phase, state.step)
    micro_batch = settings.engine.micro_batch_tokens or _MICRO_BATCH_TOKENS[device.type]
    Trainer(
        state,
        batches,
        inputs.course,
        settings.spikes,
        z_loss=settings.optimizer.z_loss,
        micro_batch_tokens=micro_batch,
        name=phase,
    ).run(runs.save, settings.checkpoint_tokens)
    _write(draft, state, inputs.tokenizer, _trainer_record(state, inputs))


def _prepare_torch(deterministic_gpu: bool) -> torch.device:
    """Return the device to train on; a CPU gives the same bits each time, a GPU if it shall."""
    torch.manual_seed(0)
    device = Ranks.of_launcher().device
    if device.type == "cpu" or deterministic_gpu:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        # Filling fresh memory would only guard against reads of it, at a quarter of the speed.
        deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return device


def _start(inputs: Inputs, settings: Settings, device: torch.device) -> TrainState:
    model = _model(inputs, settings)
    model.to(device)  # type: ignore[arg-type]  # transformers decorates it beyond mypy
    state = TrainState(PlainBackend(model, settings.optimizer, _precision(settings, device)))
    prepare_blocks(model, settings.engine.recompute, compiled=settings.engine.compile)
    if inputs.parent is not None and settings.inherit.optimizer:
        inherit_moments(state.backend, inputs.parent.member("optimizer.safetensors").parent)
    return state


def _precision(settings: Settings, device: torch.device) -> torch.dtype:
    chosen = settings.precision or ("bf16" if device.type == "cuda" else "fp32")
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[chosen]


def _model(inputs: Inputs, settings: Settings) -> PreTrainedModel:
    shape = (inputs.tokenizer.counts, inputs.course.plan.longest, settings.rope)
    if inputs.parent is not None:
        return models.load(inputs.parent.member("config.json").parent, *shape)
    if settings.model is None:
        raise UserError("--settings: give `parent`, or `model` for a phase that has none")
    if settings.model.path is not None:
        return models.load(Path(settings.model.path), *shape)
    return models.create(settings.model, *shape)


def _trainer_record(state: TrainState, inputs: Inputs) -> dict[str, Any]:
    end = inputs.course.end
    return {
        "clock": end.model_dump(),
        "last_lr": end.lr,
        "steps": state.step,
        "tokens": state.tokens,
        "total_steps": state.step + inputs.parent_record.get("total_steps", 0),
        "total_tokens": state.tokens + inputs.parent_record.get("total_tokens", 0),
    }


def _write(draft: Draft, state: TrainState, tokenizer: Artifact, record: dict[str, Any]) -> None:
    for name in tokenizer.content["members"]:
        shutil.copyfile(tokenizer.member(name), draft.path(name))
    models.save(state.backend.model, dict(state.backend.weights()), draft.folder)
    save_file(dict(state.backend.moments()), draft.path("optimizer.safetensors"))
    draft.path("trainer.json").write_text(canonical.dumps(record) + "\n")
    write_metrics(state.metrics, draft.path("metrics.jsonl"))
    draft.counts = {
        **record,
        "loss": state.metrics[-1]["loss"],
        "parameters": sum(parameter.numel() for parameter in state.backend.model.parameters()),
        "skipped_steps": sum("skipped" in step for step in state.metrics),
    }


def _checkpoint_hashes(folder: Path) -> dict[str, str]:
    """Return the sha256 of a base checkpoint's files, which no artifact records."""
    files = [folder / "config.json", *sorted(folder.glob("*.safetensors"))]
    if not files[0].is_file() or len(files) == 1:
        raise UserError(f"model.path: {folder} holds no config.json with *.safetensors beside it")
    return {file.name: canonical.sha256_file(file) for file in files}


def _run_key(settings: Mapping[str, Any], inputs: Inputs) -> str:
    """Hash what decides a run's bits: checkpoints of another key are of no use to it."""
    return canonical.sha256_text(
        canonical.dumps(
            {
                "code": code_hash(MODULE),
                "inputs": {path.as_posix(): Artifact.load(path).digest for path in inputs.paths},
                "settings": settings,
            }
        )
    )[:16]


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--phase", required=True)
    arguments = command.parse_args()
    settings = parse_settings(Settings, arguments.settings)
    transformers_logging.disable_progress_bar()
    output = layout.phase(arguments.phase)
    inputs = Inputs(arguments.phase, settings)
    decisive = settings.decisive()
    runs = RunFolder(output.parent, _run_key(decisive, inputs))
    with sole_writer(output.parent):
        made = make(
            lambda draft: build(draft, arguments.phase, inputs, settings, runs),
            output=output,
            module=MODULE,
            settings=decisive,
            inputs=inputs.paths,
        )
        remove_runs(output.parent)
    log.info(
        "%s: %s steps, %s tokens, loss %.4f",
        arguments.phase,
        f"{made.counts['steps']:,}",
        f"{made.counts['tokens']:,}",
        made.counts["loss"],
    )


if __name__ == "__main__":
    run(main)
