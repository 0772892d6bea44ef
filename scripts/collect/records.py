"""What readers yield: a record of text, or the reason why there is none.

Of what gives no text, a ``Quarantine`` is a fault, which ``max_quarantined`` limits and whose place
and detail are kept; ``Skipped`` is what such data always have, and is only counted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """One document as its reader found it.

    ``locator`` says where it was read (file and line or row); ``url`` is its public identity, the
    locator where the data give none. ``license`` falls back to that of the source.
    """

    locator: str
    text: str
    url: str | None = None
    license: str | None = None
    created: str | None = None
    language: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Data that is no document: where it is, why (a fixed word) and what exactly is wrong."""

    locator: str
    reason: str
    detail: str
    records: int = 1  # how many documents are lost: all the rows where a whole file is at fault


@dataclass(frozen=True, slots=True)
class Skipped:
    """Data that the reader leaves out on purpose, such as a redirect: counted, and no fault."""

    locator: str
    reason: str
    records: int = 1


Found = Record | Quarantine | Skipped


class Reader(Protocol):
    """One source, read shard by shard: the shards are disjoint and together whole."""

    def read(self, shard: int) -> Iterator[Found]:
        """Yield the shard's records in a fixed order.

        Raises UserError if the source as a whole has nothing to read.
        """
        ...

    def inputs(self, shard: int) -> dict[str, Any]:
        """Return what identifies the data that the shard is read from, as JSON can carry it."""
        ...
