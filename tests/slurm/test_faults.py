"""Faults of a real cluster while a phase trains: what is lost, and that the outcome is the same."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, wait
from tests.slurm.faults import PATIENCE, STEPS, Site, audit, configuration, content
from tests.workflow.conftest import Workspace, check_out, write_data


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The phases, trained on this machine without a fault."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_data(folder / "data")
    workspace = Workspace(folder / "run")
    workspace.folder.mkdir()
    check_out(workspace.folder)
    workspace.write_config(configuration(folder / "data"))
    workspace.snakemake(*map(content, STEPS))
    return workspace


@pytest.fixture
def site(undisturbed: Workspace, cluster: Cluster, tmp_path: Path) -> Iterator[Site]:
    """All that the phases read, and a cluster to train them on."""
    workspace = Workspace(tmp_path / "run")
    shutil.copytree(undisturbed.folder, workspace.folder, symlinks=True)
    for phase in STEPS:
        shutil.rmtree((workspace.folder / content(phase)).parent)
    site = Site(workspace, cluster)
    site.settle()
    yield site
    site.stop()


def test_out_of_time_as_often_as_it_takes(site: Site, undisturbed: Workspace) -> None:
    """A job of a minute saves behind its first step: three minutes are kept for that.

    It is queued again without one of Snakemake's retries, of which there are none here.
    """
    site.set_profile({"runtime": 1}, retries=0)
    site.finish(site.start(content("short")))
    audit(site, undisturbed, "short")
    assert site.resumptions("short") == [1, 2, 3]
    assert len(site.jobs()) == 1


def test_preempted(site: Site, undisturbed: Workspace) -> None:
    """SLURM queues the job again, and it has lost no step: it has saved when it got SIGTERM."""
    site.set_profile(retries=0)
    snakemake = site.start(content("base"))
    site.wait_for_checkpoint()
    (job,) = site.jobs()
    site.cluster.submit("sleep 1", "--partition=urgent", "--nodes=2", "--exclusive", "--time=2")
    site.cluster.wait_for_state(job, "PENDING", seconds=PATIENCE)
    saved = site.last_checkpoint()
    site.finish(snakemake)
    audit(site, undisturbed)
    assert f"base: SIGTERM at step {saved}" in site.log()
    assert site.resumptions() == [saved]
    assert site.jobs() == [job]


def test_snakemake_killed_and_started_again(site: Site, undisturbed: Workspace) -> None:
    """The job that nobody waits for goes on; a second one waits, and keeps what it has made."""
    killed = site.start(content("base"))
    site.wait_for_checkpoint()
    (first,) = site.jobs()
    site.cluster.run("scontrol", "suspend", first)  # until there is a second one
    killed.kill()
    killed.wait()
    site.finish(site.start("--unlock", content("base")))
    snakemake = site.start(content("base"))
    wait(lambda: "waiting for it to end" in site.log(), "the second job to wait", PATIENCE)
    site.cluster.run("scontrol", "resume", first)
    site.finish(snakemake)
    audit(site, undisturbed)
    assert len(site.jobs()) == 2
    assert site.resumptions() == []
    assert site.log().count("results/phases/base: kept, same inputs") == 1


def test_a_node_is_lost(site: Site, undisturbed: Workspace) -> None:
    """SLURM queues the job again once it misses the node; what came after the last save is lost."""
    site.set_profile(retries=0)
    snakemake = site.start(content("base"))
    site.wait_for_checkpoint()
    (job,) = site.jobs()
    node = site.cluster.run("squeue", "--noheader", f"--jobs={job}", "--format=%N").strip()
    site.cluster.kill_node(node)
    saved = site.last_checkpoint()
    site.finish(snakemake)
    audit(site, undisturbed)
    assert site.resumptions() == [saved]
    assert site.jobs() == [job]
