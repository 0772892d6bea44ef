"""The job of SLURM that a program runs in, and the step that srun has started it in, if any."""

import logging
import os
import re

from scripts.common.errors import UserError
from scripts.slurm.client import ask

log = logging.getLogger(__name__)


def end_of_job() -> float | None:
    """Return when SLURM ends this job, in seconds since 1970; None if nothing ends it.

    Newer SLURMs tell it in the environment, of which Snakemake's steps pass on little. Else SLURM
    is asked; where it does not answer, as in an image without its clients, a warning says so: the
    job then has what is between SIGTERM and SIGKILL (KillWait) to save.
    """
    if "SLURM_JOB_END_TIME" in os.environ:
        return float(os.environ["SLURM_JOB_END_TIME"])
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return None
    asked = ("squeue", "--noheader", f"--jobs={job}", "--format=%e")
    try:
        told = ask("env", "SLURM_TIME_FORMAT=%s", *asked).strip()
    except UserError as error:
        log.warning(
            "when the job's time is over is not known: %s; before that, only SIGTERM will make it "
            "save. Install SLURM's clients where the job runs, or set SLURM_JOB_END_TIME",
            error,
        )
        return None
    return float(told) if told.isdecimal() else None


def is_preempted() -> bool:
    """Tell whether SLURM takes this job's nodes for another one, and has granted it time to end.

    A job that ends by itself in that time has failed, for SLURM, and is not queued again.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return False
    try:
        told = ask("scontrol", "show", "job", job)
    except UserError as error:
        log.warning("whether the job is preempted is not known: %s", error)
        return False
    return re.search(r"\bPreemptTime=\d", told) is not None


def queue_again() -> None:
    """Have SLURM end this job, if there is one, and queue it again; a warning says if it does not.

    It stays the same job for Snakemake, which goes on waiting for it and uses up none of its
    retries: a phase may take as many of the longest jobs that a site allows as it needs.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return
    try:
        ask("scontrol", "requeue", job)
    except UserError as error:
        log.warning("SLURM does not queue the job again, so that Snakemake has to: %s", error)


def join_step() -> None:
    """Set what torch's launcher would have set, if srun has started several processes as a step.

    The first of them is on the step's first node; they meet there, at the address that SLURM itself
    has for it, and at a port that follows from the job's id, as in PyTorch Lightning: jobs that
    share a node seldom have the same, and one that was queued again by Snakemake has another.

    Raises UserError if SLURM does not say where the first node is.
    """
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "1")
    if tasks == "1" or "WORLD_SIZE" in os.environ:
        return
    os.environ.update(
        RANK=os.environ["SLURM_PROCID"],
        WORLD_SIZE=tasks,
        LOCAL_RANK=os.environ["SLURM_LOCALID"],
        MASTER_ADDR=_address(os.environ["SLURM_STEP_NODELIST"]),
        MASTER_PORT=str(15_000 + int(os.environ["SLURM_JOB_ID"]) % 10_000),
    )


def _address(nodes: str) -> str:
    """Return the address of the first of ``nodes``, as SLURM writes them: `gpu[01-04]`."""
    first = ask("scontrol", "show", "hostnames", nodes).split()[0]
    told = ask("scontrol", "show", "node", first)
    found = re.search(r"NodeAddr=(\S+)", told)
    if found is None:
        raise UserError(f"`scontrol show node {first}` tells no NodeAddr: {told.strip()}")
    return found[1]
