"""What is measured on which phases."""

from typing import Annotated, Literal

from pydantic import Field

from scripts.common.config.base import Model, Name


class ItemsTask(Model):
    """A task for lm-eval: ``config/tasks/{task}.yaml`` over items built from held-out documents.

    ``items`` names the builder: ``problems`` asks generated problems, ``continuation`` offers the
    true next sentence among others, ``completion`` the true next lines of code.
    """

    kind: Literal["lm-eval"]
    items: Literal["problems", "continuation", "completion"]
    sources: list[Name]
    count: Annotated[int, Field(gt=0)]
    seed: int = 0


class BitsPerByteTask(Model):
    """Bits per byte of the held-out documents of each domain."""

    kind: Literal["bits-per-byte"]
    documents_per_source: Annotated[int, Field(gt=0)] = 200


class PositionLossTask(Model):
    """Loss by position within long held-out documents."""

    kind: Literal["position-loss"]
    context: Annotated[int, Field(gt=1)]
    documents: Annotated[int, Field(gt=0)] = 50


AnyTask = Annotated[ItemsTask | BitsPerByteTask | PositionLossTask, Field(discriminator="kind")]


class Evaluate(Model):
    """Which phases are evaluated, on what, and which pairs are compared (phase: [others])."""

    phases: list[Name]
    tasks: dict[Name, AnyTask]
    compare: dict[Name, list[Name]]
    retention_domains: list[Name]
    retention_margin: Annotated[float, Field(gt=0)] = 0.02
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
