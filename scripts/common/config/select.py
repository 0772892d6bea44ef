"""Which documents stay."""

from typing import Annotated, Literal

from pydantic import Field

from scripts.common.config.base import Fraction, Model


class Sampling(Model):
    """How often documents in these ``languages`` (none: any) and of so many ``words`` are read.

    A ``rate`` below 1 keeps that share of them, by hash; above it, they are repeated in an epoch.
    """

    languages: list[str] = []
    words: tuple[float | None, float | None] = (None, None)
    rate: Annotated[float, Field(ge=0, le=1000)]


class SelectDomain(Model):
    """Which documents of a domain stay.

    ``rules`` name published rule sets, ``bounds`` add to or replace the interval [low, high] of a
    single attribute (null: unbounded), ``mask`` puts a placeholder where personal data of these
    kinds are, ``sample`` keeps this fraction of what passed, by hash, and
    of ``sampling`` the first entry that a document meets says how often it is read.
    """

    rules: list[Literal["gopher_quality", "gopher_repetition", "c4", "fineweb", "starcoder"]] = []
    bounds: dict[str, tuple[float | None, float | None]] = {}
    languages: list[str] = []
    mask: list[Literal["mail", "ip", "phone", "key", "card", "iban"]] = []
    sample: Fraction = 1.0
    sampling: list[Sampling] = []
