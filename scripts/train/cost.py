"""What a token costs a model in training: FLOPs, from the model's sizes and its documents' lengths.

Matrix products count, as is the custom: a product with a matrix of n numbers is 2 n operations for
each token in the forward pass, and twice that in the backward pass (Kaplan et al. 2020, "Scaling
Laws for Neural Language Models", section 2.1). Attention is causal and within documents, so that a
token sees half its document's length on average.

Imports no torch, so that a configuration can be planned for on any machine.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """The sizes of a decoder model of equal blocks: attention, an MLP, norms. Counts of numbers.

    ``parameters`` counts tied weights once. ``matrices`` are those of them that each token is
    multiplied with: the blocks' and the head's, without the embeddings, which are looked up.
    """

    parameters: int
    matrices: int
    block_parameters: int  # of one block
    vocabulary: int  # rows of the head and of the embeddings
    tied: bool  # these two are one matrix
    hidden: int
    heads: int
    key_heads: int  # that the query heads share
    head_size: int
    mlp: int  # inner width
    gated: bool  # the MLP multiplies two inner products
    norms: int  # of a block, over ``hidden``
    head_norms: bool  # of queries and keys
    closing_norm: bool  # of the MLP's output
    windows: tuple[int | None, ...]  # the tokens that each layer's attention sees; none: all

    @property
    def layers(self) -> int:
        return len(self.windows)

    @property
    def head(self) -> int:
        """The numbers in the head's matrix."""
        return self.vocabulary * self.hidden

    def flops_per_token(self, lengths: Sequence[float]) -> float:
        """Return the FLOPs per token of a step on documents of ``lengths`` tokens: 6 N + 6 L h d l.

        N are the matrices, L layers, h heads of size d, and l is ``mean_length``.
        """
        return 3 * self._forward_flops(lengths)

    def recompute_flops_per_token(self, lengths: Sequence[float]) -> float:
        """Return the FLOPs per token that running every block's forward pass again adds."""
        return self._forward_flops(lengths) - 2 * self.head

    def _forward_flops(self, lengths: Sequence[float]) -> float:
        layers = Counter(self.windows).items()
        seen = sum(count * mean_length(lengths, window) for window, count in layers)
        return 2 * self.matrices + 2 * self.heads * self.head_size * seen


def mean_length(lengths: Sequence[float], window: int | None = None) -> float:
    """Return sum(l^2) / sum(l), the mean over tokens of their documents' lengths.

    Twice as many tokens as one attends to on average. A ``window`` of w tokens leaves 2 w l - w^2
    of the l^2 of a longer document.
    """
    seen = (
        length**2 if window is None or length <= window else 2 * window * length - window**2
        for length in lengths
    )
    return sum(seen) / sum(lengths)
