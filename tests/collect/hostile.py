"""An extractor that does what the document tells it to, for the tests of isolation."""

import ctypes
import os
import re
import time

from scripts.collect.extraction.task import Answer, Extracted, Limits, Refused, Task

_LEAKED: list[bytes] = []
_POISON: list[bytes] = []


def obey(content: bytes, suffix: str) -> Answer:
    if _POISON:
        ctypes.string_at(0)
    order = content.decode()
    match order.partition(" ")[0]:
        case "segfault":
            ctypes.string_at(0)
        case "abort":
            os.abort()
        case "exit":
            os._exit(3)
        case "loop":
            while True:
                pass
        case "loop-in-c":  # where no signal handler of Python would ever be run
            re.match(r"(a|aa)+$", "a" * 100 + "b")
        case "sleep":
            time.sleep(1000)
        case "allocate":
            _fill_memory()
        case "swallow":
            try:
                _fill_memory()
            except MemoryError:
                return Refused("no_main_text", "the parser kept it to itself", ordinary=True)
        case "leak":
            _LEAKED.append(b"x" * (60 << 20))
        case "poison":
            _POISON.append(content)
        case "raise":
            raise ValueError(f"not liked: {object()}")
        case "recurse":
            return obey(content, suffix)
        case "forge":
            for descriptor in range(3, 20):
                try:
                    os.write(descriptor, b"\0\0\0\x04nope")
                except OSError:
                    continue
        case "large":
            return Extracted("x" * 100_000)
    return Extracted(order + suffix, {"pid": os.getpid()})


def _fill_memory() -> None:
    blocks = []
    while True:
        blocks.append(b"x" * (1 << 20))


TASK = Task(obey, ("!",), "sample", Limits(0.3, 1.0, 200 << 20))
