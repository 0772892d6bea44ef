"""Generated arithmetic problems, none twice, whose answers are computed and checked.

A problem is a kind and its numbers, commutative ones in one order: ``25 + 17`` is the problem
``17 + 25``. Each occurs in the source once, so that what is held out is never in training. They
range from what a very small model learns in minutes (parity, comparison) to two steps in words.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement, product
from typing import Any

from scripts.collect.records import Record
from scripts.common.config.collect import ProblemsSource
from scripts.common.errors import UserError

_NAMES = ("Ana", "Ben", "Chen", "Dina", "Emeka", "Fatima", "Goran", "Hana")
_THINGS = ("apples", "books", "coins", "cards", "shells", "stamps", "marbles", "pencils")
_Numbers = tuple[int, ...]


@dataclass(frozen=True)
class _Kind:
    """A kind of problem: ``question`` is a template of ``{a}``, ``{b}``, ``{c}``."""

    name: str
    share: int  # of the problems, as long as there are enough of this kind
    numbers: Callable[[], Iterator[_Numbers]]
    question: str
    answer: Callable[..., int | str]
    holds: Callable[..., bool]  # of the numbers in the question and the answer
    commutes: bool = False  # in the first two numbers: they are asked for in either order


def _differences() -> Iterator[_Numbers]:
    return ((a, b) for a in range(100) for b in range(a + 1))


def _products() -> Iterator[_Numbers]:
    return ((a, b) for a in range(13) for b in range(a, 100))


def _gains_and_losses() -> Iterator[_Numbers]:
    return (
        (a, b, c)
        for a, b in combinations_with_replacement(range(1, 21), 2)
        for c in range(1, a + b + 1)
    )


def _boxes() -> Iterator[_Numbers]:
    factors = combinations_with_replacement(range(2, 13), 2)
    return ((a, b, c) for (a, b), c in product(factors, range(1, 21)))


_KINDS = (
    _Kind(
        "parity",
        4,
        lambda: ((number,) for number in range(10_000)),
        "Is {a} even or odd?",
        lambda a: "odd" if a % 2 else "even",
        lambda a, answer: answer == ("even" if str(a)[-1] in "02468" else "odd"),
    ),
    _Kind(
        "comparison",
        4,
        lambda: combinations(range(200), 2),
        "Which is larger, {a} or {b}?",
        max,
        lambda a, b, answer: answer in (a, b) and a + b - answer < answer,
        commutes=True,
    ),
    _Kind(
        "addition",
        4,
        lambda: combinations_with_replacement(range(100), 2),
        "What is {a} + {b}?",
        lambda a, b: a + b,
        lambda a, b, answer: answer - a == b,
        commutes=True,
    ),
    _Kind(
        "subtraction",
        4,
        _differences,
        "What is {a} - {b}?",
        lambda a, b: a - b,
        lambda a, b, answer: answer >= 0 and answer + b == a,
    ),
    _Kind(
        "multiplication",
        1,
        _products,
        "What is {a} * {b}?",
        lambda a, b: a * b,
        lambda a, b, answer: answer == sum([a] * b),
        commutes=True,
    ),
    _Kind(
        "gain-and-loss",
        2,
        _gains_and_losses,
        "{name} has {a} {things}, gets {b} more and gives {c} away. "
        "How many {things} does {name} have now?",
        lambda a, b, c: a + b - c,
        lambda a, b, c, answer: answer + c - b == a,
        commutes=True,
    ),
    _Kind(
        "boxes",
        1,
        _boxes,
        "{name} has {a} boxes of {b} {things} and {c} more {things}. "
        "How many {things} does {name} have?",
        lambda a, b, c: a * b + c,
        lambda a, b, c, answer: answer == sum([b] * a, c),
        commutes=True,
    ),
)


class ProblemsReader:
    def __init__(self, source: ProblemsSource) -> None:
        self.source = source

    def inputs(self, shard: int) -> dict[str, Any]:
        return {}

    def read(self, shard: int) -> Iterator[Record]:
        chosen = _chosen(self.source.count, self.source.seed)
        for kind, numbers in chosen[shard :: self.source.shards]:
            yield _record(kind, numbers, self.source.seed)


def _chosen(count: int, seed: int) -> list[tuple[_Kind, _Numbers]]:
    """Return ``count`` distinct problems: the kinds by turns, according to their shares.

    Raises UserError if there are not so many.
    """
    left = {kind: _shuffled(kind, seed) for kind in _KINDS}
    capacity = sum(map(len, left.values()))
    if count > capacity:
        raise UserError(
            f"there are {capacity:,} distinct problems, not {count:,}: "
            "lower `count` of this problems source"
        )
    chosen: list[tuple[_Kind, _Numbers]] = []
    while len(chosen) < count:
        for kind, numbers in left.items():
            turn = numbers[: kind.share]
            del numbers[: kind.share]
            chosen.extend((kind, one) for one in turn)
    return chosen[:count]


def _shuffled(kind: _Kind, seed: int) -> list[_Numbers]:
    """Return the kind's problems in an order that is random but the same on every machine."""
    return sorted(kind.numbers(), key=lambda numbers: _hash(kind, numbers, seed))


def _record(kind: _Kind, numbers: _Numbers, seed: int) -> Record:
    question = _question(kind, numbers, _hash(kind, numbers, seed))
    answer = kind.answer(*numbers)
    # Checked against the words, not the numbers that they were made of.
    if not kind.holds(*map(int, re.findall(r"\d+", question)), answer):
        raise AssertionError(f"{question!r} is not answered by {answer!r}")
    return Record(
        f"problem:{kind.name}:{','.join(map(str, numbers))}",
        f"Question: {question}\nAnswer: {answer}",
        language="en",
        metadata={"question": question, "answer": str(answer), "kind": kind.name},
    )


def _question(kind: _Kind, numbers: Sequence[int], choice: bytes) -> str:
    if kind.commutes and choice[0] % 2:
        numbers = (numbers[1], numbers[0], *numbers[2:])
    return kind.question.format(
        **dict(zip("abc", numbers, strict=False)),
        name=_NAMES[choice[1] % len(_NAMES)],
        things=_THINGS[choice[2] % len(_THINGS)],
    )


def _hash(kind: _Kind, numbers: _Numbers, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} {kind.name} {numbers}".encode(), digest_size=16).digest()
