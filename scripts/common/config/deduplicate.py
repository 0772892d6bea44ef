"""How duplicates are told."""

from typing import Annotated

from pydantic import Field

from scripts.common.config.base import Model, Name


class Deduplicate(Model):
    """MinHash-LSH over word shingles. ``preference`` lists the sources, best first."""

    shingle_words: Annotated[int, Field(gt=0)] = 5
    bands: Annotated[int, Field(gt=0)] = 14
    rows: Annotated[int, Field(gt=0)] = 8
    seed: int = 1
    preference: list[Name]
