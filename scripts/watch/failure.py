"""The message for a job that failed: which, where, why, its last lines, how to run it by hand."""

import shlex
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from scripts.common.errors import UserError
from scripts.slurm import accounting

_LAST_LINES = 12
_LINE_CHARACTERS = 300
_INDENT = " " * 13
_SLURM_LINES = 100
_TAIL_BYTES = 1 << 15
_MEMBERS_IN_FULL = 3
_MIB = 1 << 20

# What a job's end means that SLURM, not the program, brought about.
_REMEDIES = {
    "OUT_OF_MEMORY": "raise `mem_mb` under set-resources.{rule} in the profile",
    "TIMEOUT": "raise `runtime` under set-resources.{rule} in the profile; "
    "training goes on from its last checkpoint",
    "DEADLINE": "raise `runtime` under set-resources.{rule} in the profile",
    "NODE_FAIL": "the node was lost, which is not the job's fault; training goes on from its last "
    "checkpoint",
    "BOOT_FAIL": "the node did not start, which is not the job's fault",
    "PREEMPTED": "another job took its place; training goes on from its last checkpoint",
    "CANCELLED": "somebody or the site ended it with scancel",
}


@dataclass(frozen=True)
class Environment:
    """What a job's command needs around it: a folder to run in, and shell to set variables."""

    folder: Path
    setup: str

    def by_hand(self, command: str) -> str:
        """Return a line for a shell that runs ``command`` as the job did."""
        folder = shlex.quote(str(self.folder))
        return f"(set -o pipefail; cd {folder} && {self.setup} && {command.strip()})"


@dataclass(frozen=True)
class Member:
    """A job that failed, alone or with its group."""

    rule: str
    wildcards: Mapping[str, str]
    log: Sequence[Path]
    output: Sequence[Path]
    command: str | None

    @classmethod
    def of(cls, started: Mapping[str, Any], command: str | None) -> "Member":
        """Return what the journal's ``started`` record says."""
        return cls(
            rule=started["rule"],
            wildcards=started["wildcards"],
            log=[Path(file) for file in started["log"]],
            output=[Path(file) for file in started["output"]],
            command=command,
        )

    def __str__(self) -> str:
        return " ".join([self.rule, *(f"{key}={value}" for key, value in self.wildcards.items())])

    @property
    def done(self) -> bool:
        """Whether it made its output, which Snakemake has not removed yet."""
        return all(file.exists() for file in self.output)


@dataclass(frozen=True)
class Failure:
    """One job of Snakemake's that failed, or a group of them that was one job."""

    members: Sequence[Member]
    slurm_id: str | None
    slurm_log: Path | None
    message: str | None
    attempt: int
    attempts: int

    def text(self, environment: Environment) -> str:
        """Return the message for people."""
        return "\n".join([self._headline(), *self._cause(), *self._members(environment)])

    def _headline(self) -> str:
        what = str(self.members[0])
        if len(self.members) > 1:
            rules = ", ".join(sorted({member.rule for member in self.members}))
            what = f"a group of {len(self.members)} jobs ({rules})"
        again = "it is run again" if self.attempt < self.attempts else "it is given up"
        return f"FAILED: {what}, attempt {self.attempt} of {self.attempts}: {again}"

    def _cause(self) -> Iterator[str]:
        """Tell what SLURM says of it, and where it says nothing, what Snakemake does."""
        account = None
        if self.slurm_id is not None:
            try:
                account = accounting.accounts([self.slurm_id]).get(self.slurm_id)
            except UserError as error:
                yield from _field("slurm", str(error))
            told = ": sacct does not know it" if account is None else _told(account)
            yield from _field("slurm", f"job {self.slurm_id}{told}")
        if self.message and (account is None or account.state == "COMPLETED"):
            yield from _field("reason", self.message)
        if account is not None:
            remedy = _REMEDIES.get("OUT_OF_MEMORY" if account.out_of_memory else account.state)
            if remedy is not None:
                yield from _field("remedy", remedy.format(rule=self.members[0].rule))

    def _members(self, environment: Environment) -> Iterator[str]:
        unfinished = [member for member in self.members if not member.done]
        begun = [member for member in unfinished if last_lines(member.log)]
        for member in (begun or unfinished)[:_MEMBERS_IN_FULL]:
            if len(self.members) > 1:
                yield from _field("job", str(member))
            for log in member.log:
                lines = last_lines([log])
                yield from _field("log", f"{log}, which {'ends in' if lines else 'says nothing'}")
                yield from _quoted(lines)
            if member.command:
                yield from _field("by hand", environment.by_hand(member.command))
        if len(begun) > _MEMBERS_IN_FULL:
            yield from _field("and", f"{len(begun) - _MEMBERS_IN_FULL} more of the group")
        if self.slurm_log is not None:
            yield from self._slurms_words(alone=not begun)

    def _slurms_words(self, alone: bool) -> Iterator[str]:
        """Tell what SLURM said into its log of the job, all of it if it is ``alone`` to speak."""
        assert self.slurm_log is not None
        lines = last_lines([self.slurm_log], count=_SLURM_LINES)
        speakers = ("slurmstepd", "srun: ") if alone else ("slurmstepd",)
        said = [line for line in lines if line.startswith(speakers)]
        if not said and alone:
            said = lines
        yield from _field("slurm log", f"{self.slurm_log}{', with' if said else ''}")
        yield from _quoted(said[-_LAST_LINES:])


def _told(account: accounting.Account) -> str:
    reason = "" if account.reason in {"", "None"} else f" ({account.reason})"
    text = (
        f" on {account.nodes}: {account.state}{reason} after "
        f"{timedelta(seconds=account.seconds)}, exit status {account.exit_code}"
    )
    if account.peak is None or account.memory is None:
        return text
    return f"{text}, {account.peak // _MIB:,} of {account.memory // _MIB:,} MB seen in use"


def _field(name: str, text: str) -> Iterator[str]:
    first, *rest = text.strip().splitlines()
    yield f"  {name:<9}  {first}"
    yield from (f"{_INDENT}{line}" for line in rest)


def _quoted(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"{_INDENT}| {line}" for line in lines)


def last_lines(files: Sequence[Path], count: int = _LAST_LINES) -> list[str]:
    """Return the last lines of the files that are there, those of one after those of another."""
    last: deque[str] = deque(maxlen=count)
    for file in files:
        try:
            with file.open("rb") as stream:
                stream.seek(max(0, file.stat().st_size - _TAIL_BYTES))
                text = stream.read().decode(errors="replace")
        except OSError:
            continue
        # A progress bar's carriage returns are no lines of their own.
        lines = (line.rsplit("\r", 1)[-1].rstrip() for line in text.split("\n"))
        last.extend(line[:_LINE_CHARACTERS] for line in lines if line)
    return list(last)
