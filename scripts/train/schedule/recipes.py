"""Published systems as trees of phases: `config/recipes/`, one file each.

A recipe's phases have the keys of the configuration's, to be copied there. They follow the system's
own report; `survey` is its row in Table 3, and `differs` says where the two disagree. What neither
tells is under `assumed`. The schema refuses what published recipes have been found to get wrong:
weights that do not sum to one, a duration pasted from another stage, a stage that starts from the
wrong checkpoint, names of things that do not exist.
"""

import difflib
import functools
from collections.abc import Iterator, Mapping
from math import isclose
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError, model_validator

from scripts.common.batch_plan import Ramp
from scripts.common.config import catalogue
from scripts.common.config.base import Fraction, Model, Name
from scripts.common.config.train import Optimizer, Rope, Scheduling
from scripts.common.errors import UserError
from scripts.common.quantity import Tokens
from scripts.train.course import courses
from scripts.train.schedule import Schedule

FOLDER = Path(__file__).resolve().parents[3] / "config/recipes"


class SurveyRow(Model):
    """A row of the survey's Table 3; stages that start anew are parted by a semicolon.

    The table's warm-ups have no lengths; here they have, to be schedules.
    """

    lr: str
    inherit_lr: Annotated[float, Field(gt=0)] | None = None  # the peak, where it is not published

    def schedules(self) -> list[Schedule]:
        """Return the row's schedules; raises UserError for one that cannot be read."""
        return [
            Schedule.parse(stage.strip(), tokens=None, inherited=self.inherit_lr)
            for stage in self.lr.split(";")
        ]


class Difference(Model):
    """A figure that the survey has otherwise than the system's own report."""

    survey: str
    report: str
    source: str


class RecipePhase(Scheduling):
    """A phase of the system; one without parent starts from nothing, or from ``base``."""

    batch_tokens: Ramp
    context: Ramp
    mixture: Name | None = None  # none: not published
    rope: Rope | None = None
    seed: int = 0
    optimizer: Optimizer = Optimizer()


class Data(Model):
    """What a name in a mixture stands for: an entry of `config/sources/`, or a description."""

    catalogue: str | None = None
    what: str | None = None


class Recipe(Model):
    title: str
    report: str = Field(pattern=r"^https://\S+$")
    base: str | None = None  # the checkpoint that phases without parent start from
    survey: SurveyRow | None = None
    differs: list[Difference] = Field(default_factory=list)
    # By key, such as `phases.long.lr`: what is not published, or not confirmed.
    assumed: dict[str, str] = Field(default_factory=dict)
    data: dict[Name, Data] = Field(default_factory=dict)
    mixtures: dict[Name, dict[Name, Fraction]] = Field(default_factory=dict)
    phases: dict[Name, RecipePhase]
    total_tokens: dict[Name, Tokens]  # of each phase that has no children, its ancestors included

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        problems = [*self._tree_problems()]
        if not problems:  # what follows walks the tree
            problems = [
                *self._token_problems(),
                *self._mixture_problems(),
                *self._assumed_problems(),
                *self._schedule_problems(),
            ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _tree_problems(self) -> Iterator[str]:
        for name, phase in self.phases.items():
            if phase.parent is not None and phase.parent not in self.phases:
                yield f"phases.{name}.parent: no phase is called {phase.parent!r}"
            elif self._is_own_ancestor(name):
                yield f"phases.{name}.parent: it is its own ancestor; one must start anew"

    def _is_own_ancestor(self, name: str) -> bool:
        seen: set[str | None] = set()
        at: str | None = name
        while at in self.phases and at not in seen:
            seen.add(at)
            at = self.phases[at].parent
        return at == name

    def _token_problems(self) -> Iterator[str]:
        leaves = set(self.phases) - {phase.parent for phase in self.phases.values()}
        for name in sorted(leaves - set(self.total_tokens)):
            yield (
                f"total_tokens: {name} has no children, so say how many tokens it ends at; or name "
                "it as the parent of what starts from it"
            )
        for name in sorted(set(self.total_tokens) - leaves):
            yield f"total_tokens.{name}: no phase without children is called this"
        for name in sorted(set(self.total_tokens) & leaves):
            path = self.path(name)
            added = sum(self.phases[phase].tokens for phase in path)
            if added != self.total_tokens[name]:
                yield (
                    f"total_tokens.{name}: {self.total_tokens[name]:,}, but the tokens of "
                    f"{' -> '.join(path)} add up to {added:,}: a phase has another's duration, or "
                    "the wrong parent"
                )

    def _mixture_problems(self) -> Iterator[str]:
        for name, weights in self.mixtures.items():
            total = sum(weights.values())
            if not isclose(total, 1, abs_tol=1e-6):
                yield f"mixtures.{name}: the weights sum to {total:.6g}; make them sum to 1"
            for key in sorted(set(weights) - set(self.data)):
                yield f"mixtures.{name}.{key}: say under `data` what this is"
        for name, phase in self.phases.items():
            if phase.mixture is not None and phase.mixture not in self.mixtures:
                yield f"phases.{name}.mixture: no mixture is called {phase.mixture!r}"
        for name, data in self.data.items():
            if (data.catalogue is None) == (data.what is None):
                yield f"data.{name}: give either `catalogue` or `what`"
            elif data.catalogue is not None and data.catalogue not in catalogue.names():
                yield f"data.{name}.catalogue: config/sources has no entry {data.catalogue!r}"

    def _assumed_problems(self) -> Iterator[str]:
        for path in self.assumed:
            at: object = self
            for key in path.split("."):
                at = at.get(key) if isinstance(at, Mapping) else getattr(at, key, None)
            if at is None:
                yield f"assumed.{path}: the recipe has no such key"

    def _schedule_problems(self) -> Iterator[str]:
        try:
            courses(self.phases)
            if self.survey is not None:
                self.survey.schedules()
        except UserError as error:
            yield str(error)

    def path(self, name: str) -> list[str]:
        """Return the phases from the first ancestor of ``name`` to it."""
        parent = self.phases[name].parent
        return [name] if parent is None else [*self.path(parent), name]


def names() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


@functools.cache
def recipe(name: str) -> Recipe:
    """Read a recipe; raises UserError if there is none, or its file is not as it should be."""
    if name not in names():
        near = difflib.get_close_matches(name, names()) or names()
        raise UserError(f"config/recipes has no {name!r}; did you mean one of {near}?")
    file = FOLDER / f"{name}.yaml"
    try:
        return Recipe.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise UserError(f"{file} is no recipe: {error}") from None
