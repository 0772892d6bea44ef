"""What a backend does for the loop: it holds the weights, adds up gradients, updates."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from torch import Tensor
from transformers import PreTrainedModel

from scripts.train.batches import Batch
from scripts.train.ranks import Ranks

BUCKET = 100_000_000  # gradients, or weights, that DeepSpeed sends at a time
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # AdamW's tensors of a parameter


class Backend(Protocol):
    """A model in training. Where there are several ranks, all of them make the same calls."""

    model: PreTrainedModel
    ranks: Ranks

    def losses(self, batch: Batch, z_weight: float) -> tuple[Tensor, Tensor]:
        """Return ``model.token_losses``, whose gradients are wanted in ``backward``."""

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of ``loss``: a sum over a step's losses and over the ranks."""

    def update(self, lr: float, accept: Callable[[float], bool]) -> float:
        """Return the gradient's norm before it is clipped; take the step if that is accepted.

        The gradient is forgotten either way.
        """

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Yield each parameter by name, whole and in fp32. Every rank must go through all."""

    def moments(self) -> Iterator[tuple[str, Tensor]]:
        """Yield each parameter's MOMENTS as ``{parameter}.{moment}``, whole; likewise."""

    def load_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what ``weights`` yielded; raises KeyError or RuntimeError if it does not fit."""

    def load_moments(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what ``moments`` yielded; raises KeyError or RuntimeError if it does not fit."""
