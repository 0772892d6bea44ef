import errno
import fcntl
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from scripts.common import layout
from scripts.common.artifact import Artifact
from scripts.common.batch_plan import BatchPlan
from scripts.common.code import ROOT
from scripts.common.errors import UserError
from scripts.train import loop, phase
from scripts.train.state import sole_writer
from tests.train.conftest import CONTEXT, make_order, phase_settings
from tests.train.launch import PROGRAMS

Run = Callable[..., Artifact]

FOLDER = layout.phase("base").parent
RESULT = ("model.safetensors", "optimizer.safetensors", "metrics.jsonl", "trainer.json")


def members(artifact: Artifact, names: tuple[str, ...] = RESULT) -> dict[str, str]:
    return {name: artifact.content["members"][name]["sha256"] for name in names}


def metrics(artifact: Artifact) -> list[dict[str, float]]:
    return [json.loads(line) for line in artifact.member("metrics.jsonl").read_text().splitlines()]


def test_a_phase_learns_and_leaves_a_checkpoint_that_transformers_loads(run_phase: Run) -> None:
    made = run_phase()
    steps = metrics(made)
    assert [step["tokens"] for step in steps] == [64 * step for step in range(1, 11)]
    assert [step["lr"] for step in steps[:3]] == pytest.approx(
        [2.5e-3, 7.5e-3, 0.00991354], rel=1e-4
    )
    assert steps[-1]["loss"] < steps[0]["loss"] - 0.05
    assert made.counts["total_tokens"] == 640
    assert made.counts["last_lr"] == 1e-3
    assert "tokenizer.json" in made.content["members"]
    model = AutoModelForCausalLM.from_pretrained(made.folder, use_safetensors=True)
    assert model.config.eos_token_id == 1
    assert [file.name for file in FOLDER.glob(".*")] == []


def test_two_runs_have_the_same_bytes_and_other_settings_other_ones(run_phase: Run) -> None:
    first = run_phase()
    shutil.rmtree(FOLDER)
    assert run_phase().content == first.content
    other = run_phase(optimizer={**phase_settings()["optimizer"], "weight_decay": 0.0})
    assert members(other) != members(first)


