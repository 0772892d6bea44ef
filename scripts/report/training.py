"""How the phases were trained: the tree, the curves and the checkpoints' identities."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Protocol

from scripts.common import layout
from scripts.common.artifact import Artifact
from scripts.common.config.base import Model, Name
from scripts.common.errors import UserError

_POINTS = 200  # more than a chart's pixels can tell apart


class ReportedPhase(Model):
    """What the page tells of a phase's settings."""

    parent: Name | None
    mixture: Name
    tokens: int
    context: int | str
    lr: str


class HasParent(Protocol):
    @property
    def parent(self) -> str | None: ...


@dataclass(frozen=True)
class Run:
    """A trained phase; ``start`` counts the tokens that its ancestors consumed."""

    phase: str
    settings: ReportedPhase
    start: int
    lr: Sequence[tuple[float, float]]
    loss: Sequence[tuple[float, float]]
    window: int  # steps averaged into one point of ``loss``
    parameters: int
    checkpoint: str  # sha256 of the weights

    @property
    def last_loss(self) -> float:
        return self.loss[-1][1]


def with_ancestors(names: Sequence[str], phases: Mapping[str, HasParent]) -> list[str]:
    """Return the named phases and all they descend from, parents before children."""
    found: list[str] = []
    for name in names:
        line: list[str] = []
        current: str | None = name
        while current is not None and current not in found:
            line.append(current)
            current = phases[current].parent
        found.extend(reversed(line))
    return found


def start_of(phase: str, phases: Mapping[str, ReportedPhase]) -> int:
    """Return the tokens that all ancestors of a phase are set to consume."""
    parent = phases[phase].parent
    return 0 if parent is None else start_of(parent, phases) + phases[parent].tokens


def read_run(phase: str, phases: Mapping[str, ReportedPhase]) -> Run:
    artifact = Artifact.load(layout.phase(phase))
    weights = artifact.member("model.safetensors")
    steps = _read_steps(artifact.member("metrics.jsonl"))
    start = start_of(phase, phases)
    window = -(-len(steps) // _POINTS)
    groups = [steps[first : first + window] for first in range(0, len(steps), window)]
    return Run(
        phase,
        phases[phase],
        start,
        lr=[(start + group[-1]["tokens"], group[-1]["lr"]) for group in groups],
        loss=[
            (start + group[-1]["tokens"], sum(step["loss"] for step in group) / len(group))
            for group in groups
        ],
        window=window,
        parameters=count_parameters(weights),
        checkpoint=artifact.content["members"]["model.safetensors"]["sha256"],
    )


def _read_steps(path: Path) -> list[dict[str, float]]:
    with path.open() as stream:
        steps = [json.loads(line) for line in stream]
    if not steps:
        raise UserError(f"{path} holds no step: delete the phase's content.json and train it again")
    return steps


def count_parameters(path: Path) -> int:
    """Return the number of parameters in a safetensors file, from its header alone.

    Tied weights are stored, and counted, once. The header is JSON, preceded by its length in bytes
    as a little-endian 64-bit integer (https://github.com/huggingface/safetensors#format).
    """
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
    return sum(prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
