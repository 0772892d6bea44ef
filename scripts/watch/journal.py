"""The journal of a run: a line of JSON for whatever becomes of a job, while Snakemake runs.

Snakemake tells its loggers of its jobs in records with an ``event``
(``snakemake_interface_logger_plugins.common.LogEvent``). Its own log is text, and leaves out what
`quiet` says. The journal keeps what a table of jobs needs, whatever becomes of Snakemake itself,
and tells at once what has failed. Snakemake takes loggers from installed packages only; this one
is no more than a handler that the workflow adds when it starts.

Every line has ``event`` and ``time`` (UTC). The events, in the order in which they come:

- ``run``: once, with ``planned`` (jobs by rule), ``attempts`` (how often a job may run), ``host``,
  ``command``.
- ``started``: an attempt at a job, run or handed to SLURM: ``job`` (Snakemake's number), ``rule``,
  ``wildcards``, ``output``, ``log``, ``threads``, ``resources``.
- ``submitted``: ``jobs`` are one job of SLURM's, ``slurm_id``, which logs to ``slurm_log``.
- ``finished`` and ``failed``: ``jobs``; the latter with ``text``, the message for people.
- ``ended``: Snakemake came to its end; without it, it runs still or was killed.
"""

import contextlib
import datetime
import fcntl
import logging
import os
import platform
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.common import canonical, layout
from scripts.watch.failure import Environment, Failure, Member

FOLDER = Path(layout.RESULTS, "logs", "runs")

# The SLURM plugin tells a job's SLURM id in this sentence alone.
_SUBMITTED = re.compile(
    r"Job (?P<job>\S+) has been submitted with SLURM jobid (?P<slurm_id>\d+) "
    r"\(log: (?P<slurm_log>.*)\)\."
)
# Outputs that are not there are an error without a job in its record.
_WITHOUT_OUTPUT = re.compile(
    r"Job (?P<job>\d+) +completed successfully, but some output files are missing"
)


class Journal(logging.Handler):
    """Writes the journal of this process's run, from ``begin`` to ``end``."""

    def __init__(self) -> None:
        super().__init__()
        self._started: dict[int, dict[str, Any]] = {}  # jobs under way, by Snakemake's number
        self._attempts: Counter[int] = Counter()
        self._groups: dict[str, list[int]] = {}  # a group's jobs, by the names it may have
        self._slurm: dict[int, tuple[str, str]] = {}  # a job's SLURM id and log
        self._told_by = {
            "job_info": self._start,
            "job_finished": self._finish,
            "job_error": self._fail_one,
            "group_info": self._group,
            "group_error": self._fail_group,
            "error": self._fail_without_output,
            None: self._submit,
        }

    def begin(
        self,
        logger: logging.Logger,
        planned: Mapping[str, int],
        retries: int,
        environment: Environment,
    ) -> None:
        """Open the journal and follow ``logger``, Snakemake's."""
        self._logger, self._environment = logger, environment
        self._limit = 1 + retries
        FOLDER.mkdir(parents=True, exist_ok=True)
        self._file = (FOLDER / f"{_now().replace(':', '')}-{os.getpid()}.jsonl").open("w")
        with contextlib.suppress(OSError):  # some file systems have no locks
            fcntl.flock(self._file, fcntl.LOCK_EX)  # readers see by it that this process lives
        self._write(
            "run",
            attempts=self._limit,
            command=sys.argv,
            host=platform.node(),
            planned=dict(planned),
        )
        logger.addHandler(self)

    def end(self) -> Path:
        """Close the journal; return where it is."""
        self._logger.removeHandler(self)
        try:
            self._write("ended")
            self._file.close()
        except OSError as error:
            self._logger.error(f"{self._file.name}: {error}: free some space")
        return Path(self._file.name)

    def emit(self, record: logging.LogRecord) -> None:
        tell = self._told_by.get(getattr(record, "event", None))
        if tell is not None:
            try:
                tell(record)
            except Exception:  # a full disk, say: told on standard error, and the run goes on
                self.handleError(record)

    def _write(self, event: str, **fields: Any) -> None:
        line = canonical.dumps({"event": event, "time": _now(), **fields})
        print(line, file=self._file, flush=True)

    def _start(self, record: Any) -> None:
        if not record.output:  # `all`, which only has inputs
            return
        self._attempts[record.jobid] += 1
        started = {
            "job": record.jobid,
            "log": [str(file) for file in record.log],
            "output": [str(file) for file in record.output],
            "resources": _plain(record.resources),
            "rule": record.rule_name,
            "threads": record.threads,
            "wildcards": dict(record.wildcards),
        }
        self._started[record.jobid] = started
        self._write("started", **started)

    def _group(self, record: Any) -> None:
        jobs = sorted(job.jobid for job in record.jobs)
        for job in record.jobs:  # SLURM's plugin names a group by one of its jobs
            self._groups[job.uuid()] = jobs

    def _submit(self, record: logging.LogRecord) -> None:
        if match := _SUBMITTED.fullmatch(record.getMessage()):
            slurm = match["slurm_id"], os.path.relpath(match["slurm_log"])
            jobs = self._groups.get(match["job"]) or [int(match["job"])]
            self._slurm.update(dict.fromkeys(jobs, slurm))
            self._write("submitted", jobs=jobs, slurm_id=slurm[0], slurm_log=slurm[1])

    def _finish(self, record: Any) -> None:
        if self._started.pop(record.job_id, None):
            self._write("finished", jobs=[record.job_id])

    def _fail_one(self, record: Any) -> None:
        if not record.indent:  # the jobs of a group follow its own record
            self._fail([vars(record)], record.rule_msg)

    def _fail_group(self, record: Any) -> None:
        self._fail(record.job_error_info, None)

    def _fail_without_output(self, record: logging.LogRecord) -> None:
        if match := _WITHOUT_OUTPUT.search(record.getMessage()):
            self._fail([{"jobid": int(match["job"])}], "it ended well, but made no output")

    def _fail(self, errors: Sequence[Mapping[str, Any]], message: str | None) -> None:
        jobs = [error["jobid"] for error in errors]
        slurm_id, slurm_log = self._slurm.get(jobs[0], (None, None))
        failure = Failure(
            members=[
                Member.of(self._started[error["jobid"]], error.get("shellcmd"))
                for error in errors
                if error["jobid"] in self._started
            ],
            slurm_id=slurm_id,
            slurm_log=None if slurm_log is None else Path(slurm_log),
            message=message,
            attempt=self._attempts[jobs[0]],
            attempts=self._limit,
        )
        text = failure.text(self._environment)
        self._write("failed", jobs=jobs, text=text)
        self._logger.error(text)
        for job in jobs:
            self._started.pop(job, None)
            self._slurm.pop(job, None)


def _plain(resources: Any) -> dict[str, int | str]:
    """Return what a rule or the profile asks for, without what Snakemake adds for itself."""
    return {
        name: value
        for name, value in resources.items()
        if not name.startswith("_") and name != "tmpdir" and isinstance(value, int | str)
    }


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
