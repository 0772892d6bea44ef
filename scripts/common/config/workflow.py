"""The whole configuration: its checks across stages, its JSON schema.

Rules hand each program the part that concerns it as canonical JSON, so that a change reruns what it
touches and nothing else. Everything that can be known to be wrong before a job starts is an error
here, which names the key, the value and the remedy.
"""

import difflib
import json
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError, model_validator

from scripts.common import attributes
from scripts.common.config.annotate import AnyRater, CombinedRater
from scripts.common.config.base import Fraction, Model, Name
from scripts.common.config.catalogue import CatalogueSource, expanded
from scripts.common.config.collect import AnySource
from scripts.common.config.decontaminate import Decontaminate
from scripts.common.config.deduplicate import Deduplicate
from scripts.common.config.evaluate import Evaluate, ItemsTask
from scripts.common.config.phases import phase_problems
from scripts.common.config.select import SelectDomain
from scripts.common.config.tokenize import HeldOutSample, Tokenizer
from scripts.common.config.tracking import Tracking
from scripts.common.config.train import AnyPhase, Architecture, Merge, Phase
from scripts.common.errors import UserError

_WEIGHT_TOLERANCE = 1e-6


class Config(Model):
    title: str
    sources: Annotated[
        dict[Name, AnySource],
        BeforeValidator(expanded, json_schema_input_type=dict[Name, AnySource | CatalogueSource]),
    ]
    heldout: HeldOutSample
    annotate: list[Name] = []
    raters: dict[Name, AnyRater] = {}
    deduplicate: Deduplicate
    decontaminate: Decontaminate = Decontaminate()
    select: dict[Name, SelectDomain]
    tokenizer: Tokenizer
    model: Architecture = Architecture()
    mixtures: dict[Name, dict[Name, Fraction]]
    phases: dict[Name, AnyPhase]
    evaluate: Evaluate
    tracking: Tracking = Tracking()

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        problems = [*self._source_problems(), *self._phase_problems(), *self._evaluate_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _source_problems(self) -> Iterator[str]:
        yield from self._annotate_problems()
        yield from self._rater_problems()
        yield from self._bound_problems()
        yield from self._decontaminate_problems()
        if sorted(self.deduplicate.preference) != sorted(self.sources):
            yield (
                "deduplicate.preference must list every source once: "
                f"{sorted(self.sources)}, not {self.deduplicate.preference}"
            )
        for name in sorted(self.domains() - set(self.select)):
            yield f"select: no entry for domain {name!r}; add `{name}: {{}}` to keep all of it"
        for name in sorted(set(self.select) - self.domains()):
            yield f"select.{name}: no source has this domain; known are {sorted(self.domains())}"

    def _annotate_problems(self) -> Iterator[str]:
        known = sorted(attributes.ANNOTATORS)
        for name in self.annotate:
            if name not in known:
                yield f"annotate: no annotator is called {name!r}; known are {known}"

    def _rater_problems(self) -> Iterator[str]:
        for name, rater in self.raters.items():
            if name in attributes.RESERVED:
                yield f"raters.{name}: another attribute has this name; call the rater otherwise"
            sides = [getattr(rater, side, []) for side in ("positive", "negative")]
            for key in sorted({*sides[0], *sides[1]} - set(self.sources)):
                yield f"raters.{name}: no source is called {key!r}"
            for key in sorted(set(sides[0]) & set(sides[1])):
                yield f"raters.{name}: {key!r} is both positive and negative"
            if isinstance(rater, CombinedRater):
                yield from self._combined_problems(name, rater)

    def _combined_problems(self, name: str, rater: CombinedRater) -> Iterator[str]:
        single = sorted(
            key for key, one in self.raters.items() if not isinstance(one, CombinedRater)
        )
        for key in sorted(set(rater.raters) - set(single)):
            yield f"raters.{name}.raters: {key!r} is none of the raters to combine, {single}"
        good, bad = (
            {self.sources[key].domain for key in side if key in self.sources}
            for side in (rater.positive, rater.negative)
        )
        if good != bad:  # percentiles within domains say nothing of one domain against another
            yield (
                f"raters.{name}: `positive` has the domains {sorted(good)}, `negative` "
                f"{sorted(bad)}; percentiles compare within a domain, so give both the same"
            )

    def _bound_problems(self) -> Iterator[str]:
        known = [*attributes.BOUNDABLE, *self.raters]
        for domain, select in self.select.items():
            for name, (low, high) in select.bounds.items():
                if name not in known:
                    near = difflib.get_close_matches(name, known) or sorted(known)
                    yield (
                        f"select.{domain}.bounds.{name}: nothing computes this attribute; "
                        f"did you mean one of {near}?"
                    )
                if low is not None and high is not None and low > high:
                    yield f"select.{domain}.bounds.{name}: {low} is above {high}; swap them"

    def _decontaminate_problems(self) -> Iterator[str]:
        tasks, own = set(self.item_tasks()), self.decontaminate
        for name in sorted(tasks & set(own.benchmarks)):
            yield f"decontaminate.benchmarks.{name}: a task has this name; choose another"
        for rule in own.chosen:
            for name in sorted(set(rule.thresholds) - tasks - set(own.benchmarks)):
                yield (
                    f"decontaminate.rules.{rule.name}.thresholds.{name}: no benchmark is called "
                    f"so; known are {sorted(tasks | set(own.benchmarks))}"
                )

    def _phase_problems(self) -> Iterator[str]:
        known = self.domains() | set(self.sources)
        for name, weights in self.mixtures.items():
            for key in sorted(set(weights) - known):
                yield f"mixtures.{name}.{key}: neither a domain nor a source"
            if abs(sum(weights.values()) - 1) > _WEIGHT_TOLERANCE:
                yield (
                    f"mixtures.{name}: the weights sum to {sum(weights.values()):.6g}; "
                    "make them sum to 1"
                )
        for name, phase in self.trained().items():
            if phase.mixture not in self.mixtures:
                yield f"phases.{name}.mixture: no mixture is called {phase.mixture!r}"
        yield from phase_problems(self.phases, self.model)

    def _evaluate_problems(self) -> Iterator[str]:
        evaluate = self.evaluate
        for name in sorted(set(evaluate.phases) - set(self.phases)):
            yield f"evaluate.phases: no phase is called {name!r}"
        compared = {*evaluate.compare, *(one for rest in evaluate.compare.values() for one in rest)}
        for name in sorted(compared - set(evaluate.phases)):
            yield f"evaluate.compare: {name!r} is not among evaluate.phases"
        for name in sorted(set(evaluate.retention_domains) - self.domains()):
            yield f"evaluate.retention_domains: no source has the domain {name!r}"
        for task, settings in evaluate.tasks.items():
            if isinstance(settings, ItemsTask):
                for name in sorted(set(settings.sources) - set(self.sources)):
                    yield f"evaluate.tasks.{task}.sources: no source is called {name!r}"

    def domains(self) -> set[str]:
        return {source.domain for source in self.sources.values()}

    def shards(self, source: str) -> range:
        return range(self.sources[source].shards)

    def source_shards(self) -> dict[str, int]:
        """Return the number of shards by source."""
        return {name: source.shards for name, source in self.sources.items()}

    def trained(self) -> dict[str, Phase]:
        """Return the phases that are trained: all but the merges."""
        return {name: one for name, one in self.phases.items() if isinstance(one, Phase)}

    def merges(self) -> dict[str, Merge]:
        return {name: one for name, one in self.phases.items() if isinstance(one, Merge)}

    def sources_of_mixture(self, mixture: str) -> list[str]:
        """Return the sources that a mixture draws on, by their own name or their domain's."""
        keys = {key for key, weight in self.mixtures[mixture].items() if weight > 0}
        return sorted(name for name, source in self.sources.items() if {name, source.domain} & keys)

    def raters_of(self, source: str) -> list[str]:
        """Return the raters that score a source: those its selection bounds, and what they need."""
        bounded = self.select[self.sources[source].domain].bounds
        needed = {*bounded}
        for name in bounded:
            rater = self.raters.get(name)
            needed.update(rater.raters if isinstance(rater, CombinedRater) else ())
        return [name for name in self.raters if name in needed]

    def item_tasks(self) -> dict[str, ItemsTask]:
        return {
            name: task for name, task in self.evaluate.tasks.items() if isinstance(task, ItemsTask)
        }


def load(values: Any) -> Config:
    """Validate a configuration; raises UserError that lists every fault by key."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        faults = "\n".join(
            f"  {'.'.join(map(str, fault['loc'])) or 'config'}: {fault['msg']}"
            + ("" if fault["type"] == "value_error" else f" (got {fault['input']!r:.80})")
            for fault in error.errors()
        )
        raise UserError(f"the configuration is not valid:\n{faults}") from None


def schema() -> str:
    """Return the JSON schema of the configuration, as editors read it."""
    return json.dumps(Config.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    print(schema(), end="")
