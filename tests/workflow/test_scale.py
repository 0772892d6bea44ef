"""What must not grow with the number of shards."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.workflow.conftest import Workspace, check_out, small_config, write_data

SHARDS = (2, 200)


@pytest.fixture
def plans(tmp_path: Path) -> Mapping[int, str]:
    """The plan of all jobs with their commands, by the number of shards of each source."""
    write_data(tmp_path / "data")
    workspace = Workspace(tmp_path / "checkout")
    check_out(workspace.folder)
    found = {}
    for shards in SHARDS:
        config = small_config(tmp_path / "data")
        for source in config["sources"].values():
            source["shards"] = shards
        workspace.write_config(config)
        found[shards] = workspace.snakemake("--dry-run", "--printshellcmds").stdout
    return found


def test_no_command_grows_with_the_shards(plans: Mapping[int, str]) -> None:
    """An argument may have 128 KiB: a program is told how many shards there are, not which."""
    longest = {shards: max(map(len, commands(plan))) for shards, plan in plans.items()}
    few, many = SHARDS
    assert len(commands(plans[many])) > 50 * len(commands(plans[few]))
    assert longest[many] <= longest[few] + 100


def test_a_jobs_inputs_are_artifacts_and_files_of_the_user(plans: Mapping[int, str]) -> None:
    """Files of programs, some thirty for each job, would triple the time that a start takes."""
    inputs = re.findall(r"^    input: (.*)$", plans[SHARDS[0]], re.MULTILINE)
    files = {file for line in inputs for file in line.split(", ")}
    ours = {file for file in files if re.match(r"(scripts|rules|config)/", file)}
    assert len(files) > len(inputs)
    assert ours == {"scripts/report/page.html.j2", "config/tasks/arithmetic.yaml"}


def commands(plan: str) -> list[str]:
    return re.findall(r"^.*python .*-m scripts\..*$", plan, re.MULTILINE)
