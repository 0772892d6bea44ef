"""What each phase was trained on, read from its order."""

from collections.abc import Mapping
from dataclasses import dataclass

from scripts.common import layout
from scripts.common.artifact import Artifact


@dataclass(frozen=True)
class Mixture:
    """A phase's tokens by source, and how often it and its ancestors have read each source."""

    phase: str
    tokens: Mapping[str, int]
    epochs: Mapping[str, float]

    @property
    def total(self) -> int:
        return sum(self.tokens.values())


def read_mixture(phase: str) -> Mixture:
    counts = Artifact.load(layout.order(phase)).counts
    return Mixture(phase, dict(sorted(counts["tokens"].items())), counts["epochs"])
