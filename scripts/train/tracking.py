"""The curves of a run, sent to trackers while it trains: TensorBoard, and others if configured.

Each tracker is served by a thread of its own, so that none holds up training, and one that fails is
told once and done without. Keys come from the environment, where the trackers look for them.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from scripts.common import layout
from scripts.common.config.tracking import MLflow, Tracking, WeightsAndBiases
from scripts.common.optional import require

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 60.0  # with a tracker, when the run is over


@dataclass(frozen=True)
class Run:
    """What trackers know of a run: ``key`` is that of its checkpoints, ``step`` the last one taken.

    A run that goes on from a checkpoint goes on in its curves, from that step.
    """

    phase: str
    key: str
    step: int
    settings: Mapping[str, Any]


class Tracker(Protocol):
    """Shows values by name over steps."""

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class Trackers:
    """Hands the figures of each step to all trackers; those of none are handed to nobody."""

    def __init__(self, openings: Mapping[str, Callable[[], Tracker]]) -> None:
        """Open trackers by name, each in the background."""
        self._trackers = [Background(name, opening) for name, opening in openings.items()]

    @classmethod
    def of(cls, settings: Tracking, run: Run) -> "Trackers":
        """Open TensorBoard and what is configured; raises UserError if a package is missing."""
        openings: dict[str, Callable[[], Tracker]] = {"TensorBoard": lambda: _tensorboard(run)}
        if (wandb := settings.wandb) is not None:
            require("wandb", "tracking.wandb")
            openings["Weights & Biases"] = lambda: _WeightsAndBiases(wandb, run)
        if (mlflow := settings.mlflow) is not None:
            require("mlflow", "tracking.mlflow")
            openings["MLflow"] = lambda: _MLflow(mlflow, run)
        return cls(openings)

    def log(self, record: Mapping[str, Any], speed: Mapping[str, float]) -> None:
        """Hand on a step's metrics, those that are numbers, and its speed."""
        if self._trackers:
            values = dict(_numbers({**record, **speed}))
            for tracker in self._trackers:
                tracker.log(record["step"], values)

    def close(self) -> None:
        for tracker in self._trackers:
            tracker.close()


def _numbers(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield what can be drawn: numbers, those of a group as ``group/name``."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and name != "step":
            yield prefix + name, float(value)


class Background:
    """A tracker that is opened, served and closed by a thread, which ends where it fails."""

    def __init__(self, name: str, opening: Callable[[], Tracker]) -> None:
        self._name = name
        self._opening = opening
        self._queue: SimpleQueue[tuple[int, Mapping[str, float]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if self._thread.is_alive():
            self._queue.put((step, values))

    def close(self) -> None:
        """Wait until it has shown all, but not for long."""
        self._queue.put(None)
        self._thread.join(_PATIENCE_SECONDS)
        if self._thread.is_alive():
            log.warning("%s has not taken all figures yet: the rest is left out", self._name)

    def _serve(self) -> None:
        try:
            tracker = self._opening()
            while (logged := self._queue.get()) is not None:
                tracker.log(*logged)
            tracker.close()
        except Exception as error:  # whatever it is, it is no reason not to train
            log.warning(
                "%s failed, and training goes on without it: %s: %s",
                self._name,
                type(error).__name__,
                error,
            )


class _TensorBoard:
    def __init__(self, folder: Path, run: Run) -> None:
        from torch.utils.tensorboard import SummaryWriter  # takes half a second

        # What a run that was killed had logged behind its last checkpoint is taken back.
        first = run.step + 1 if run.step else 0
        self._writer = SummaryWriter(str(folder), purge_step=first, flush_secs=10)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


def tensorboard_folder(phase: str) -> Path:
    return Path(layout.RESULTS, "logs", "tensorboard", phase)


def _tensorboard(run: Run) -> Tracker:
    return _TensorBoard(tensorboard_folder(run.phase), run)


class _WeightsAndBiases:
    """Takes no step twice of itself: what is not behind its last one is dropped there."""

    def __init__(self, settings: WeightsAndBiases, run: Run) -> None:
        import wandb

        self._run = wandb.init(
            project=settings.project,
            entity=settings.entity,
            name=run.phase,
            id=f"{run.phase}-{run.key}",
            resume="allow",
            config=dict(run.settings),
            dir=str(Path(layout.RESULTS, "logs")),
            settings=wandb.Settings(silent=True),
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if step > self._run.step or not self._run.resumed:
            self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


class _MLflow:
    """Goes on in the run with the same key, behind the last step that it has."""

    def __init__(self, settings: MLflow, run: Run) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=settings.uri)
        experiment = self._client.get_experiment_by_name(settings.experiment)
        where = (
            self._client.create_experiment(settings.experiment)
            if experiment is None
            else experiment.experiment_id
        )
        runs = self._client.search_runs([where], f"tags.midtrain_key = '{run.key}'")
        if runs:
            self._id = runs[0].info.run_id
        else:
            tags = {"midtrain_key": run.key}
            self._id = self._client.create_run(where, run_name=run.phase, tags=tags).info.run_id
            self._client.log_dict(self._id, dict(run.settings), "settings.json")
        history = self._client.get_metric_history(self._id, "tokens")
        self._last = max((metric.step for metric in history), default=0)
        self._client.set_terminated(self._id, "RUNNING")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        if step > self._last:
            now = round(time.time() * 1000)
            metrics = [Metric(name, value, now, step) for name, value in values.items()]
            self._client.log_batch(self._id, metrics=metrics)

    def close(self) -> None:
        self._client.set_terminated(self._id)
