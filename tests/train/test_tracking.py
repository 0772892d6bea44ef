import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from scripts.common import layout
from scripts.common.artifact import Artifact
from scripts.common.config.tracking import MLflow, Tracking
from scripts.common.errors import UserError
from scripts.train import tracking
from scripts.train.tracking import Run, Trackers, tensorboard_folder
from tests.train.test_phase import FOLDER, metrics, run_killed

Runs = Callable[..., Artifact]

RUN = Run("base", "0123456789abcdef", 0, {"lr": "Constant"})


def curves(phase: str = "base") -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a phase, read as it reads it."""
    read = EventAccumulator(str(tensorboard_folder(phase)), size_guidance={"scalars": 0})
    read.Reload()
    return {
        name: [(event.step, event.value) for event in read.Scalars(name)]
        for name in read.Tags()["scalars"]
    }


def test_tensorboard_shows_every_step_and_is_no_part_of_the_artifact(run_phase: Runs) -> None:
    made = run_phase()
    shown, steps = curves(), metrics(made)
    assert set(shown) == {"loss", "lr", "grad_norm", "tokens", "tokens_per_second"}
    for name in ("loss", "lr", "grad_norm", "tokens"):
        assert shown[name] == [
            (step["step"], pytest.approx(step[name], rel=1e-6)) for step in steps
        ]
    assert not any("events" in name for name in made.content["members"])


def test_curves_of_a_killed_run_go_on_without_duplicates(run_phase: Runs) -> None:
    run_killed(7, "step")  # step 6 is the last one saved, some of step 7 may be shown
    (first,) = tensorboard_folder("base").iterdir()
    time.sleep(1)  # files are named, and read in the order of, the seconds that they begin in
    made = run_phase()
    assert len(list(tensorboard_folder("base").iterdir())) == 2 and first.exists()
    steps = [step for step, _ in curves()["loss"]]
    # A process that is killed takes the last seconds of its curves along.
    assert steps == sorted(set(steps)) and steps[-4:] == [7, 8, 9, 10]
    assert curves()["loss"][-4:] == [
        (step["step"], pytest.approx(step["loss"], rel=1e-6)) for step in metrics(made)[6:]
    ]


def test_steps_behind_the_last_checkpoint_are_taken_back(workdir: Path) -> None:
    for step, shown in ((0, range(1, 8)), (5, range(6, 10))):
        trackers = Trackers.of(Tracking(), Run("base", "key", step, {}))
        for one in shown:
            trackers.log({"step": one, "loss": 10.0 * step + one}, {})
        trackers.close()
    assert curves()["loss"] == [
        *((step, step) for step in range(1, 6)),
        *((step, 50 + step) for step in range(6, 10)),
    ]


def test_a_phase_that_is_trained_anew_starts_its_curves_anew(run_phase: Runs) -> None:
    run_phase()
    run_phase(tokens=640, lr="Constant(1e-3)")
    assert [value for _, value in curves()["lr"]] == pytest.approx([1e-3] * 10)


def test_groups_are_flat_and_what_is_no_number_is_left_out() -> None:
    record = {"step": 3, "loss": None, "skipped": "loss is nan", "heldout": {"code": 1, "a": None}}
    assert dict(tracking._numbers(record)) == {"heldout/code": 1.0}


class Broken:
    def log(self, step: int, values: Mapping[str, float]) -> None:
        raise ConnectionError("no route to host")

    def close(self) -> None: ...


def test_a_tracker_that_fails_is_told_once_and_training_goes_on(
    run_phase: Runs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tracking, "_tensorboard", lambda _run: Broken())
    assert run_phase().counts["steps"] == 10
    told = [record for record in caplog.records if "TensorBoard failed" in record.message]
    assert len(told) == 1 and "ConnectionError: no route to host" in told[0].message


def test_a_tracker_that_hangs_holds_nothing_up(
    run_phase: Runs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    released = threading.Event()
    monkeypatch.setattr(tracking, "_PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(tracking, "_tensorboard", lambda _run: released.wait())
    assert run_phase().counts["steps"] == 10
    released.set()
    assert "TensorBoard has not taken all figures" in caplog.text


def test_trackers_decide_nothing(run_phase: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    made = run_phase()
    monkeypatch.setattr(tracking, "require", lambda *_package: None)
    monkeypatch.setattr(tracking, "_WeightsAndBiases", lambda *_: Broken())
    assert run_phase(tracking={"wandb": {"project": "other"}}).content == made.content
    assert "tracking" not in json.loads((FOLDER / layout.MANIFEST).read_bytes())["settings"]


@pytest.mark.parametrize("package", ["wandb", "mlflow"])
def test_a_package_that_is_missing_is_named(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    given = {"wandb": {"project": "p"}, "mlflow": {"uri": "file:mlruns"}}[package]
    with pytest.raises(UserError, match=rf"tracking.{package}: .* `pip install {package}`"):
        Trackers.of(Tracking.model_validate({package: given}), RUN)


def test_keys_are_refused_where_they_would_be_logged() -> None:
    with pytest.raises(ValidationError, match="set MLFLOW_TRACKING_USERNAME"):
        MLflow(uri="https://me:secret@mlflow.example.org")
    with pytest.raises(ValidationError, match="api_key"):
        Tracking.model_validate({"wandb": {"project": "p", "api_key": "secret"}})


def logged(settings: Mapping[str, Any], step: int, shown: range) -> None:
    trackers = Trackers.of(
        Tracking.model_validate(settings), Run("base", "0123456789abcdef", step, {"lr": "Constant"})
    )
    for one in shown:
        trackers.log({"step": one, "tokens": 64 * one, "loss": 1 / one}, {})
    trackers.close()


def test_mlflow_goes_on_in_the_same_run(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = f"file:{workdir}/mlruns"
    logged({"mlflow": {"uri": uri}}, 0, range(1, 8))
    logged({"mlflow": {"uri": uri}}, 5, range(6, 10))
    assert "failed" not in caplog.text
    client = MlflowClient(tracking_uri=uri)
    (experiment,) = (one for one in client.search_experiments() if one.name == "midtrain")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("base", "FINISHED")
    history = client.get_metric_history(run.info.run_id, "loss")
    assert sorted((one.step, one.value) for one in history) == [(n, 1 / n) for n in range(1, 10)]


def test_weights_and_biases_takes_a_run_offline(workdir: Path) -> None:
    """In a process of its own, as the package leaves threads and hooks behind."""
    pytest.importorskip("wandb")
    program = (
        "import logging; logging.basicConfig(level=logging.INFO)\n"
        "from tests.train.test_tracking import logged\n"
        "logged({'wandb': {'project': 'midtrain'}}, 0, range(1, 8))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "WANDB_MODE": "offline", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "failed" not in done.stderr, done.stderr
    (folder,) = (workdir / "results/logs/wandb").glob("offline-run-*-base-0123456789abcdef")
    assert list(folder.glob("*.wandb"))


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
