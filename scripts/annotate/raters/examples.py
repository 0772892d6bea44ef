"""Examples to learn from that the user gives as JSON lines: scored texts, pairs, labelled ids."""

import hashlib
import io
from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from scripts.common import canonical
from scripts.common.errors import UserError

_VALIDATION_ONE_IN = 10
_LEAST = 20


class Line(BaseModel):
    """One example; keys that are not named here are the user's own business."""

    model_config = ConfigDict(frozen=True, strict=True)


class ScoredText(Line):
    text: Annotated[str, Field(min_length=1)]
    score: FiniteFloat


class Judgment(Line):
    """Which of two texts is better: the share of judges that prefer ``a``, or the one that won."""

    a: Annotated[str, Field(min_length=1)]
    b: Annotated[str, Field(min_length=1)]
    preference: Annotated[float, Field(ge=0, le=1)] | None = None
    winner: Literal["a", "b"] | None = None

    @model_validator(mode="after")
    def _one_verdict(self) -> "Judgment":
        if (self.preference is None) == (self.winner is None):
            raise ValueError("give either `preference` (the share that prefers a) or `winner`")
        return self

    @property
    def target(self) -> float:
        """The probability that ``a`` is preferred."""
        return self.preference if self.preference is not None else float(self.winner == "a")


class LabelledId(Line):
    id: int
    good: bool


Example = TypeVar("Example", bound=Line)


def read(model: type[Example], files: Sequence[str]) -> list[Example]:
    """Read examples, one a line, from plain or compressed files (gzip, zstd).

    Raises UserError naming the first line at fault: a label that is wrong teaches what is wrong.
    """
    found: list[Example] = []
    for file in files:
        try:
            with pa.input_stream(file, compression="detect") as stream:
                for number, line in enumerate(io.BufferedReader(stream), start=1):
                    if line.strip():
                        found.append(_parse(model, line, f"{file}:{number}"))
        except OSError as error:
            raise UserError(
                f"{file} cannot be read to its end ({error}): restore the file"
            ) from error
    return found


def _parse(model: type[Example], line: bytes, place: str) -> Example:
    try:
        return model.model_validate_json(line)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'line'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise UserError(f"{place}: {faults}: correct the line or remove it") from None


def split(name: str, examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Return the examples to train on and, about a tenth, to validate with.

    Both by the hash of their content, in its order: that of the lines does not matter, and equal
    examples fall on one side. Raises UserError where there are too few.
    """
    hashed = sorted((_hash(example), place) for place, example in enumerate(examples))
    sides: tuple[list[Example], list[Example]] = ([], [])
    for number, place in hashed:
        sides[number % _VALIDATION_ONE_IN == 0].append(examples[place])
    training, validation = sides
    if len(examples) < _LEAST or not validation:
        raise UserError(
            f"raters.{name}: {len(examples)} examples are too few to train on and validate with; "
            f"give at least {_LEAST}, better a thousand"
        )
    return training, validation


def _hash(example: Line) -> int:
    content = canonical.dumps(example.model_dump(mode="json")).encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")
