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


def start() -> dict[str, Any]:
    """Open the record of an attempt, with the state of the code as it is now."""
    return {
        "command": [sys.executable, *sys.argv],
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "host": platform.node(),
        "python": platform.python_version(),
        "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
        "start": _now(),
        "user": _user(),
    }


def finish(attempt: dict[str, Any]) -> dict[str, Any]:
    """Close the record with its end and the peak memory of this process and its children."""
    kilobytes = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {**attempt, "end": _now(), "peak_memory_bytes": kilobytes * 1024}


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
