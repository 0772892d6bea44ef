"""What rates documents."""

from typing import Annotated

from pydantic import Field

from scripts.common.config.base import Model, Name


class Rater(Model):
    """A fastText classifier of good against bad, trained on documents of the named sources."""

    positive: list[Name]
    negative: list[Name]
    documents_per_side: Annotated[int, Field(gt=0)] = 5000
    epochs: Annotated[int, Field(gt=0)] = 5
    dimension: Annotated[int, Field(gt=0)] = 32
    word_ngrams: Annotated[int, Field(gt=0)] = 2
    buckets: Annotated[int, Field(gt=0)] = 200_000
    learning_rate: Annotated[float, Field(gt=0)] = 0.5
