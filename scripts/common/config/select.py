"""Which documents stay."""

from typing import Literal

from scripts.common.config.base import Fraction, Model


class SelectDomain(Model):
    """Which documents of a domain stay.

    ``rules`` name published rule sets, ``bounds`` add to or replace the interval [low, high] of a
    single attribute (null: unbounded), ``sample`` keeps this fraction of what passed, by hash.
    """

    rules: list[Literal["gopher_quality", "gopher_repetition", "c4", "fineweb"]] = []
    bounds: dict[str, tuple[float | None, float | None]] = {}
    languages: list[str] = []
    sample: Fraction = 1.0
