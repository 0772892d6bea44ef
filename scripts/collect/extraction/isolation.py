"""Extraction in a process of its own, where a parser's crash, hang or greed costs one document.

Pebble and concurrent.futures, which come to mind, unpickle what a worker sends, wait seconds for a
worker that hangs in compiled code, or lose all that was submitted when one dies.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from types import TracebackType
from typing import TypeVar

from scripts.collect.extraction import worker
from scripts.collect.extraction.task import Answer, Limits, Refused, Task, decoded
from scripts.common.code import ROOT

_MAX_ANSWER_BYTES = 1 << 28
_PATIENCE_SECONDS = 5

_Context = TypeVar("_Context")


def extract(
    items: Iterable[tuple[_Context, bytes | Answer]], task: Task
) -> Iterator[tuple[_Context, Answer]]:
    """Yield each item's context with the answer to its content, in the order of the items.

    An item that has its answer already passes through. The next item is fetched while the worker is
    busy with one. What a document did to its process is its answer: ``extraction_crashed``,
    ``extraction_timeout`` or ``extraction_out_of_memory``.
    """
    with _Process(task) as process:
        waiting: list[tuple[_Context, Answer | None]] = []
        for context, content in items:
            answered = [(one, answer or process.receive()) for one, answer in waiting]
            if isinstance(content, bytes):
                process.send(content)
                waiting = [(context, None)]
            else:
                waiting = [(context, content)]
            yield from answered
        yield from [(one, answer or process.receive()) for one, answer in waiting]


class _Process:
    """The zygote and its worker (see ``worker``): documents in, answers out, one at a time."""

    def __init__(self, task: Task) -> None:
        self._limits = task.limits
        self._control, theirs = socket.socketpair()
        with theirs:
            self._zygote = subprocess.Popen(
                [sys.executable, "-P", "-m", worker.__name__, _command(task, theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,  # so that all of it can be killed, and Ctrl-C spares it
            )
        self._content = b""
        self._answers = 0  # that the present worker has given
        self._channel = self._fork()

    def __enter__(self) -> "_Process":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._channel.close()
        self._control.close()
        if error is None:  # idle, they end by themselves: only then their memory use is on record
            with suppress(subprocess.TimeoutExpired):
                self._zygote.wait(_PATIENCE_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self._zygote.pid, signal.SIGKILL)
        self._zygote.wait()

    def send(self, content: bytes) -> None:
        self._content = content
        # From a worker that has died, as `receive` will notice.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._channel.send_bytes(content)

    def receive(self) -> Answer:
        """Return the answer to what was sent.

        A document is blamed only for the death of a worker that has read nothing else: memory that
        an earlier one has leaked or damaged must not cost a later one, nor the order matter.
        """
        while True:
            try:
                answer = decoded(self._channel.recv_bytes(_MAX_ANSWER_BYTES))
            except (EOFError, OSError, ValueError, RecursionError):
                is_first = not self._answers
                cause = self._bury()
                if is_first:
                    return cause
                self.send(self._content)
            else:
                self._answers += 1
                return answer

    def _fork(self) -> Connection:
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [b"\0"], [theirs.fileno()])
        return Connection(ours.detach())

    def _bury(self) -> Refused:
        """Learn what the worker died of, and have another one."""
        self._channel.close()  # one that lives and talks nonsense ends by this
        try:
            death = self._control.recv(worker.DEATH.size, socket.MSG_WAITALL)
        except ConnectionResetError:
            death = b""
        if len(death) < worker.DEATH.size:
            raise RuntimeError(
                "the process that forks the extraction's workers has ended "
                f"(status {self._zygote.wait()}): what it wrote to standard error says why"
            )
        self._channel, self._answers = self._fork(), 0
        status, kilobytes = worker.DEATH.unpack(death)
        return _cause(status, kilobytes, self._limits)


def _environment() -> dict[str, str]:
    """Return an environment in which this repository is found and sets have one order."""
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONHASHSEED": "0"}


def _command(task: Task, control: int) -> str:
    return json.dumps(
        {
            "module": task.function.__module__,
            "function": task.function.__qualname__,
            "arguments": task.arguments,
            "sample": task.sample,
            "limits": asdict(task.limits),
            "control": control,
        }
    )


def _cause(status: int, kilobytes: int, limits: Limits) -> Refused:
    if -status in worker.TIMEOUTS.values():
        which = (
            f"{limits.processor_seconds:g} s of processor time"
            if -status == signal.SIGPROF
            else f"{limits.wall_seconds:g} s"
        )
        return Refused("extraction_timeout", f"no answer within {which}")
    if status == worker.OUT_OF_MEMORY or worker.much_memory(kilobytes, limits):
        return Refused("extraction_out_of_memory", f"more than {limits.memory_bytes:,} bytes")
    how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    return Refused("extraction_crashed", how)
