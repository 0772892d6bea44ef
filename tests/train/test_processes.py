"""Phases that several processes train together: whole runs of the program, killed and resumed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from scripts.common import layout
from scripts.common.artifact import Artifact
from tests.train.conftest import CONTEXT, make_order, phase_settings
from tests.train.launch import PROGRAMS, launched
from tests.train.test_phase import RAMP, Run, members, metrics, ramp_order

Settings = dict[str, Any]


def settings(engine: Settings, **changes: Any) -> Settings:
    return phase_settings(engine={"processes": 2, **engine}, **changes)


def trained(phases: dict[str, Settings]) -> dict[str, Artifact]:
    """Train phases by the same two processes."""
    done = launched(2, str(PROGRAMS / "phases_program.py"), json.dumps(phases))
    assert done.returncode == 0, done.stderr
    return {phase: Artifact.load(layout.phase(phase)) for phase in phases}


def command(phase: str, values: Settings) -> list[str]:
    return ["--phase", phase, "--settings", json.dumps(values)]


def killed(step: int, where: str, phase: str, values: Settings) -> None:
    """Train with the last process killed: the launcher ends the other one."""
    program = str(PROGRAMS / "killed_phase.py")
    done = launched(2, program, str(step), where, *command(phase, values))
    assert done.returncode == 1
    assert "exitcode  : -9" in done.stderr


def checkpoints(phase: str) -> list[str]:
    return [path.name for path in layout.phase(phase).parent.glob(".run-*/*-*")]


def test_killed_runs_end_with_the_bits_of_those_that_were_not(world: Path) -> None:
    """Each ZeRO stage, in the middle of a save, over the edges of a ramp."""
    phases = {
        f"zero{zero}": settings({"zero": zero}, **RAMP, checkpoint_tokens=32) for zero in range(4)
    }
    for phase in phases:
        ramp_order(phase, **RAMP)
    straight = {phase: made.content for phase, made in trained(phases).items()}
    for phase, values in phases.items():
        shutil.rmtree(layout.phase(phase).parent)
        killed(7, "save", phase, values)
        assert checkpoints(phase) == ["step-000000006"]
    assert {phase: made.content for phase, made in trained(phases).items()} == straight
    assert [file for phase in phases for file in layout.phase(phase).parent.glob(".*")] == []


def test_the_artifact_is_that_of_one_process_within_rounding(run_phase: Run) -> None:
    """Also where both processes share each row, and where one goes on alone behind a killed run."""
    for phase in ("recomputed", "shared"):
        make_order(phase, [(row, "web", 0, row * CONTEXT, CONTEXT) for row in range(40)])
    alone = run_phase()
    recomputed = settings({"zero": 2, "recompute": "blocks"})
    shared = settings({"zero": 3, "sequence_ranks": 2})
    made = trained({"recomputed": recomputed, "shared": shared})
    several = metrics(made["shared"]), metrics(made["recomputed"])
    shutil.rmtree(made["recomputed"].folder)
    killed(7, "step", "recomputed", recomputed)
    assert checkpoints("recomputed") == ["step-000000006"]
    resumed = run_phase("recomputed")
    assert all(members(one) != members(alone) for one in (*made.values(), resumed))
    for steps in (*several, metrics(resumed)):
        for step, exact in zip(steps, metrics(alone), strict=True):
            assert step == pytest.approx(exact, rel=1e-5)
    for one in made.values():
        assert one.content["members"].keys() == alone.content["members"].keys()
        assert {**one.counts, "loss": 0} == {**alone.counts, "loss": 0}


def test_all_processes_end_where_there_is_nothing_to_do_or_a_fault(run_phase: Run) -> None:
    """And one of them says why."""
    made = run_phase()
    plain = settings({"zero": 0})
    assert trained({"base": plain})["base"].content == made.content  # it is kept

    spikes = {"window": 4, "deviations": None, "in_a_row": 3}
    faulty({**plain, "lr": "Constant(1e30)", "spikes": spikes}, "could not be taken")
    faulty({**plain, "engine": {"processes": 3}}, "3 processes at ZeRO stage 1, but 2 started")


def faulty(values: Settings, message: str) -> None:
    done = launched(2, "-m", "scripts.train.phase", *command("base", values))
    assert done.returncode == 1
    assert done.stderr.count("error: ") == 1
    assert message in done.stderr
    assert "phase.py" not in done.stderr  # nor is there a traceback of ours
