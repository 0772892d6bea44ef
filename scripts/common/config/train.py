"""The model and the tree of phases."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from scripts.common.config.base import Fraction, Model, Name
from scripts.common.quantity import Tokens


class Architecture(Model):
    """A Llama-architecture model made from scratch, or the checkpoint folder at ``path``."""

    path: str | None = None
    hidden_size: Annotated[int, Field(gt=0)] = 128
    intermediate_size: Annotated[int, Field(gt=0)] = 352
    layers: Annotated[int, Field(gt=0)] = 4
    heads: Annotated[int, Field(gt=0)] = 2
    rope_base: Annotated[float, Field(gt=0)] = 10_000.0
    seed: int = 0


class Optimizer(Model):
    """AdamW, as OLMo 2 sets it unless said otherwise."""

    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    beta1: Fraction = 0.9
    beta2: Fraction = 0.95
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    z_loss: Annotated[float, Field(ge=0)] = 0.0


class Rope(Model):
    """Adjusted base frequency (survey, section 8.4.1): a larger RoPE base for a longer context."""

    method: Literal["abf"]
    base: Annotated[float, Field(gt=0)]


class Phase(Model):
    """One phase of training. ``parent`` is another phase, or null to start from ``model``."""

    parent: Name | None
    mixture: Name
    tokens: Tokens
    lr: str
    batch_tokens: Tokens = 4096
    context: Annotated[int, Field(gt=1)] = 256
    rope: Rope | None = None
    max_epochs: Annotated[float, Field(gt=0)] = 1.0
    seed: int = 0
    optimizer: Optimizer = Optimizer()
    checkpoint_tokens: Tokens = 1_000_000

    @model_validator(mode="after")
    def _whole_batches(self) -> "Phase":
        if self.batch_tokens % self.context:
            raise ValueError(
                f"batch_tokens {self.batch_tokens} is no multiple of context {self.context}"
            )
        return self
