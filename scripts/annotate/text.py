"""A document's text, split once for all measures."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Text:
    """A text with its words, lines and paragraphs.

    Words are what white space separates: no language's rules are presumed, and texts in scripts
    without spaces have few and long ones. Lines and paragraphs (which blank lines separate) are
    those with anything but white space in them.
    """

    raw: str

    @cached_property
    def words(self) -> list[str]:
        return self.raw.split()

    @cached_property
    def word_counts(self) -> Counter[str]:
        """How often each distinct word occurs, in the order of first occurrence."""
        return Counter(self.words)

    @cached_property
    def lines(self) -> list[str]:
        return [line for line in self.raw.split("\n") if line and not line.isspace()]

    @cached_property
    def stripped_lines(self) -> list[str]:
        return [line.strip() for line in self.lines]

    @cached_property
    def paragraphs(self) -> list[str]:
        return [stripped for part in self.raw.split("\n\n") if (stripped := part.strip())]

    @cached_property
    def duplicate_lines(self) -> "Duplicates":
        return Duplicates.of(self.lines)


@dataclass(frozen=True)
class Duplicates:
    """How many parts of a text repeat an earlier part, and the characters in them."""

    parts: int
    characters: int

    @classmethod
    def of(cls, parts: list[str]) -> "Duplicates":
        distinct = set(parts)
        if len(distinct) == len(parts):
            return cls(0, 0)
        return cls(len(parts) - len(distinct), _characters(parts) - _characters(distinct))


def fraction(part: float, whole: float) -> float:
    """Return ``part / whole``, and 0 where there is nothing to take a part of."""
    return part / whole if whole else 0.0


def _characters(parts: Iterable[str]) -> int:
    return sum(map(len, parts))
