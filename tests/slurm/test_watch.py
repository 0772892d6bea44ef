"""What is told of jobs on a real cluster: where they ran, what ended them, what they took."""

import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.slurm.cluster import ACCOUNT, Cluster, wait
from tests.watch.conftest import Watched, failures

SLURM = (
    "--executor", "slurm", "--jobs", "10", "--latency-wait", "10",
    "--slurm-init-seconds-before-status-checks", "1", "--slurm-keep-successful-logs",
    "--slurm-logdir", "logs/slurm", "--default-resources", f"slurm_account={ACCOUNT}",
    "slurm_partition=cpu", "runtime=5", "mem_mb=1000", "--seconds-between-status-checks", "1",
)  # fmt: skip

MIXED = """
rule all:
    input: expand("out/{name}/content.json", name=["busy", "bad"])

rule work:
    output: "out/{name}/content.json"
    log: "logs/{name}.log"
    threads: 2
    resources:
        mem_mb=1500
    shell:
        "case {wildcards.name} in"
        " busy) timeout 5 sh -c 'while :; do :; done' || touch {output} ;;"
        " bad) (echo the last line; exit 3) 2>&1 | tee {log} ;;"
        " esac"
"""
GROUPED = """
rule all:
    input: expand("out/{name}/content.json", name=["one", "two", "three", "four"])

rule member:
    output: "out/{name}/content.json"
    log: "logs/{name}.log"
    group: "members"
    shell: "echo {wildcards.name} speaks | tee {log}; test {wildcards.name} != two; touch {output}"
"""
GREEDY = """
rule greedy:
    output: "greedy/content.json"
    log: "logs/greedy.log"
    shell: "python -c 'import time; b = b\\"x\\" * 2_500_000_000; time.sleep(60)' 2>&1 | tee {log}"
"""
SLOW = """
rule slow:
    output: "slow/content.json"
    log: "logs/slow.log"
    resources:
        slurm_partition="gpu",
        gpu=1
    shell: "echo step 7/1000 | tee {log}; sleep 300; touch {output}"
"""


@pytest.fixture
def on_slurm(cluster: Cluster, workdir: Path) -> Watched:
    """The plugin takes SLURM_CONF from its jobs, in which `srun` is to find this cluster too."""
    srun = workdir / "bin/srun"
    srun.parent.mkdir()
    conf = f"SLURM_CONF={cluster.environment['SLURM_CONF']}"
    srun.write_text(f'#!/bin/sh\nexec env {conf} {shutil.which("srun")} "$@"\n')
    srun.chmod(0o755)
    path = f"{srun.parent}:{cluster.environment['PATH']}"
    return Watched(workdir, {**cluster.environment, "PATH": path})


def test_a_failure_names_the_job_the_node_and_the_last_lines(on_slurm: Watched) -> None:
    done = on_slurm.snakemake(MIXED, *SLURM)
    (told,) = failures(done.stderr)
    assert told.startswith("FAILED: work name=bad, attempt 1 of 1")
    assert re.search(r"^  slurm      job \d+ on c1: FAILED", told, re.MULTILINE)
    assert "logs/bad.log, which ends in\n             | the last line" in told
    assert re.search(r"^  slurm log  logs/slurm/rule_work/bad/\d+\.log$", told, re.MULTILINE)


def test_what_jobs_took_is_compared_with_what_they_asked_for(on_slurm: Watched) -> None:
    on_slurm.snakemake(MIXED, *SLURM)
    (row,) = re.findall(r"^work .*$", on_slurm.tell(), re.MULTILINE)
    _, jobs, done, failed, *_, limit, cpu, peak, asked = row.split()
    assert (jobs, done, failed, limit, asked) == ("2", "1", "1", "0:05:00", "1,500")
    assert 0 < int(cpu.rstrip("%")) <= 60  # one of two cores at most
    assert 0 < int(peak) < 1500


def test_of_a_group_the_job_that_failed_is_told(on_slurm: Watched) -> None:
    done = on_slurm.snakemake(GROUPED, *SLURM, "--group-components", "members=4")
    (told,) = failures(done.stderr)
    assert told.startswith("FAILED: a group of 4 jobs (member), attempt 1 of 1")
    assert re.search(r"^  slurm      job \d+ on c1: FAILED", told, re.MULTILINE)
    assert "| two speaks" in told and "| one speaks" not in told


def test_memory_that_ran_out_is_told_with_the_key_to_raise(on_slurm: Watched) -> None:
    (told,) = failures(on_slurm.snakemake(GREEDY, *SLURM).stderr)
    assert "| slurmstepd-c1: error: Exceeded job memory limit" in told
    assert "remedy     raise `mem_mb` under set-resources.greedy in the profile" in told


def test_a_refused_submission_is_told_with_slurms_reason(on_slurm: Watched) -> None:
    done = on_slurm.snakemake(SLOW, *SLURM, "--set-resources", "slow:gpu=64")
    (told,) = failures(done.stderr)
    assert "sbatch failed" in told and "node configuration is not available" in told


def test_a_running_job_is_followed_until_its_run_is_ended(
    cluster: Cluster, on_slurm: Watched
) -> None:
    command = on_slurm.command(SLOW, *SLURM)
    process = subprocess.Popen(command, env=on_slurm.environment, stderr=subprocess.DEVNULL)
    try:
        shown = r"^running\n  slow: 0:0\d:\d\d, job \d+ on g[12]\n    \| step 7/1000$"
        wait(lambda: Path("logs/slow.log").exists(), "the job to run", 60)
        wait(lambda: bool(re.search(shown, on_slurm.tell(), re.MULTILINE)), "its line", 20)
        process.send_signal(signal.SIGINT)
        process.wait(60)
        assert "slow: CANCELLED" in on_slurm.tell()
    finally:
        process.kill()
        process.wait()
