"""An evaluation item, as documents are searched for it."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Item:
    benchmark: str
    name: str
    text: str
