"""The process that extracts, as ``isolation`` starts it: a zygote and the worker that it forks.

The zygote has imported everything and read nothing, so that a new worker takes milliseconds. The
worker reads one document after the other until one ends it. Nothing needs to watch it: the kernel
itself ends a process whose time is up, also within compiled code that never returns to Python.
"""

import gc
import importlib
import json
import logging
import os
import re
import resource
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection

from scripts.collect.extraction.task import Answer, Limits, Refused, encoded

OUT_OF_MEMORY = 77  # the worker's exit status
DEATH = struct.Struct("!iq")  # what the zygote tells of a dead worker: see _reap
TIMEOUTS = {signal.ITIMER_PROF: signal.SIGPROF, signal.ITIMER_REAL: signal.SIGALRM}
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # in messages, another one each time

_Extract = Callable[[bytes], Answer]


def much_memory(kilobytes: int, limits: Limits) -> bool:
    """Tell whether a worker that failed after growing by so much has most likely met its limit.

    A refused allocation is not always seen as one: libraries swallow the error or crash on it.
    What is refused is at most a doubling of what there is, so that a third of the limit is in use.
    """
    return kilobytes * 1024 > limits.memory_bytes // 3


def main() -> None:
    task = json.loads(sys.argv[1])
    limits = Limits(**task["limits"])
    logging.disable(logging.CRITICAL)  # what libraries say of a document, the answer says too
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in TIMEOUTS.values():
        signal.signal(number, signal.SIG_DFL)
    extract = _function(task["module"], task["function"], task["arguments"])
    extract(task["sample"].encode())
    gc.collect()
    gc.freeze()  # so that the workers' collections leave the shared pages alone
    _serve_channels(socket.socket(fileno=task["control"]), extract, limits)


def _function(module: str, name: str, arguments: list[str]) -> _Extract:
    function = getattr(importlib.import_module(module), name)
    return lambda content: function(content, *arguments)


def _serve_channels(control: socket.socket, extract: _Extract, limits: Limits) -> None:
    """Fork a worker for each channel that is sent; tell of its death; end when nobody listens."""
    while True:
        _, channels, *_ = socket.recv_fds(control, 1, 1)
        if not channels:
            return
        before = _kilobytes()
        worker = os.fork()
        if worker == 0:
            control.close()
            try:
                _work(Connection(channels[0]), extract, limits)
                os._exit(os.EX_OK)
            except BaseException:  # it must not go on as a second zygote
                traceback.print_exc()
                os._exit(os.EX_SOFTWARE)
        os.close(channels[0])
        death = _reap(worker, before)
        with suppress(BrokenPipeError):  # the reader has all that it wanted
            control.sendall(death)


def _reap(worker: int, kilobytes_before: int) -> bytes:
    """Wait for the worker's end; return its exit status (or -signal) and growth in kilobytes."""
    _, status, usage = os.wait4(worker, 0)
    return DEATH.pack(os.waitstatus_to_exitcode(status), usage.ru_maxrss - kilobytes_before)


def _work(channel: Connection, extract: _Extract, limits: Limits) -> None:
    before = _kilobytes()
    _limit_memory(limits)
    while True:
        try:
            content = channel.recv_bytes()
            _set_timers(limits.processor_seconds, limits.wall_seconds)
            answer = _answer(extract, content)
            _set_timers(0, 0)
            if isinstance(answer, Refused) and much_memory(_kilobytes() - before, limits):
                os._exit(OUT_OF_MEMORY)
            channel.send_bytes(encoded(answer))
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


def _answer(extract: _Extract, content: bytes) -> Answer:
    try:
        return extract(content)
    except MemoryError:
        raise
    except Exception as error:
        message = _ADDRESS.sub("", str(error))
        return Refused("extraction_failed", f"{type(error).__name__}: {message}")


def _set_timers(processor_seconds: float, wall_seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, processor_seconds)
    signal.setitimer(signal.ITIMER_REAL, wall_seconds)


def _limit_memory(limits: Limits) -> None:
    """Refuse allocations beyond the limit; not on macOS, which has no such limit."""
    if sys.platform == "linux":
        with open("/proc/self/statm") as statm:  # noqa: PTH123
            pages = int(statm.read().split()[0])
        allowed = pages * resource.getpagesize() + limits.memory_bytes
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if hard == resource.RLIM_INFINITY or allowed < hard:
            resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))


def _kilobytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
