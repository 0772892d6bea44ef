"""Who, where and when: the record of one attempt at an artifact, which is nobody's input."""

import datetime
import getpass
import os
import platform
import resource
import subprocess
import sys
from typing import Any

from scripts.common.code import ROOT

_PROCESSES = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def start() -> dict[str, Any]:
    """Open the record of an attempt, with the state of the code as it is now."""
    return {
        "command": [sys.executable, *sys.argv],
        "cpu_seconds": _cpu_seconds(),
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "host": platform.node(),
        "python": platform.python_version(),
        "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
        "start": _now(),
        "user": _user(),
    }


def finish(attempt: dict[str, Any]) -> dict[str, Any]:
    """Close the record with its end and what this process and its ended children have taken.

    ``cpu_seconds`` is the time of processors since the start, ``peak_memory_bytes`` the most that
    one process has held.
    """
    kilobytes = max(resource.getrusage(who).ru_maxrss for who in _PROCESSES)
    spent = {
        "cpu_seconds": _cpu_seconds() - attempt["cpu_seconds"],
        "peak_memory_bytes": kilobytes * 1024,
    }
    return {**attempt, "end": _now(), **spent}


def _cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in _PROCESSES]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a numeric user without a name, as containers have
        return str(os.getuid())


def _git(*arguments: str) -> str | None:
    try:
        return subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
