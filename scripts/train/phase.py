"""Train one phase: its order's tokens, from its parent's weights, moments and learning rate.

Leaves a Hugging Face folder with the optimizer's tensors, the trainer's record and the metrics of
every step. A run that was killed goes on from its last checkpoint and ends with the same bits.

`python -m torch.distributed.run`, or srun, starts several processes. All train and write their part
of the checkpoints; the first one alone decides what there is to do and writes the artifact.
"""

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch.utils import deterministic
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from scripts.common import canonical, layout
from scripts.common.artifact import Artifact, Draft, Observing, make
from scripts.common.code import code_hash
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Name
from scripts.common.config.tracking import Tracking
from scripts.common.config.train import Architecture, Engine, Optimizer, Rope, Scheduling, Spikes
from scripts.common.errors import UserError
from scripts.common.optional import require
from scripts.common.quantity import Tokens
from scripts.slurm.job import join_step
from scripts.train import model as models
from scripts.train.backends.start import start
from scripts.train.batches import MICRO_BATCH_TOKENS, Batches, Order, SourceShard
from scripts.train.course import Clock, Course
from scripts.train.heldout import HeldOut
from scripts.train.loop import Trainer
from scripts.train.prefetch import Prefetched
from scripts.train.processes import Word, check_launch, connected
from scripts.train.progress import Progress, number
from scripts.train.ranks import Ranks
from scripts.train.sequence import check_sharing
from scripts.train.state import (
    RunFolder,
    TrainState,
    inherit_moments,
    on_host,
    remove_runs,
    sole_writer,
    write_metrics,
)
from scripts.train.tracking import Run, Trackers
from scripts.train.utilization import Flops

log = logging.getLogger(__name__)

MODULE = "scripts.train.phase"


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
    heldout_tokens: Tokens | None
    tracking: Tracking

    def decisive(self) -> dict[str, Any]:
        """The settings that the outcome depends on, with the bytes of a base checkpoint."""
        followed = {"heldout_tokens", "tracking"}
        values = self.model_dump(mode="json", exclude={"checkpoint_tokens", "engine", *followed})
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
        measured = [layout.heldout_tokens(settings.tokenizer)] if settings.heldout_tokens else []
        self.observing = Observing({"heldout_tokens": settings.heldout_tokens}, measured)
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


def build(
    draft: Draft, phase: str, inputs: Inputs, settings: Settings, runs: RunFolder, ranks: Ranks
) -> None:
    """Train ``phase`` into ``draft``, as the first process; see ``train``."""
    state = train(phase, inputs, settings, runs, ranks)
    _write(draft, state, inputs.tokenizer, _trainer_record(state, inputs))


def train(
    phase: str, inputs: Inputs, settings: Settings, runs: RunFolder, ranks: Ranks
) -> TrainState:
    """Train ``phase`` with checkpoints in ``runs``; all processes at once.

    Raises UserError for inputs that do not fit together and for steps that cannot be taken;
    SystemExit with status 75 once it has saved its state because it was told to stop.
    """
    device = _prepare_torch(settings.engine.deterministic)
    batches = Batches(inputs.order, inputs.tokens)
    state = _start(inputs, settings, ranks)
    if runs.resume(state):
        log.info("%s: goes on from step %d", phase, state.step)
    micro_batch = settings.engine.micro_batch_tokens or MICRO_BATCH_TOKENS[device.type]
    trainer = Trainer(
        state,
        Prefetched(batches, pinned=device.type == "cuda"),
        inputs.course,
        settings.spikes,
        z_loss=settings.optimizer.z_loss,
        micro_batch_tokens=micro_batch,
        name=phase,
        heldout=_heldout(inputs, settings),
    )
    with contextlib.closing(_trackers(phase, settings, runs, state)) as trackers:
        flops = Flops.of(state.backend.model, batches[0], _gpus(ranks))
        progress = Progress(phase, state, inputs.course.plan, trackers, flops)
        trainer.run(runs.save, settings.checkpoint_tokens, progress)
    return state


def _heldout(inputs: Inputs, settings: Settings) -> HeldOut | None:
    if settings.heldout_tokens is None:
        return None
    (tokens,) = inputs.observing.inputs
    return HeldOut(
        Artifact.load(tokens),
        inputs.course.plan.longest,
        settings.heldout_tokens,
        at_start=settings.model is None or settings.model.path is not None,  # has learned something
    )


