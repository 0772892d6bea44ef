"""SLURM's clients, asked a question at a time."""

import shlex
import subprocess
from collections.abc import Sequence

from scripts.common.errors import UserError

_SECONDS_TO_ANSWER = 60


def ask(*command: str) -> str:
    """Return what one of SLURM's clients prints.

    Raises UserError, with what it said, if it is not there, fails or does not answer in a minute.
    """
    done = attempt(command)
    if done.returncode:
        raise UserError(f"`{shlex.join(command)}` failed: {done.stderr.strip() or done.stdout}")
    return done.stdout


def attempt(
    command: Sequence[str], seconds: float = _SECONDS_TO_ANSWER
) -> "subprocess.CompletedProcess[str]":
    """Run a client that may fail; raises UserError if it is not there or does not answer."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except OSError as error:
        raise UserError(f"{command[0]} cannot be run ({error}): is this a login node?") from None
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{command[0]} has not answered for {seconds:.0f} s: try again later"
        ) from None