def test_how_often_it_saves_changes_nothing(
    run_phase: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_phase()
    monkeypatch.setattr(phase, "build", None)  # would fail, were the artifact not kept
    run_phase(checkpoint_tokens=64)


def run_killed(step: int, where: str, **changes: Any) -> None:
    settings = json.dumps(phase_settings(**changes))
    command = [str(step), where, "--phase", "base", "--settings", settings]
    done = subprocess.run(
        [sys.executable, str(PROGRAMS / "killed_phase.py"), *command],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL


def test_a_killed_run_ends_with_the_bits_of_one_that_was_not(
    run_phase: Run, caplog: pytest.LogCaptureFixture
) -> None:
    straight = run_phase().content
    shutil.rmtree(FOLDER)
    run_killed(step=4, where="save")  # half a checkpoint of step 4; step 2 is the last whole one
    run_killed(step=7, where="step")  # goes on from step 2; step 6 is the last whole one
    assert [path.name for path in FOLDER.glob(".run-*/*")] == ["step-000000006"]
    assert not layout.phase("base").exists()
    with caplog.at_level("INFO"):
        resumed = run_phase()
    assert "goes on from step 6" in caplog.text
    assert resumed.content == straight
    assert [file.name for file in FOLDER.glob(".*")] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_and_ends_with_status_75(
    run_phase: Run, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    straight = run_phase().content
    shutil.rmtree(FOLDER)
    with monkeypatch.context() as patched:
        take = loop.Trainer.step

        def signalled(self: loop.Trainer) -> None:
            take(self)
            if self.state.step == 3:
                os.kill(os.getpid(), number)

        patched.setattr(loop.Trainer, "step", signalled)
        with pytest.raises(SystemExit) as ended:
            run_phase()
    assert ended.value.code == 75
    assert [path.name for path in FOLDER.glob(".run-*/*")] == ["step-000000003"]
    assert run_phase().content == straight


def test_the_end_of_the_jobs_time_saves_and_ends_with_status_75(
    run_phase: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = run_phase().content
    shutil.rmtree(FOLDER)
    with monkeypatch.context() as patched:
        patched.setenv("SLURM_JOB_END_TIME", str(time.time() + loop._RESERVE_SECONDS - 1))
        with pytest.raises(SystemExit) as ended:
            run_phase()
    assert ended.value.code == 75
    assert [path.name for path in FOLDER.glob(".run-*/*")] == ["step-000000001"]
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + 3600))
    assert run_phase().content == straight


def test_fp8_without_its_package_is_told(run_phase: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, *rest: None if name == "torchao" else find(name, *rest),
    )
    with pytest.raises(UserError, match=r"precision: fp8: .* `pip install torchao==0\.18\.0`"):
        run_phase(precision="fp8")


def test_other_settings_do_not_take_up_a_checkpoint(
    run_phase: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(phase, "_write", lambda *_: 1 / 0)  # fails after the last checkpoint
        with pytest.raises(ZeroDivisionError):
            run_phase()
    with caplog.at_level("INFO"):
        run_phase(lr="Constant(1e-3)")
    assert "goes on" not in caplog.text


def test_a_damaged_checkpoint_is_named(run_phase: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(phase, "_write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_phase()
    (file,) = FOLDER.glob(".run-*/step-*/model-00000.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match="step-000000008 is no readable checkpoint"):
        run_phase()


def test_a_parent_and_its_child_end_with_the_bits_of_one_long_phase(run_phase: Run) -> None:
    run_phase("base", lr="Warmup(1e-2, 20%) -> Constant")
    child = run_phase("anneal", parent="base", model=None, lr="Constant")
    assert child.counts["total_tokens"] == 1280
    make_order("base", [(row, "web", 0, row * CONTEXT, CONTEXT) for row in range(80)])
    whole = run_phase("base", tokens=1280, lr="Warmup(1e-2, 10%) -> Constant")
    assert members(child, RESULT[:2]) == members(whole, RESULT[:2])


def test_a_child_may_leave_the_optimizer_behind(run_phase: Run) -> None:
    """Then it ends with the bits of a phase that starts from its parent's checkpoint alone."""
    base = run_phase("base", lr="Warmup(1e-2, 20%) -> Constant")
    child = {"model": None, "parent": "base", "lr": "Linear(1e-3)"}
    fresh = run_phase("anneal", **child, inherit={"optimizer": False})
    shutil.rmtree(layout.phase("anneal").parent)
    assert members(run_phase("anneal", **child), RESULT[:2]) != members(fresh, RESULT[:2])
    shutil.rmtree(layout.phase("anneal").parent)
    shutil.copytree(base.folder, "checkpoint", ignore=shutil.ignore_patterns("*optimizer*"))
    architecture = {**phase_settings()["model"], "path": "checkpoint"}
    alone = run_phase("anneal", model=architecture, lr="Linear(1e-3)", inherit={"lr": 1e-2})
    assert members(alone, RESULT[:3]) == members(fresh, RESULT[:3])


RAMP = {
    "tokens": 1000,
    "batch_tokens": "Constant(32, 128) -> Linear(96, 256) -> Constant(64)",
    "context": "Constant(16, 256) -> Constant(32)",
}


def ramp_order(phase: str, **settings: Any) -> BatchPlan:
    """Make the order of a phase's ramp, its rows one after the other in the tokens."""
    plan = BatchPlan.of(settings["tokens"], settings["batch_tokens"], settings["context"])
    segments, first = [], 0
    for length in [length for count, length in plan.row_lengths() for _ in range(count)]:
        segments.append((len(segments), "web", 0, first, length))
        first += length
    make_order(phase, segments)
    return plan


def test_a_ramp_trains_by_tokens(run_phase: Run) -> None:
    """LR and the count of tokens go by what each batch holds; every token weighs the same."""
    plan = ramp_order("base", **RAMP)
    sizes = [rows * context for _, rows, context in (plan[step] for step in range(len(plan)))]
    assert set(sizes) == {32, 48, 64, 96}
    steps = metrics(run_phase(**RAMP, lr="Linear(0)", inherit={"lr": 1e-2}))
    ends = list(accumulate(sizes))
    assert [step["tokens"] for step in steps] == ends
    middles = [end - size / 2 for end, size in zip(ends, sizes, strict=True)]
    assert [step["lr"] for step in steps] == pytest.approx(
        [1e-2 * (1 - middle / 1000) for middle in middles]
    )


def test_a_run_killed_in_a_ramp_ends_with_the_bits_of_one_that_was_not(
    run_phase: Run, caplog: pytest.LogCaptureFixture
) -> None:
    plan = ramp_order("base", **RAMP)
    shapes = [plan[step][1:] for step in range(len(plan))]
    # Behind the edges of the ramp's first segment, of the context's, and of the linear one.
    assert shapes[4:10] == [(2, 16), (3, 16), (3, 16), (2, 32), (3, 32), (2, 32)]
    settings = {**RAMP, "checkpoint_tokens": 32}
    straight = run_phase(**settings).content
    shutil.rmtree(FOLDER)
    for step in (5, 7, 9):  # goes on from the step before, with the batch behind the edge
        run_killed(step, "step", **settings)
        assert [path.name for path in FOLDER.glob(".run-*/*")] == [f"step-{step - 1:09d}"]
    with caplog.at_level("INFO"):
        resumed = run_phase(**settings)
    assert "goes on from step 8" in caplog.text
    assert resumed.content == straight


def test_phases_on_one_clock_end_with_the_bits_of_one_long_phase(run_phase: Run) -> None:
    """The schedule and the ramp go on where the parent was in them, in the middle of both."""
    plan = ramp_order("base", **RAMP)
    schedule = {"lr": "Warmup(1e-2, 100) -> Cosine(0)", "schedule_tokens": 1000}
    whole = run_phase("base", **{**RAMP, **schedule})
    shutil.rmtree(FOLDER)

    rows = [length for count, length in plan.row_lengths() for _ in range(count)]
    cut = plan[7].first_row  # in the middle of the linear ramp
    tokens = sum(rows[:cut])
    starts = list(accumulate(rows, initial=0))
    for phase_name, chosen in (("base", range(cut)), ("anneal", range(cut, len(rows)))):
        make_order(
            phase_name,
            [(place, "web", 0, starts[row], rows[row]) for place, row in enumerate(chosen)],
        )
    run_phase("base", **{**RAMP, **schedule, "tokens": tokens})
    child = run_phase(
        "anneal", parent="base", model=None,
        **{**RAMP, **schedule, "tokens": 1000 - tokens, "inherit": {"clock": True}},
    )  # fmt: skip
    assert members(child, RESULT[:2]) == members(whole, RESULT[:2])
    record = json.loads(child.member("trainer.json").read_bytes())
    assert record["clock"] == {"first_lr": None, "lr": 0.0, "tokens": 1000}
    assert record["total_tokens"] == plan.tokens


def test_a_child_may_change_the_context_and_the_rope_base(run_phase: Run) -> None:
    run_phase()
    make_order("anneal", [(row, "web", 0, row * 64, 64) for row in range(5)])
    child = run_phase(
        "anneal", parent="base", model=None, tokens=320, context=64, lr="Linear(0.1x)",
        rope={"method": "abf", "base": 5e5},
    )  # fmt: skip
    config = json.loads(child.member("config.json").read_bytes())
    assert config["max_position_embeddings"] == 64
    assert config["rope_parameters"] == {"rope_type": "default", "rope_theta": 5e5}
    assert child.counts["last_lr"] == pytest.approx(1e-4)


def test_a_phase_may_start_from_a_checkpoint_folder(run_phase: Run, world: Path) -> None:
    made = run_phase()
    shutil.copytree(made.folder, "downloaded", ignore=shutil.ignore_patterns("*optimizer*"))
    shutil.rmtree(FOLDER)
    architecture = {**phase_settings()["model"], "path": "downloaded"}
    again = run_phase(model=architecture, lr="Constant(0)")
    trained, kept = (load_file(x / "model.safetensors") for x in (again.folder, Path("downloaded")))
    assert all(torch.equal(trained[name], kept[name]) for name in kept)
    manifest = json.loads((FOLDER / layout.MANIFEST).read_bytes())
    assert set(manifest["settings"]["base"]) == {"config.json", "model.safetensors"}

    Path("downloaded/model.safetensors").unlink()
    with pytest.raises(UserError, match=r"model.path: downloaded holds no config.json with"):
        run_phase(model=architecture, lr="Constant(0)")


def test_micro_batches_add_up_to_the_batch(run_phase: Run) -> None:
    whole = metrics(run_phase())
    shutil.rmtree(FOLDER)
    parts = metrics(run_phase(engine={"micro_batch_tokens": CONTEXT}))
    for one, other in zip(whole, parts, strict=True):
        assert other == pytest.approx(one, rel=2e-5)


def test_steps_that_are_not_finite_are_skipped_and_then_end_the_run(run_phase: Run) -> None:
    spikes = {"window": 4, "deviations": None, "in_a_row": 3}
    with pytest.raises(UserError, match=r"step [4-6]: 3 steps in a row .* loss is nan"):
        run_phase(lr="Constant(1e30)", spikes=spikes)


def test_a_second_writer_waits_for_the_first(tmp_path: Path) -> None:
    """And then has the folder for itself: the lock is a new file, as the first removed its own."""
    waits = "import logging, sys, pathlib; from scripts.train.state import sole_writer\n"
    waits += "logging.basicConfig()\nwith sole_writer(pathlib.Path(sys.argv[1])): print('has it')"
    with sole_writer(tmp_path):
        second = subprocess.Popen(
            [sys.executable, "-c", waits, str(tmp_path)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert second.stderr is not None
        told = iter(second.stderr.readline, "")
        assert any("waiting for it to end" in line for line in told)
        assert second.poll() is None
    said, _ = second.communicate(timeout=60)
    assert (said, second.returncode) == ("has it\n", 0)
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(UserError, match="must be mounted with locks"), sole_writer(tmp_path):
        pass


def test_a_root_phase_without_a_model_is_refused(run_phase: Run) -> None:
    with pytest.raises(UserError, match="`model` for a phase that has none"):
        run_phase(model=None)


def test_a_step_that_is_not_taken_changes_nothing_but_the_count(
    run_phase: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule that takes less than the mean finds spikes among ordinary steps."""
    take, changed = loop.Trainer.step, []

    def watched(self: loop.Trainer) -> None:
        before = state(self)
        take(self)
        changed.append(before != state(self))

    def state(trainer: loop.Trainer) -> dict[str, bytes]:
        backend = trainer.state.backend
        return {
            name: value.detach().numpy().tobytes()
            for name, value in (*backend.weights(), *backend.moments())
        }

    monkeypatch.setattr(loop.Trainer, "step", watched)
    steps = metrics(run_phase(spikes={"window": 2, "deviations": 0.1, "in_a_row": 9}))
    skipped = ["skipped" in step for step in steps]
    assert 0 < sum(skipped) < 8
    assert changed == [not one for one in skipped]
    assert [step["tokens"] for step in steps] == [64 * step for step in range(1, 11)]
