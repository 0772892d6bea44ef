"""A run as text: its rules by state and by what they took of what they asked for, single jobs."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tabulate import tabulate

from scripts.common.errors import UserError
from scripts.slurm import accounting
from scripts.slurm.accounting import Account
from scripts.watch.failure import last_lines
from scripts.watch.history import Attempt, History, State
from scripts.watch.usage import Usage, usage

log = logging.getLogger(__name__)

_HEADERS = (
    "rule", "jobs", "done", "running", "waiting", "failed", "again",
    "time", "longest", "limit", "CPU", "peak MB", "asked MB", "GPU",
)  # fmt: skip
_JOBS_SHOWN = 20


@dataclass(frozen=True)
class Watched:
    """A run with what SLURM says of its jobs (by their ids there; empty without SLURM)."""

    history: History
    accounts: Mapping[str, Account]

    @classmethod
    def of(cls, history: History) -> "Watched":
        """Ask SLURM for the run's jobs, if it has any there; a warning says if it does not tell."""
        ids = {attempt.slurm_id for attempt in history.attempts if attempt.slurm_id is not None}
        try:
            return cls(history, accounting.accounts(ids))
        except UserError as error:
            log.warning("%s", error)
            return cls(history, {})

    def account(self, attempt: Attempt) -> Account | None:
        return None if attempt.slurm_id is None else self.accounts.get(attempt.slurm_id)

    def state(self, attempt: Attempt) -> State:
        return attempt.state(self.account(attempt), self.history.alive)

    def in_state(self, *states: State) -> list[Attempt]:
        return [one for one in self.history.last_attempts() if self.state(one) in states]

    def by_rule(self) -> dict[str, list[Attempt]]:
        """Return each rule's jobs that have begun, by their last attempts."""
        found: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in self.history.last_attempts():
            found[attempt.rule].append(attempt)
        return found


def table(watched: Watched) -> str:
    """Return all that is told of a run."""
    parts = [_heading(watched.history), _rules(watched)]
    parts += [_running(watched), _waiting(watched), _failed(watched)]
    return "\n\n".join(part for part in parts if part)


def _heading(history: History) -> str:
    begun = history.begun.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if history.ended is not None:
        state = f"ended after {_span(history.ended - history.begun)}"
    elif history.alive:
        state = f"has run for {_span(datetime.now(UTC) - history.begun)}"
    else:
        state = "Snakemake was stopped or killed: run it again, and it goes on from there"
    return f"run of {begun} on {history.host}: {state}"


def _rules(watched: Watched) -> str:
    by_rule = watched.by_rule()
    tries = Counter(attempt.rule for attempt in watched.history.attempts)
    rows = []
    for rule, planned in watched.history.planned.items():
        states = Counter(watched.state(attempt) for attempt in by_rule[rule])
        counts = [
            *(states[state] for state in (State.DONE, State.RUNNING, State.WAITING)),
            states[State.FAILED] + states[State.CUT_OFF],
            tries[rule] - len(by_rule[rule]),
        ]
        cells = [str(count or "") for count in counts]
        rows.append([rule, str(planned), *cells, *_efficiency(watched, by_rule[rule])])
    columns = [column for column in zip(_HEADERS, *rows, strict=True) if any(column[1:])]
    header, *body = zip(*columns, strict=True)
    right = ["right"] * (len(header) - 1)
    return tabulate(
        body, header, tablefmt="plain", disable_numparse=True, colalign=["left", *right]
    )


def _efficiency(watched: Watched, attempts: Sequence[Attempt]) -> list[str]:
    """Return the cells of what these jobs took, and what they had asked for."""
    sharing = Counter(attempt.slurm_id for attempt in watched.history.last_attempts())
    found = [
        (attempt, used)
        for attempt in attempts
        if (used := usage(attempt, watched.account(attempt), sharing[attempt.slurm_id] > 1))
    ]
    if not found:
        return [""] * 7
    taken = [used for _, used in found]
    longest = max(one.seconds for one in taken)
    return [
        _span(timedelta(seconds=sum(one.seconds for one in taken))),
        _span(timedelta(seconds=longest)),
        _asked(attempts, "runtime", lambda minutes: _span(timedelta(minutes=minutes))),
        _cpu(watched, found),
        _most((one.peak for one in taken), "{:,.0f}"),
        _asked(attempts, "mem_mb", lambda megabytes: f"{megabytes:,}"),
        _most((one.gpu_utilization for one in taken), "{:.0f}%"),
    ]


def _cpu(watched: Watched, found: Iterable[tuple[Attempt, Usage]]) -> str:
    """Return the share of the processors' time that was used, of the jobs that tell."""
    busy = asked = 0.0
    for attempt, used in found:
        if used.cpus is not None:
            account = watched.account(attempt)
            busy += used.seconds * used.cpus
            asked += used.seconds * (attempt.threads if account is None else account.cpus)
    return f"{busy / asked:.0%}" if asked else ""


def _asked(attempts: Sequence[Attempt], resource: str, form: Callable[[int], str]) -> str:
    asked = [one.resources[resource] for one in attempts if resource in one.resources]
    return form(max(asked)) if asked else ""


def _most(values: Iterable[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return form.format(max(known)) if known else ""


def _running(watched: Watched) -> str:
    """Tell the running jobs, with the last line that each has logged."""
    lines = []
    for attempt in watched.in_state(State.RUNNING):
        account = watched.account(attempt)
        if account is None:
            since, where = datetime.now(UTC) - attempt.started, ""
        else:
            since = timedelta(seconds=account.seconds)
            where = f", job {attempt.slurm_id} on {account.nodes}"
        last = last_lines(attempt.log, 1)
        lines += [f"  {attempt}: {_span(since)}{where}", *(f"    | {line}" for line in last)]
    return _listed("running", lines, _JOBS_SHOWN * 2)


def _waiting(watched: Watched) -> str:
    """Tell for what jobs wait in SLURM's queue, as SLURM says it."""
    reasons: Counter[str] = Counter()
    for attempt in watched.in_state(State.WAITING):
        account = watched.account(attempt)
        reason = "to be submitted" if account is None else account.reason
        reasons[f"  {attempt.rule}: {reason}"] += 1
    lines = [f"{what}, {count} jobs" for what, count in sorted(reasons.items())]
    return _listed("waiting", lines, _JOBS_SHOWN)


def _failed(watched: Watched) -> str:
    lines = []
    for attempt in watched.in_state(State.FAILED, State.CUT_OFF):
        account = watched.account(attempt)
        why = watched.state(attempt) if account is None else account.state
        lines.append(f"  {attempt}: {why}")
    told = "failed (`python -m scripts.watch --failures` tells why)"
    return _listed(told, lines, _JOBS_SHOWN)


def _listed(heading: str, lines: Sequence[str], limit: int) -> str:
    if not lines:
        return ""
    more = [f"  and {len(lines) - limit} lines more"] if len(lines) > limit else []
    return "\n".join([heading, *lines[:limit], *more])


def _span(time: timedelta) -> str:
    return str(timedelta(seconds=round(time.total_seconds())))
