"""The phases of a configuration that train, each with its estimate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.common.batch_plan import BatchPlan
from scripts.common.config.train import Phase
from scripts.common.config.workflow import Config
from scripts.train.course import courses
from scripts.train.plan.estimate import Cluster, Estimate
from scripts.train.plan.inputs import document_lengths, skeleton
from scripts.train.shape import shape_of


@dataclass(frozen=True)
class Planned:
    """A phase's estimate; its documents' lengths are "given", "read" or "assumed"."""

    name: str
    estimate: Estimate
    lengths_are: str


def planned_phases(
    config: Config, cluster: Cluster, document_length: float | None
) -> list[Planned]:
    """Estimate every phase that trains; documents are of ``document_length`` if that is given.

    Raises UserError for schedules that cannot be read and models that cannot be planned for.
    """
    shape = shape_of(skeleton(config))
    found = []
    for name, course in courses(config.phases).items():
        phase = config.phases[name]
        if isinstance(phase, Phase):
            origin, lengths = _lengths(config, name, course.plan, document_length)
            precision = phase.precision or "bf16"
            estimate = Estimate(course.plan, shape, phase.engine, precision, cluster, lengths)
            found.append(Planned(name, estimate, origin))
    return found


def _lengths(
    config: Config, name: str, plan: BatchPlan, given: float | None
) -> tuple[str, Mapping[int, Sequence[float]]]:
    """Return what documents' lengths are, and the lengths by the context of their rows."""
    contexts = {context for _, context in plan.row_lengths()}
    if given is not None:
        return "given", {context: [min(given, context)] for context in contexts}
    read = document_lengths(config, name, plan)
    if read is not None:
        return "read", read
    return "assumed", {context: [context / 2] for context in contexts}
