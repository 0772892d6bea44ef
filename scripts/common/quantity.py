"""Token counts as people write them: ``20M`` is 20,000,000."""

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_SCALES = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_PATTERN = re.compile(r"(\d+(?:\.\d+)?)\s*([KMBT]?)", re.IGNORECASE)


def tokens(value: Any) -> int:
    """Return the count that ``value`` says: an integer, or a number with K, M, B or T.

    Raises ValueError for anything else, and where the count is not whole.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _PATTERN.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(f"{value!r} is not a token count: write 20000, 20K, 20M, 1.5B or 2T")
    count = Fraction(match[1]) * _SCALES[match[2].upper()]  # exact: in floats, 8.14T is not whole
    if count.denominator != 1:
        raise ValueError(f"{value!r} is not a whole number of tokens")
    return int(count)


Tokens = Annotated[int, BeforeValidator(tokens), Field(gt=0)]
