"""How a Hugging Face model is run over documents."""

from typing import Annotated, Literal

from pydantic import Field

from scripts.common.config.base import Model


class Transformer(Model):
    """What of a text a model reads, and in which precision; ``pooling`` makes its embedding."""

    pooling: Literal["mean", "cls"] = "mean"
    max_tokens: Annotated[int, Field(ge=3)] | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
