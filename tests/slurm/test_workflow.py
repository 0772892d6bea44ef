"""The whole workflow by `--profile slurm`: a local run's artifacts, by jobs with what they need."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.slurm.cluster import ACCOUNT, GPUS_PER_NODE, Cluster, Job
from tests.workflow.conftest import Workspace, check_out, small_config, write_data

PROCESSES = 2 * GPUS_PER_NODE  # of the phase that takes two nodes


@dataclass(frozen=True)
class Runs:
    local: Workspace
    site: Workspace
    jobs: dict[str, Job]  # of the site, by Snakemake's word for each


def for_site(profile: Path) -> None:
    """Set the profile's SITE values, and ask after jobs more often than a controller would like."""
    values = yaml.safe_load(profile.read_text())
    values["default-resources"]["slurm_account"] = ACCOUNT
    values["set-resources"]["train_phase"]["gpus_per_node"] = GPUS_PER_NODE
    values |= {"latency-wait": 10, "slurm-init-seconds-before-status-checks": 2, "retries": 0}
    profile.write_text(yaml.safe_dump(values))


def configuration(data: Path) -> dict[str, Any]:
    """The small run, whose phase `wide` is `control` on two nodes: by DeepSpeed's ZeRO 1."""
    values = small_config(data)
    values["phases"]["wide"] = {**values["phases"]["control"], "engine": {"processes": PROCESSES}}
    values["evaluate"]["phases"].append("wide")
    return values


@pytest.fixture(scope="module")
def runs(sole_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("runs")
    write_data(folder / "data")
    local, site = Workspace(folder / "local"), Workspace(folder / "site")
    for workspace in (local, site):
        workspace.folder.mkdir()
        check_out(workspace.folder)
        workspace.write_config(configuration(folder / "data"))
    for_site(site.folder / "profiles/slurm/config.yaml")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--profile", "profiles/slurm"],
        cwd=site.folder, env=sole_cluster.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    local.snakemake()
    jobs = {job.comment: job for job in sole_cluster.jobs("--allocations") if job.comment}
    return Runs(local, site, jobs)


def records(workspace: Workspace, name: str) -> dict[Path, bytes]:
    results = workspace.folder / "results"
    return {file.relative_to(results): file.read_bytes() for file in results.rglob(name)}


@pytest.mark.parametrize("record", ["content.json", "manifest.json"])
def test_every_artifact_is_that_of_a_local_run(runs: Runs, record: str) -> None:
    """That of the phase on two nodes, too, whose processes torchrun has started on one."""
    assert records(runs.site, record) == records(runs.local, record)
    assert Path("phases/wide") / record in records(runs.site, record)


def metrics(workspace: Workspace, phase: str) -> list[dict[str, Any]]:
    lines = (workspace.folder / f"results/phases/{phase}/metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_phase_on_two_nodes_is_that_of_one_process_within_rounding(runs: Runs) -> None:
    orders = [
        runs.site.folder / f"results/orders/{phase}/content.json" for phase in ("wide", "control")
    ]
    assert len({order.read_bytes() for order in orders}) == 1
    steps = zip(metrics(runs.site, "wide"), metrics(runs.site, "control"), strict=True)
    for wide, alone in steps:
        assert wide == pytest.approx(alone, rel=1e-5)
    job = runs.jobs["rule_train_phase_wildcards_wide"]
    assert job.nodes == "g[1-2]"
    assert job.allocated["gres/gpu"] == str(PROCESSES)
    assert job.allocated["cpu"] == str(8 * PROCESSES)


def test_jobs_run_where_they_are_to_with_what_they_ask_for(runs: Runs) -> None:
    assert {job.state for job in runs.jobs.values()} == {"COMPLETED"}
    assert {job.account for job in runs.jobs.values()} == {ACCOUNT}
    on_gpus = {name for name, job in runs.jobs.items() if job.partition == "gpu"}
    assert on_gpus == {
        name for name, job in runs.jobs.items() if "gres/gpu" in job.allocated
    } == {
        name for name in runs.jobs
        if name.startswith(("rule_train_phase", "rule_evaluate_harness", "rule_evaluate_bits"))
    }  # fmt: skip
    asked = {
        "rule_train_phase_wildcards_base": ("8", "64000M", 1440),
        "rule_evaluate_harness_wildcards_anneal_arithmetic": ("1", "32000M", 60),
        "rule_deduplicate_clusters": ("1", "16000M", 480),
        "rule_mix_order_wildcards_base": ("1", "8000M", 60),
    }
    assert asked == {
        name: (job.allocated["cpu"], job.requested["mem"], job.limit_minutes)
        for name, job in runs.jobs.items()
        if name in asked
    }
