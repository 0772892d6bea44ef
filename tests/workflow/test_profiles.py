"""The profiles: every key is one that Snakemake knows, and every rule they name exists."""

import re
from pathlib import Path

import pytest
import yaml

from scripts.common.code import ROOT
from tests.workflow.conftest import Workspace

RULES = set(re.findall(r"^rule (\w+):", "\n".join(
    file.read_text() for file in (ROOT / "rules").glob("*.smk")
), re.MULTILINE))  # fmt: skip


def profile(name: str) -> dict:
    return yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())


@pytest.mark.parametrize("key", ["set-threads", "set-resources", "groups"])
def test_rules_named_by_the_slurm_profile_exist(key: str) -> None:
    assert set(profile("slurm")[key]) <= RULES


def test_what_runs_models_asks_for_gpus() -> None:
    resources = profile("slurm")["set-resources"]
    asking = {rule for rule, wanted in resources.items() if wanted.get("gpu")}
    assert asking == {
        "deduplicate_embeddings", "evaluate_harness", "evaluate_bits_per_byte",
        "evaluate_position_loss",
    }  # fmt: skip
    assert "gpu" not in resources["train_phase"]  # its rule asks for one for each process


@pytest.mark.parametrize("name", ["local", "slurm"])
def test_every_key_has_a_comment(name: str) -> None:
    lines = (ROOT / "profiles" / name / "config.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"^[a-z-]+:", line):
            assert number and lines[number - 1].startswith("#"), f"{name}: {line}"


def test_the_slurm_profile_plans_the_whole_workflow(finished: Workspace, tmp_path: Path) -> None:
    """A dry run with the literal profile name, found as the README sets it up."""
    home = tmp_path / "config/snakemake"
    home.mkdir(parents=True)
    (home / "slurm").symlink_to(finished.folder / "profiles/slurm")
    done = finished.snakemake(
        "--profile",
        "slurm",
        "--dry-run",
        "--forceall",
        "--quiet",
        "host",
        environment={"XDG_CONFIG_HOME": str(home.parent)},
    )
    assert "train_phase" in done.stdout
    assert re.search(r"rule train_phase:.*?gpu=1", done.stdout, re.DOTALL)


def test_processes_fill_nodes(workspace: Workspace) -> None:
    """Of eight GPUs, as the profile says: 16 processes are two nodes', 12 are refused."""
    config = workspace.config()
    slurm = ("--profile", "profiles/slurm", "--dry-run", "--quiet", "host")
    config["phases"]["base"]["engine"] = {"processes": 16}
    workspace.write_config(config)
    planned = workspace.snakemake(*slurm).stdout
    asked = re.search(r"rule train_phase:(?:\n    .*)*phase=base(?:\n    .*)*", planned)
    assert asked
    for resource in ("gpu=16", "mpi=srun", "tasks=16", "nodes=2"):
        assert resource in asked[0]

    config["phases"]["base"]["engine"] = {"processes": 12}
    workspace.write_config(config)
    refused = workspace.snakemake(*slurm, check=False)
    assert refused.returncode
    message = "phases.base.engine.processes: 12 do not fill nodes of 8 GPUs"
    assert message in refused.stdout + refused.stderr
