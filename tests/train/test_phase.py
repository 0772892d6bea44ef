import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from scripts.common import layout
from scripts.common.artifact import Artifact
from scripts.common.code import ROOT
from scripts.common.errors import UserError
from scripts.train import loop, phase
from scripts.train.state import sole_writer
from tests.train.conftest import CONTEXT, make_order, phase_settings

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


_KILLED_RUN = """
import os, signal, sys
from scripts.train import loop, phase, state
where, step = sys.argv.pop(), int(sys.argv.pop())
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
if where == "save":
    write_metrics = state.write_metrics
    def killed(metrics, file):
        write_metrics(metrics, file)
        len(metrics) == step and die()
    state.write_metrics = killed
else:
    take = loop.Trainer.step
    def killed(self):
        take(self)
        self.state.step == step and die()
    loop.Trainer.step = killed
phase.main()
"""


def run_killed(step: int, where: str) -> None:
    command = ["--phase", "base", "--settings", json.dumps(phase_settings()), str(step), where]
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_RUN, *command],
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
    (file,) = FOLDER.glob(".run-*/step-*/model.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match="step-000000008 is no readable checkpoint"):
        run_phase()


def test_a_parent_and_its_child_end_with_the_bits_of_one_long_phase(
    run_phase: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_phase("base", lr="Warmup(1e-2, 20%) -> Constant")
    child = run_phase("anneal", parent="base", model=None, lr="Constant")
    assert child.counts["total_tokens"] == 1280
    make_order("base", [(row, "web", 0, row * CONTEXT, CONTEXT) for row in range(80)])
    whole = run_phase("base", tokens=1280, lr="Warmup(1e-2, 10%) -> Constant")
    assert members(child, RESULT[:2]) == members(whole, RESULT[:2])

    # The negative control: without the parent's moments the bits differ.
    run_phase("base", lr="Warmup(1e-2, 20%) -> Constant")
    monkeypatch.setattr(phase, "load_optimizer", lambda *_: {})
    shutil.rmtree(layout.phase("anneal").parent)
    forgetful = run_phase("anneal", parent="base", model=None, lr="Constant")
    assert members(forgetful, RESULT[:2]) != members(whole, RESULT[:2])


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


def test_micro_batches_add_up_to_the_batch(run_phase: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = metrics(run_phase())
    shutil.rmtree(FOLDER)
    monkeypatch.setattr(loop, "_MICRO_BATCH_TOKENS", {"cpu": CONTEXT, "cuda": CONTEXT})
    parts = metrics(run_phase())
    for one, other in zip(whole, parts, strict=True):
        assert other == pytest.approx(one, rel=2e-5)


def test_a_loss_that_is_not_finite_names_the_step(run_phase: Run) -> None:
    with pytest.raises(UserError, match=r"phase base, step [2-9]: loss .*lower `lr`"):
        run_phase(lr="Constant(1e30)")


def test_a_second_writer_is_refused(run_phase: Run) -> None:
    with sole_writer(FOLDER), pytest.raises(UserError, match="another process trains into"):
        run_phase()
    assert run_phase().counts["steps"] == 10


def test_a_root_phase_without_a_model_is_refused(run_phase: Run) -> None:
    with pytest.raises(UserError, match="`model` for a phase that has none"):
        run_phase(model=None)
