"""A run as its journal tells it: the attempts at its jobs, and what became of them."""

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from scripts.common.errors import UserError
from scripts.slurm.accounting import Account
from scripts.watch.journal import FOLDER


class State(StrEnum):
    """Where an attempt at a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CUT_OFF = "cut off"  # it was under way when Snakemake was killed


@dataclass
class Attempt:
    """One attempt at a job."""

    job: int
    rule: str
    wildcards: Mapping[str, str]
    output: Sequence[Path]
    log: Sequence[Path]
    threads: int
    resources: Mapping[str, Any]
    started: datetime
    ended: datetime | None = None
    failure: str | None = None
    slurm_id: str | None = None

    def __str__(self) -> str:
        return " ".join([self.rule, *(f"{key}={value}" for key, value in self.wildcards.items())])

    def state(self, account: Account | None, alive: bool) -> State:
        """Return its state; ``account`` is SLURM's, ``alive`` whether Snakemake runs still."""
        if self.ended is not None:
            return State.DONE if self.failure is None else State.FAILED
        if account is None:
            if not alive:
                return State.CUT_OFF
            return State.RUNNING if self.slurm_id is None else State.WAITING
        if account.waiting:
            return State.WAITING
        if account.running:
            return State.RUNNING
        return State.DONE if account.state == "COMPLETED" else State.FAILED


@dataclass
class History:
    """A run: when it began, what it planned, the attempts in the order in which they started."""

    path: Path
    begun: datetime
    host: str
    planned: Mapping[str, int]
    alive: bool
    attempts: list[Attempt] = field(default_factory=list)
    ended: datetime | None = None
    _last: dict[int, Attempt] = field(default_factory=dict)  # by Snakemake's number of the job

    @classmethod
    def read(cls, path: Path) -> "History":
        """Read the journal at ``path``; raises UserError if it is none."""
        try:
            with path.open() as file:
                alive = _held(file.fileno())
                events = list(_events(file))
            header = events[0]
            history = cls(
                path=path,
                begun=_time(header),
                host=header["host"],
                planned=header["planned"],
                alive=alive,
            )
            for event in events[1:]:
                history._tell(event)
        except FileNotFoundError:
            raise UserError(
                f"{path} is not there: `ls {FOLDER}` lists the runs' journals"
            ) from None
        except (IndexError, KeyError, ValueError) as error:
            raise UserError(f"{path} is no journal of a run ({error!r}): name another") from None
        return history

    @classmethod
    def latest(cls) -> "History":
        """Read the journal of the last run; raises UserError if there has been none."""
        paths = sorted(FOLDER.glob("*.jsonl"))
        if not paths:
            raise UserError(
                f"{FOLDER} holds no journal: no run has begun in this folder, or all was done"
            )
        return cls.read(paths[-1])

    def last_attempts(self) -> list[Attempt]:
        """Return each job's last attempt."""
        return list(self._last.values())

    def _tell(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "started":
            self._last[event["job"]] = attempt = _attempt(event)
            self.attempts.append(attempt)
        elif event["event"] == "ended":
            self.ended = _time(event)
        for attempt in (self._last[job] for job in event.get("jobs", ())):
            if event["event"] == "submitted":
                attempt.slurm_id = event["slurm_id"]
            else:
                attempt.ended = _time(event)
                attempt.failure = event.get("text")


def _attempt(event: Mapping[str, Any]) -> Attempt:
    return Attempt(
        job=event["job"],
        rule=event["rule"],
        wildcards=event["wildcards"],
        output=[Path(file) for file in event["output"]],
        log=[Path(file) for file in event["log"]],
        threads=event["threads"],
        resources=event["resources"],
        started=_time(event),
    )


def _events(file: Any) -> Iterator[dict[str, Any]]:
    for line in file:
        if line.endswith("\n"):  # the last line may be half written
            yield json.loads(line)


def _held(descriptor: int) -> bool:
    """Tell whether a process holds the journal, as it does while it writes it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks: nothing says that it does not
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _time(event: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(event["time"])
