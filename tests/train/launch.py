"""Starting programs as several processes, as the rule does."""

import os
import subprocess
import sys
from pathlib import Path

from scripts.common.code import ROOT

PROGRAMS = Path(__file__).parent


def launched(processes: int, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a program, or `-m` and a module, as so many processes; return how it ended."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.run(
        [sys.executable, *launcher, *command],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
