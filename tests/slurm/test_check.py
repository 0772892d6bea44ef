"""The check of a site, on a real cluster: a right profile passes, and each fault is named."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.common.code import ROOT
from tests.slurm.cluster import ACCOUNT, Cluster

Change = Callable[[dict[str, Any]], None]
Done = subprocess.CompletedProcess[str]


def unchanged(values: dict[str, Any]) -> None:
    pass


def check(cluster: Cluster, home: Path, change: Change, *arguments: str) -> Done:
    """Check a site's copy of the profile, linked as `--profile slurm` wants it."""
    profile = home / "profile"
    profile.mkdir()
    shared = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    values = json.loads(json.dumps(shared))  # rules that are one anchor's are changed one by one
    values["default-resources"]["slurm_account"] = ACCOUNT
    change(values)
    (profile / "config.yaml").write_text(yaml.safe_dump(values))
    (home / "snakemake").mkdir()
    (home / "snakemake/slurm").symlink_to(profile)
    return run(cluster, home, "--profile", str(profile), *arguments)


def run(cluster: Cluster, home: Path, *arguments: str) -> Done:
    return subprocess.run(
        [sys.executable, "-m", "scripts.slurm.check", *arguments],
        cwd=ROOT, env={**cluster.environment, "XDG_CONFIG_HOME": str(home)},
        capture_output=True, text=True,
    )  # fmt: skip


def sole_fault(done: Done) -> tuple[str, str]:
    """The one fault that the check has found, and its remedy."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "faults found: 1;" in done.stderr, done.stdout
    lines = done.stdout.splitlines()
    (place,) = (number for number, line in enumerate(lines) if line.startswith("    - "))
    assert lines[place + 1].startswith("      remedy: ")
    return lines[place], lines[place + 1]


@contextmanager
def partition(cluster: Cluster, name: str, changed: str, back: str) -> Iterator[None]:
    """A partition that its site has set otherwise."""
    cluster.run("scontrol", "update", f"partitionname={name}", changed)
    try:
        yield
    finally:
        cluster.run("scontrol", "update", f"partitionname={name}", back)


def test_a_right_profile_passes(cluster: Cluster, tmp_path: Path) -> None:
    known = ("squeue", "--noheader", "--states=all", "--format=%i")  # accounting would be late
    before = cluster.run(*known)
    done = check(cluster, tmp_path, unchanged)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not [line for line in done.stdout.splitlines() if line.startswith("no ")]
    assert cluster.run(*known) == before  # nothing was submitted


def test_a_profile_that_is_not_linked(cluster: Cluster, tmp_path: Path) -> None:
    done = run(cluster, tmp_path, "--profile", str(ROOT / "profiles/slurm"))
    assert done.returncode == 1
    assert f"ln -sfn {ROOT / 'profiles/slurm'} {tmp_path / 'snakemake/slurm'}" in done.stdout


def test_a_machine_without_slurm(tmp_path: Path) -> None:
    (tmp_path / "which").symlink_to(str(shutil.which("which")))  # the plugin calls it
    done = subprocess.run(
        [sys.executable, "-m", "scripts.slurm.check"],
        cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "sbatch is not on the PATH" in done.stdout and "Traceback" not in done.stderr


def wrong_account(values: dict[str, Any]) -> None:
    values["default-resources"]["slurm_account"] = "chemistry"


def wrong_partition(values: dict[str, Any]) -> None:
    values["set-resources"]["evaluate_harness"]["slurm_partition"] = "a100"


def too_much_memory(values: dict[str, Any]) -> None:
    values["set-resources"]["deduplicate_clusters"]["mem_mb"] = 512_000


def too_many_gpus(values: dict[str, Any]) -> None:
    values["set-resources"]["evaluate_harness"]["gpu"] = 8


def gpus_of_another_site(values: dict[str, Any]) -> None:
    values["set-resources"]["evaluate_harness"]["gpu_model"] = "h100"


def no_gpu_there(values: dict[str, Any]) -> None:
    values["set-resources"]["train_phase"]["slurm_partition"] = "cpu"


def too_large_groups(values: dict[str, Any]) -> None:
    values["groups"]["collect_documents"] = "collect"
    values["group-components"]["collect"] = 3
    values["set-resources"]["collect_documents"]["mem_mb"] = 100_000


@pytest.mark.parametrize(
    ("change", "fault", "remedy"),
    [
        (wrong_account, "account 'chemistry' (", "set default-resources.slurm_account"),
        (
            wrong_partition,
            "partition 'a100' (evaluate_harness) is none of this cluster's: cpu, gpu",
            "set set-resources.evaluate_harness.slurm_partition",
        ),
        (too_much_memory, "refuses deduplicate_clusters: ", "mem_mb=512000"),
        (too_many_gpus, "refuses evaluate_harness: ", "; the partition's nodes: 2 of 64 CPUs"),
        (gpus_of_another_site, "refuses evaluate_harness: ", "gpu_model=h100"),
        (no_gpu_there, "refuses train_phase: ", "slurm_partition=cpu"),
        (too_large_groups, "refuses collect_documents (groups of 3): ", "mem_mb=300000"),
    ],
)
def test_a_fault_of_the_profile_is_named(
    cluster: Cluster, tmp_path: Path, change: Change, fault: str, remedy: str
) -> None:
    found, advice = sole_fault(check(cluster, tmp_path, change))
    assert fault in found and remedy in advice


def test_a_runtime_that_the_partition_does_not_allow(cluster: Cluster, tmp_path: Path) -> None:
    """SLURM takes such a job, as most sites have it, and lets it wait for ever."""
    with partition(cluster, "gpu", "MaxTime=20:00:00", "MaxTime=INFINITE"):
        found, advice = sole_fault(check(cluster, tmp_path, unchanged))
    assert "train_phase asks for 1440 minutes, and partition 'gpu' allows 1200" in found
    assert "set-resources.train_phase.runtime" in advice


def test_a_partition_that_takes_no_jobs(cluster: Cluster, tmp_path: Path) -> None:
    with partition(cluster, "gpu", "State=DOWN", "State=UP"):
        found, _ = sole_fault(check(cluster, tmp_path, unchanged))
    assert "partition 'gpu'" in found and "not UP" in found


def test_more_jobs_than_the_site_lets_wait(cluster: Cluster, tmp_path: Path) -> None:
    where = ("where", f"account={ACCOUNT}", "user=root")
    modify = ("sacctmgr", "--immediate", "modify", "user", "set")
    cluster.run(*modify, "MaxSubmitJobs=20", *where)
    try:
        found, advice = sole_fault(check(cluster, tmp_path, unchanged))
    finally:
        cluster.run(*modify, "MaxSubmitJobs=-1", *where)
    assert f"account '{ACCOUNT}' allows 20" in found and "set `jobs: 20`" in advice


def test_a_probe_finds_that_there_is_no_real_gpu(cluster: Cluster, tmp_path: Path) -> None:
    """Which is how it is on this cluster; the nodes do see this folder and this Python."""
    found, _ = sole_fault(check(cluster, tmp_path, unchanged, "--probe"))
    assert "a job in partition 'gpu'" in found and "finds no GPU on" in found
