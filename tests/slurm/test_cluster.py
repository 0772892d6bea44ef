"""The cluster that the other tests run on: it schedules, accounts and leaves nothing behind."""

import contextlib
from pathlib import Path

import psutil

from tests.slurm.cluster import ACCOUNT, GPUS_PER_NODE, Cluster, started, wait


def test_a_job_has_the_gpus_of_two_nodes(cluster: Cluster) -> None:
    gpus = 2 * GPUS_PER_NODE
    job = cluster.submit(
        "srun --nodes=2 --ntasks=2 bash -c 'echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES'",
        "--partition=gpu", "--nodes=2", "--ntasks=2", f"--gpus={gpus}", "--mem=64G", "--time=2",
    )  # fmt: skip
    assert cluster.wait_for_state(job, "COMPLETED", "FAILED") == "COMPLETED"
    assert sorted(cluster.output(job).splitlines()) == ["g1 0,1", "g2 0,1"]
    told, *_steps = cluster.jobs(f"--jobs={job}")
    assert (told.account, told.partition, told.nodes) == (ACCOUNT, "gpu", "g[1-2]")
    assert told.allocated["gres/gpu"] == str(gpus)
    assert told.requested["mem"] == "128G"  # of both nodes
    assert told.limit_minutes == 2


def test_a_lost_node_loses_its_job_which_is_queued_again(cluster: Cluster) -> None:
    job = cluster.submit("sleep 600", "--partition=gpu", "--nodelist=g1", "--mem=1G", "--time=20")
    cluster.wait_for_state(job, "RUNNING")
    cluster.kill_node("g1")
    cluster.wait_for_state(job, "PENDING")
    wait(lambda: _states(cluster, job) == ["NODE_FAIL", "PENDING"], "accounting", 30)
    cluster.start_node("g1")
    cluster.wait_for_state(job, "RUNNING")


def test_a_stopped_cluster_leaves_no_process(tmp_path: Path) -> None:
    with started(tmp_path) as cluster:
        job = cluster.submit("srun sleep 600 & sleep 600", "--mem=1G", "--time=20")
        cluster.wait_for_state(job, "RUNNING")
        wait(lambda: {"sleep", "slurmstepd"} <= _writing_to(tmp_path), "the job's step", 10)
    assert not _writing_to(tmp_path)


def _states(cluster: Cluster, job: str) -> list[str]:
    return [record.state for record in cluster.jobs(f"--jobs={job}", "--allocations")]


def _writing_to(folder: Path) -> set[str]:
    """The names of processes that have a file below ``folder`` open."""
    names = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(file.path.startswith(str(folder)) for file in process.open_files()):
                names.add(process.name())
    return names
