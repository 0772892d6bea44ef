"""What SLURM's accounting says of jobs."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from scripts.slurm.client import ask

_IDS_AT_ONCE = 500  # a command line has its limits
_FIELDS = (
    "JobIDRaw", "State", "ExitCode", "ElapsedRaw", "NodeList", "Reason", "AllocCPUS", "TotalCPU",
    "AllocTRES", "MaxRSS", "TRESUsageInAve",
)  # fmt: skip
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_TIME = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Account:
    """A job's account: its own row of `sacct` with the peaks of its steps.

    ``memory`` is what one node has of what was asked, ``peak`` the most that a task of the job was
    seen to hold, both in bytes; SLURM looks every half a minute or so, and misses shorter peaks.
    ``gpu_utilization`` is a step's, in per cent, as SLURM recorded it; None where the site does not
    have it recorded (AccountingStorageTRES=gres/gpuutil, with AutoDetect=nvml).
    """

    state: str
    exit_code: str
    seconds: int
    nodes: str
    reason: str
    cpus: int
    cpu_seconds: float
    memory: int | None
    peak: int | None
    gpus: int
    gpu_utilization: float | None

    @property
    def out_of_memory(self) -> bool:
        """Whether it was killed for its memory; sites differ in what they call that."""
        more = self.peak is not None and self.memory is not None and self.peak > self.memory
        return self.state == "OUT_OF_MEMORY" or (self.state == "FAILED" and more)

    @property
    def waiting(self) -> bool:
        return self.state in {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "PREEMPTED"}

    @property
    def running(self) -> bool:
        return self.state in {"RUNNING", "COMPLETING", "SUSPENDED", "STAGE_OUT", "RESIZING"}


def accounts(ids: Collection[str]) -> dict[str, Account]:
    """Return the accounts of the jobs with these ids that are known to SLURM.

    Raises UserError if `sacct` fails, as it does where a site keeps no accounts.
    """
    ordered = sorted(ids, key=int)
    found: dict[str, Account] = {}
    for first in range(0, len(ordered), _IDS_AT_ONCE):
        found.update(_parsed(_sacct(ordered[first : first + _IDS_AT_ONCE])))
    return found


def _sacct(ids: Collection[str]) -> str:
    return ask(
        "sacct", "--noheader", "--parsable2", "--noconvert",
        f"--format={','.join(_FIELDS)}", f"--jobs={','.join(ids)}",
    )  # fmt: skip


def _parsed(text: str) -> Iterator[tuple[str, Account]]:
    """Yield each job with its account; a job's row comes before those of its steps."""
    current: tuple[str, Account] | None = None
    for line in text.splitlines():
        row = dict(zip(_FIELDS, line.split("|"), strict=True))
        job, _, step = row["JobIDRaw"].partition(".")
        if not step:
            if current is not None:
                yield current
            current = job, _account(row)
        elif current is not None and job == current[0]:
            current = job, _with_step(current[1], row)
    if current is not None:
        yield current


def _account(row: Mapping[str, str]) -> Account:
    allocated = _tres(row["AllocTRES"])
    memory = _bytes(allocated.get("mem", ""))
    return Account(
        state=row["State"].split()[0],  # "CANCELLED by 1000"
        exit_code=row["ExitCode"],
        seconds=int(row["ElapsedRaw"] or 0),
        nodes=row["NodeList"],
        reason=row["Reason"],
        cpus=int(row["AllocCPUS"] or 0),
        cpu_seconds=_seconds(row["TotalCPU"]),
        memory=None if memory is None else memory // int(allocated.get("node", 1)),
        peak=None,
        gpus=int(allocated.get("gres/gpu", 0)),
        gpu_utilization=None,
    )


def _with_step(account: Account, row: Mapping[str, str]) -> Account:
    peaks = [peak for peak in (account.peak, _bytes(row["MaxRSS"])) if peak is not None]
    used = _tres(row["TRESUsageInAve"]).get("gres/gpuutil")
    utilization = account.gpu_utilization
    if used is not None:
        utilization = max(utilization or 0.0, float(used))
    # Snakemake lives through the end of its job's step, and the job as a whole is FAILED then.
    state = row["State"] if row["State"] == "OUT_OF_MEMORY" else account.state
    return replace(account, state=state, peak=max(peaks, default=None), gpu_utilization=utilization)


def _tres(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in text.split(",") if "=" in pair)


def _bytes(text: str) -> int | None:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text)
    return round(float(match[1]) * _UNITS[match[2]]) if match else None


def _seconds(text: str) -> float:
    match = _TIME.fullmatch(text)
    if match is None:
        return 0.0
    days, hours, minutes = (int(part or 0) for part in match.groups()[:3])
    return ((days * 24 + hours) * 60 + minutes) * 60 + float(match[4])
