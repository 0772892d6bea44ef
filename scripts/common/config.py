"""The configuration: its models, its checks, its JSON schema.

Rules hand each program the part that concerns it as canonical JSON, so that a change reruns what it
touches and nothing else. Everything that can be known to be wrong before a job starts is an error
here, which names the key, the value and the remedy.
"""

import difflib
import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from scripts.common import attributes
from scripts.common.errors import UserError
from scripts.common.quantity import Tokens

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
_WEIGHT_TOLERANCE = 1e-6


class Model(BaseModel):
    """A part of the configuration: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# ---------------------------------------------------------------------------------------- sources


class Source(Model):
    """What all sources have, whatever their reader."""

    domain: Name
    shards: Annotated[int, Field(ge=1)] = 1
    license: str | None = None
    max_quarantined: Fraction = 0.01


class PythonEnvironmentSource(Source):
    """Text that installed packages carry, read from their own file lists."""

    reader: Literal["python-environment"]
    content: Literal["source", "docstrings", "descriptions", "topics"]
    packages: list[str] = []
    max_characters: Annotated[int, Field(gt=0)] = 100_000


class JsonlSource(Source):
    reader: Literal["jsonl"]
    paths: list[str]
    text_field: str = "text"
    fields: dict[Literal["url", "license", "created", "language"], str] = {}


class ParquetSource(Source):
    reader: Literal["parquet"]
    paths: list[str]
    text_field: str = "text"
    fields: dict[Literal["url", "license", "created", "language"], str] = {}


class TextSource(Source):
    """A folder's text files, one document each."""

    reader: Literal["text"]
    paths: list[str]


class ProblemsSource(Source):
    """Generated arithmetic problems whose answers are computed and checked."""

    reader: Literal["problems"]
    count: Annotated[int, Field(gt=0)]
    seed: int = 0


AnySource = Annotated[
    PythonEnvironmentSource | JsonlSource | ParquetSource | TextSource | ProblemsSource,
    Field(discriminator="reader"),
]

# --------------------------------------------------------------------------------------- curation


class HeldOut(Model):
    """Documents split off by the hash of their content: for evaluation, never for training."""

    fraction: Fraction


class Rater(Model):
    """A fastText classifier of good against bad, trained on documents of the named sources."""

    positive: list[Name]
    negative: list[Name]
    documents_per_side: Annotated[int, Field(gt=0)] = 5000
    epochs: Annotated[int, Field(gt=0)] = 5
    dimension: Annotated[int, Field(gt=0)] = 32
    word_ngrams: Annotated[int, Field(gt=0)] = 2
    buckets: Annotated[int, Field(gt=0)] = 200_000
    learning_rate: Annotated[float, Field(gt=0)] = 0.5


class Deduplicate(Model):
    """MinHash-LSH over word shingles. ``preference`` lists the sources, best first."""

    shingle_words: Annotated[int, Field(gt=0)] = 5
    bands: Annotated[int, Field(gt=0)] = 14
    rows: Annotated[int, Field(gt=0)] = 8
    seed: int = 1
    preference: list[Name]


class Decontaminate(Model):
    """GPT-3's rule: a document that shares an n-gram of words with an evaluation item is a hit."""

    ngram_words: Annotated[int, Field(ge=5)] = 13


class SelectDomain(Model):
    """Which documents of a domain stay.

    ``rules`` name published rule sets, ``bounds`` add to or replace the interval [low, high] of a
    single attribute (null: unbounded), ``sample`` keeps this fraction of what passed, by hash.
    """

    rules: list[Literal["gopher_quality", "gopher_repetition", "c4", "fineweb"]] = []
    bounds: dict[str, tuple[float | None, float | None]] = {}
    languages: list[str] = []
    sample: Fraction = 1.0


class Tokenizer(Model):
    """A byte-level BPE trained here on the selection (``vocabulary``), or one from ``path``."""

    name: Name
    vocabulary: Annotated[int, Field(ge=300)] | None = None
    sample_bytes: Annotated[int, Field(gt=0)] = 20_000_000
    path: str | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "Tokenizer":
        if (self.vocabulary is None) == (self.path is None):
            raise ValueError("give either `vocabulary`, to train one, or `path`, to use one")
        return self


# --------------------------------------------------------------------------------------- training


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


# ------------------------------------------------------------------------------------- evaluation


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


# ---------------------------------------------------------------------------------- the whole of it


class Config(Model):
    title: str
    sources: dict[Name, AnySource]
    heldout: HeldOut
    raters: dict[Name, Rater] = {}
    deduplicate: Deduplicate
    decontaminate: Decontaminate = Decontaminate()
    select: dict[Name, SelectDomain]
    tokenizer: Tokenizer
    model: Architecture = Architecture()
    mixtures: dict[Name, dict[Name, Fraction]]
    phases: dict[Name, Phase]
    evaluate: Evaluate

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        problems = [*self._source_problems(), *self._phase_problems(), *self._evaluate_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _source_problems(self) -> Iterator[str]:
        yield from self._rater_problems()
        yield from self._bound_problems()
        if sorted(self.deduplicate.preference) != sorted(self.sources):
            yield (
                "deduplicate.preference must list every source once: "
                f"{sorted(self.sources)}, not {self.deduplicate.preference}"
            )
        for name in sorted(self.domains() - set(self.select)):
            yield f"select: no entry for domain {name!r}; add `{name}: {{}}` to keep all of it"
        for name in sorted(set(self.select) - self.domains()):
            yield f"select.{name}: no source has this domain; known are {sorted(self.domains())}"

    def _rater_problems(self) -> Iterator[str]:
        for name, rater in self.raters.items():
            if name in attributes.RESERVED:
                yield f"raters.{name}: another attribute has this name; call the rater otherwise"
            for key in sorted({*rater.positive, *rater.negative} - set(self.sources)):
                yield f"raters.{name}: no source is called {key!r}"
            for key in sorted(set(rater.positive) & set(rater.negative)):
                yield f"raters.{name}: {key!r} is both positive and negative"

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
        for name, phase in self.phases.items():
            if phase.mixture not in self.mixtures:
                yield f"phases.{name}.mixture: no mixture is called {phase.mixture!r}"
            if phase.parent is not None and phase.parent not in self.phases:
                yield (
                    f"phases.{name}.parent: no phase is called {phase.parent!r}; "
                    f"known are {sorted(self.phases)}, or null to start from `model`"
                )
            elif cycle := self._cycle_from(name):
                yield f"phases.{name}.parent: a cycle, {' -> '.join(cycle)}; one must start anew"

    def _cycle_from(self, name: str) -> list[str] | None:
        path = [name]
        while (parent := self.phases[path[-1]].parent) in self.phases:
            if parent in path:
                return [*path, parent] if parent == name else None
            path.append(parent)
        return None

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

    def sources_of_mixture(self, mixture: str) -> list[str]:
        """Return the sources that a mixture draws on, by their own name or their domain's."""
        keys = {key for key, weight in self.mixtures[mixture].items() if weight > 0}
        return sorted(name for name, source in self.sources.items() if {name, source.domain} & keys)

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
