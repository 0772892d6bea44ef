"""The whole workflow by `--profile slurm`: a local run's artifacts, by jobs with what they need."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
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
    jobs: list[Job]  # of the site, each with the rule or group and its wildcards as comment

    @property
    def named(self) -> dict[str, Job]:
        return {job.comment: job for job in self.jobs}


def for_site(profile: Path) -> None:
    """Set the profile's SITE values, and ask after jobs more often than a controller would like."""
    values = yaml.safe_load(profile.read_text())
    values["default-resources"]["slurm_account"] = ACCOUNT
    values["set-resources"]["train_phase"]["gpus_per_node"] = GPUS_PER_NODE
    values |= {"latency-wait": 10, "slurm-init-seconds-before-status-checks": 2, "retries": 0}
    profile.write_text(yaml.safe_dump(values))


def configuration(data: Path) -> dict[str, Any]:
    """The small run with two branches: `control`, and `wide`, the same on two nodes by ZeRO 1."""
    values = small_config(data)
    phases = values["phases"]
    del phases["anneal"]
    phases["wide"] = {**phases["control"], "engine": {"processes": PROCESSES}}
    values["evaluate"] |= {"phases": ["control", "wide"], "compare": {"wide": ["control"]}}
    return values


@pytest.fixture(scope="module")
def runs(sole_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    since = datetime.now()
    folder = tmp_path_factory.mktemp("runs")
    write_data(folder / "data")
    local, site = Workspace(folder / "local"), Workspace(folder / "site")
    for workspace in (local, site):
        workspace.folder.mkdir()
        check_out(workspace.folder)
        workspace.write_config(configuration(folder / "data"))
    for_site(site.folder / "profiles/slurm/config.yaml")
    log = folder / "site.log"
    with log.open("w") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--profile", "profiles/slurm"],
            cwd=site.folder, env=sole_cluster.environment, stdout=output, stderr=output,
        )  # fmt: skip
    local.snakemake()  # meanwhile
    assert running.wait() == 0, log.read_text()[-8000:]
    jobs = sole_cluster.jobs("--allocations", f"--starttime={since:%Y-%m-%dT%H:%M:%S}")
    return Runs(local, site, jobs)


def records(workspace: Workspace, name: str) -> dict[Path, bytes]:
    results = workspace.folder / "results"
    return {file.relative_to(results): file.read_bytes() for file in results.rglob(name)}


@pytest.mark.parametrize("record", ["content.json", "manifest.json"])
def test_every_artifact_is_that_of_a_local_run(runs: Runs, record: str) -> None:
    """That of the phase on two nodes, too, whose processes torchrun has started on one."""
    assert records(runs.site, record) == records(runs.local, record)
    assert Path("phases/wide") / record in records(runs.site, record)


def test_a_phase_on_two_nodes_is_that_of_one_process_within_rounding(runs: Runs) -> None:
    orders = [
        (runs.site.folder / f"results/orders/{phase}/content.json").read_bytes()
        for phase in ("wide", "control")
    ]
    assert orders[0] == orders[1]
    for wide, alone in zip(metrics(runs, "wide"), metrics(runs, "control"), strict=True):
        assert wide == pytest.approx(alone, rel=1e-5)
    job = runs.named["rule_train_phase_wildcards_wide"]
    assert job.nodes == "g[1-2]"
    assert job.allocated["gres/gpu"] == str(PROCESSES)
    assert job.allocated["cpu"] == str(8 * PROCESSES)


def metrics(runs: Runs, phase: str) -> list[dict[str, float]]:
    """What was measured at each step; of held-out text by domain, as `before code`."""
    lines = (runs.site.folder / f"results/phases/{phase}/metrics.jsonl").read_text().splitlines()
    steps = []
    for step in map(json.loads, lines):
        for when, measured in (("before", "heldout_before"), ("behind", "heldout")):
            of_domains = step.pop(measured, {})
            step |= {f"{when} {domain}": value for domain, value in of_domains.items()}
        steps.append(step)
    return steps


def test_jobs_of_shards_are_packed(runs: Runs) -> None:
    submitted = Counter(job.comment for job in runs.jobs)
    assert set(submitted.values()) == {1}
    packed = {
        "annotate_annotate_attributes", "signatures_deduplicate_signatures",
        "scan_decontaminate_scan", "select_select_documents", "tokenize_tokenize_tokens",
    }  # fmt: skip
    assert {f"rule_{name}" for name in packed} <= set(submitted)


def test_jobs_run_where_they_are_to_with_what_they_ask_for(runs: Runs) -> None:
    assert {job.state for job in runs.jobs} == {"COMPLETED"}
    assert {job.account for job in runs.jobs} == {ACCOUNT}
    uses_gpu = ("rule_train_phase", "rule_evaluate_harness", "rule_evaluate_bits_per_byte")
    for name, job in runs.named.items():
        assert job.partition == ("gpu" if name.startswith(uses_gpu) else "cpu")
        assert ("gres/gpu" in job.allocated) == name.startswith(uses_gpu)
    asked = {
        "rule_train_phase_wildcards_base": ("8", "62.50G", 1440),
        "rule_evaluate_harness_wildcards_control_arithmetic": ("1", "32000M", 60),
        "rule_mix_order_wildcards_base": ("1", "8000M", 60),
    }
    assert asked == {
        name: (job.allocated["cpu"], job.requested["mem"], job.limit_minutes)
        for name, job in runs.named.items()
        if name in asked
    }
