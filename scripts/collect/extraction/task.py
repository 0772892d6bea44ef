"""What is asked of the extraction process, and its answers, in the form in which they travel.

A parser that hostile data have taken over can write what it likes into the pipe: answers are JSON
and are checked here, never unpickled.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Metadata = dict[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of one document, and what else the document says of itself."""

    text: str
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """Why there is no text (a fixed word) and what exactly is wrong.

    ``ordinary`` are the refusals that such data always have, as a crawl has pages without text.
    """

    reason: str
    detail: str
    ordinary: bool = False


Answer = Extracted | Refused


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may cost.

    The processor time decides, which a busy machine does not change; ``wall_seconds`` are for what
    waits without working, and are many more. ``memory_bytes`` come on top of what the process takes
    before it reads the document.
    """

    processor_seconds: float = 20
    wall_seconds: float = 120
    memory_bytes: int = 2 << 30


@dataclass(frozen=True, slots=True)
class Task:
    """A function of a module, called with each content and ``arguments``.

    ``sample`` is content for a first call before any document: it imports what the function imports
    only when it is called, and fills its caches.
    """

    function: Callable[..., Answer]
    arguments: tuple[str, ...] = ()
    sample: str = ""
    limits: Limits = Limits()


def encoded(answer: Answer) -> bytes:
    if isinstance(answer, Extracted):
        value: dict[str, Any] = {"text": answer.text, "metadata": answer.metadata}
    else:
        value = {
            "reason": answer.reason,
            "detail": answer.detail,
            "ordinary": answer.ordinary,
        }
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def decoded(content: bytes) -> Answer:
    """Return the answer in ``content``; raises ValueError for what is none."""
    match json.loads(content.decode("utf-8", "surrogatepass")):
        case {"text": str(text), "metadata": dict(metadata), **rest} if not rest:
            if all(isinstance(value, str | int | None) for value in metadata.values()):
                return Extracted(text, metadata)
        case {"reason": str(reason), "detail": str(detail), "ordinary": bool(ordinary), **rest}:
            if not rest:
                return Refused(reason, detail, ordinary)
    raise ValueError("the answer has another form than this program's")
