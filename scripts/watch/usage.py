"""What a job took of what it asked for: time, processors, memory, GPUs."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from scripts.common import layout
from scripts.slurm.accounting import Account
from scripts.watch.history import Attempt

_MIB = 1 << 20


@dataclass(frozen=True)
class Usage:
    """Figures of one finished attempt; None where nothing recorded them.

    ``seconds`` are of the clock, ``cpus`` the processors that it kept busy on average, ``peak`` its
    memory in MB (2**20 bytes), ``gpu_utilization`` in per cent.
    """

    seconds: float
    cpus: float | None
    peak: float | None
    gpu_utilization: float | None


_UNKNOWN = Usage(0.0, None, None, None)


def usage(attempt: Attempt, account: Account | None, shared: bool) -> Usage | None:
    """Return what a finished attempt took; None if it has not ended.

    SLURM's account is of the job as a whole: of all its processes, but where it is ``shared`` by a
    group, of all its jobs. What a program has recorded beside its artifact is of its first process,
    from when it has read its settings, and the exact peak, which SLURM samples.
    """
    if attempt.ended is None:
        return None
    own = _recorded(attempt)
    if account is None:
        seconds = (attempt.ended - attempt.started).total_seconds()
        return replace(own or _UNKNOWN, seconds=seconds)
    if shared:
        return own
    peaks = [account.peak and account.peak / _MIB, own and own.peak]
    return Usage(
        seconds=account.seconds,
        cpus=account.cpu_seconds / account.seconds if account.seconds else None,
        peak=max((peak for peak in peaks if peak), default=None),
        gpu_utilization=account.gpu_utilization,
    )


def _recorded(attempt: Attempt) -> Usage | None:
    """Return what the attempt's program recorded, if it made its artifact and did not keep one."""
    record = _provenance(attempt.output)
    if record is None:
        return None
    start, end = (datetime.fromisoformat(record[key]) for key in ("start", "end"))
    if end < attempt.started:
        return None  # kept: an earlier run made it
    seconds = (end - start) / timedelta(seconds=1)
    return Usage(
        seconds=seconds,
        cpus=record["cpu_seconds"] / seconds if seconds else None,
        peak=record["peak_memory_bytes"] / _MIB,
        gpu_utilization=None,
    )


def _provenance(output: Collection[Path]) -> Mapping[str, Any] | None:
    for file in output:
        try:
            record: Mapping[str, Any] = json.loads((file.parent / layout.PROVENANCE).read_bytes())
        except (OSError, ValueError):
            continue
        return record
    return None
