"""The tokenizer."""

from typing import Annotated

from pydantic import Field, model_validator

from scripts.common.config.base import Model, Name
from scripts.common.config.collect import HeldOut


class Tokenizer(Model):
    """A byte-level BPE trained here on the selection (``vocabulary``), or one from ``path``."""

    name: Name
    vocabulary: Annotated[int, Field(ge=300)] | None = None
    sample_bytes: Annotated[int, Field(gt=0)] = 20_000_000
    path: str | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "Tokenizer":
        if (self.vocabulary is None) == (self.path is None):
            raise ValueError("give either `vocabulary`, to train one, or `path`, to use one")
        return self


class HeldOutSample(HeldOut):
    """Of the held-out documents, ``sample_bytes`` of each domain are what training's loss is on."""

    sample_bytes: Annotated[int, Field(gt=0)] = 262_144
