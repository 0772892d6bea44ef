"""How the phases were made: the tree, the curves and the checkpoints' identities."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from scripts.common import layout
from scripts.common.artifact import Artifact
from scripts.common.config.base import Name
from scripts.common.config.train import Child, Merge
from scripts.common.errors import UserError
from scripts.common.tensor_file import count_parameters

Curve = Sequence[tuple[float, float]]  # (tokens, value)

_POINTS = 200  # more than a chart's pixels can tell apart


class ReportedPhase(Child):
    """What the page tells of a phase's settings."""

    mixture: Name
    tokens: int
    context: int | str
    lr: str


Phases = Mapping[str, ReportedPhase | Merge]


class HasOrigins(Protocol):
    @property
    def origins(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Run:
    """A trained phase; ``start`` counts the tokens that its ancestors consumed."""

    phase: str
    settings: ReportedPhase
    start: int
    lr: Curve
    loss: Curve
    window: int  # steps averaged into one point of ``loss``
    heldout: Mapping[str, Curve]  # bits per byte by domain
    steps: int
    skipped: Mapping[str, int]  # how many steps were not taken, by why
    parameters: int
    checkpoint: str  # sha256 of the weights

    @property
    def last_loss(self) -> float | None:
        return self.loss[-1][1] if self.loss else None


@dataclass(frozen=True)
class Merged:
    """A phase that is the mean of others, each with its share."""

    phase: str
    shares: Mapping[str, float]
    checkpoint: str  # sha256 of the weights


def with_ancestors(names: Iterable[str], phases: Mapping[str, HasOrigins]) -> list[str]:
    """Return the named phases and all they descend from, origins before what comes of them."""
    found: dict[str, None] = {}
    for name in names:
        if name not in found:
            found.update(dict.fromkeys(with_ancestors(phases[name].origins, phases)))
            found[name] = None
    return list(found)


def start_of(phase: str, phases: Phases) -> int:
    """Return the tokens that a phase's ancestors are set to consume: the longest line of them."""
    return max((_end_of(origin, phases) for origin in phases[phase].origins), default=0)


def _end_of(phase: str, phases: Phases) -> int:
    settings = phases[phase]
    own = 0 if isinstance(settings, Merge) else settings.tokens
    return start_of(phase, phases) + own


def contexts_of(phase: str, phases: Phases) -> set[int | str]:
    """Return the context that a phase was trained with, or those of what a merge is made of."""
    settings = phases[phase]
    if isinstance(settings, Merge):
        return {one for origin in settings.origins for one in contexts_of(origin, phases)}
    return {settings.context}


def read_merged(phase: str, settings: Merge) -> Merged:
    members = Artifact.load(layout.phase(phase)).content["members"]
    return Merged(phase, settings.merge, members["model.safetensors"]["sha256"])


def read_run(phase: str, settings: ReportedPhase, start: int) -> Run:
    """Read what a phase left that began after ``start`` tokens of its ancestors."""
    artifact = Artifact.load(layout.phase(phase))
    weights = artifact.member("model.safetensors")
    steps = _read_steps(artifact.member("metrics.jsonl"))
    window = -(-len(steps) // _POINTS)
    groups = [steps[first : first + window] for first in range(0, len(steps), window)]
    return Run(
        phase,
        settings,
        start,
        lr=[(start + group[-1]["tokens"], group[-1]["lr"]) for group in groups],
        loss=[
            (start + group[-1]["tokens"], sum(losses) / len(losses))
            for group in groups
            if (losses := [step["loss"] for step in group if step["loss"] is not None])
        ],
        window=window,
        heldout=_heldout(steps, start),
        steps=len(steps),
        skipped=Counter(_why(step["skipped"]) for step in steps if "skipped" in step),
        parameters=count_parameters(weights),
        checkpoint=artifact.content["members"]["model.safetensors"]["sha256"],
    )


def _heldout(steps: Sequence[Mapping[str, Any]], start: int) -> dict[str, Curve]:
    """Return the curve of each domain, from what was measured before the first step, if it was."""
    measured = [
        (start, steps[0].get("heldout_before", {})),
        *((start + step["tokens"], step.get("heldout", {})) for step in steps),
    ]
    curves: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for tokens, values in measured:
        for domain, bits in values.items():
            if bits is not None:
                curves[domain].append((tokens, bits))
    return dict(curves)


def _why(skipped: str) -> str:
    """Return what is common to the reasons of one kind: without the figures."""
    name = skipped.split()[0].replace("grad_norm", "gradient norm")
    return f"{name} far above its mean" if " is above " in skipped else f"{name} not finite"


def _read_steps(path: Path) -> list[dict[str, Any]]:
    with path.open() as stream:
        steps = [json.loads(line) for line in stream]
    if not steps:
        raise UserError(f"{path} holds no step: delete the phase's content.json and train it again")
    return steps