def _gpus(ranks: Ranks) -> list[str]:
    """Return the names of all processes' GPUs, which are taken to be alike; none without any."""
    if ranks.device.type != "cuda":
        return []
    return ranks.world * [torch.cuda.get_device_name(ranks.device)]


def _trackers(phase: str, settings: Settings, runs: RunFolder, state: TrainState) -> Trackers:
    if not state.backend.ranks.first:
        return Trackers({})
    run = Run(phase, runs.key, state.step, settings.model_dump(mode="json"))
    return Trackers.of(settings.tracking, run)


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


def _start(inputs: Inputs, settings: Settings, ranks: Ranks) -> TrainState:
    model = _model(inputs, settings)
    if ranks.sequence > 1:
        check_sharing(model.config, inputs.course.plan, ranks.sequence)
    if settings.precision == "fp8":
        # Not in the lock file: transformers imports it wherever it is, which takes seconds.
        require("torchao", "precision: fp8", "torchao==0.18.0")
        from scripts.train.float8 import use_float8

        use_float8(model, ranks.device)
    precision = _precision(settings, ranks.device)
    state = TrainState(start(model, settings.optimizer, precision, settings.engine, ranks))
    if inputs.parent is not None and settings.inherit.optimizer:
        inherit_moments(state.backend, inputs.parent.member("optimizer.safetensors").parent)
    return state


def _precision(settings: Settings, device: torch.device) -> torch.dtype:
    chosen = settings.precision or ("bf16" if device.type == "cuda" else "fp32")
    return torch.float32 if chosen == "fp32" else torch.bfloat16  # fp8 is bf16 but for products


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
    weights = on_host(state.backend.weights())
    models.save(state.backend.model, weights, draft.folder)
    save_file(on_host(state.backend.moments()), draft.path("optimizer.safetensors"))
    draft.path("trainer.json").write_text(canonical.dumps(record) + "\n")
    write_metrics(state.metrics, draft.path("metrics.jsonl"))
    draft.counts = {
        **record,
        "loss": state.metrics[-1]["loss"],
        "parameters": sum(weight.numel() for weight in weights.values()),
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
    transformers_logging.disable_progress_bar()
    join_step()
    ranks = Ranks.of_launcher()
    with connected(ranks) as word:
        settings = parse_settings(Settings, arguments.settings)
        check_launch(settings.engine, ranks)
        ranks = ranks.sharing_rows(settings.engine.sequence_ranks)
        if ranks.first:
            _lead(arguments.phase, settings, ranks, word)
        else:
            _follow(arguments.phase, settings, ranks, word)


def _follow(phase: str, settings: Settings, ranks: Ranks, word: Word) -> None:
    """Take part in the training if there is one, and in reading its outcome off."""
    logging.getLogger().setLevel(logging.ERROR)  # the first process says it all
    key = word.heard()
    if key is None:
        return
    runs = RunFolder(layout.phase(phase).parent, key)
    backend = train(phase, Inputs(phase, settings), settings, runs, ranks).backend
    for _ in chain(backend.weights(), backend.moments()):
        pass  # each is put together from what the processes have of it


def _lead(phase: str, settings: Settings, ranks: Ranks, word: Word) -> None:
    """Make the artifact, or keep it as it is."""
    with word.to_be_given():
        inputs = Inputs(phase, settings)
        decisive = settings.decisive()
        output = layout.phase(phase)
        precision = str(_precision(settings, ranks.device))  # by default it depends on the device
        key = _run_key({**decisive, "precision": precision}, inputs)

        def build_together(draft: Draft) -> None:
            word.give(key)
            build(draft, phase, inputs, settings, RunFolder(output.parent, key), ranks)

        with sole_writer(output.parent):
            made = make(
                build_together,
                output=output,
                module=MODULE,
                settings=decisive,
                inputs=inputs.paths,
                observing=inputs.observing,
            )
            remove_runs(output.parent)
    log.info(
        "%s: %s steps, %s tokens, loss %s",
        phase,
        f"{made.counts['steps']:,}",
        f"{made.counts['tokens']:,}",
        number(made.counts["loss"]),
    )


if __name__ == "__main__":
    run(main)
