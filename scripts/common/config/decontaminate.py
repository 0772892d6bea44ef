"""What evaluation items are looked for in the documents, and by which rules."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from scripts.common.config.base import Fraction, Model, Name

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]


class Benchmark(Model):
    """Evaluation items in JSON or JSON lines: an item's text is its ``fields``, line by line.

    ``records`` names the list of items in a file that is one JSON object.
    """

    paths: Annotated[list[str], Field(min_length=1)]
    fields: Annotated[list[str], Field(min_length=1)]
    id_field: str | None = None
    records: str | None = None


class Rule(Model):
    """When a document holds an item; ``thresholds`` are those of single benchmarks."""

    name: Name
    thresholds: dict[Name, Share] = {}


class NgramRule(Rule):
    """A document holds an item if it has ``threshold`` of the item's n-grams of ``words`` words.

    Null: a single one is enough. ``share`` says what the threshold is a share of: of the n-grams,
    or of the words that are part of any.
    """

    kind: Literal["ngram"]
    name: Name = "ngram"
    words: Annotated[int, Field(ge=5)] = 13
    share: Literal["ngrams", "words"] = "ngrams"
    threshold: Share | None = None


class HybridRule(Rule):
    """A document holds an item if ``threshold`` of its words stand there in order.

    Looked at are places that share ``shared`` rare 3-grams with the item. An item of fewer than
    ``whole_below`` words must be there whole.
    """

    kind: Literal["hybrid"]
    name: Name = "hybrid"
    threshold: Share = 0.6
    shared: Positive = 2
    whole_below: Positive = 20


class EmbeddingRule(Rule):
    """A document holds an item if their embeddings' cosine is at least ``threshold``.

    ``path`` is a sentence encoder's folder. Looked at are the ``candidates``, places that share
    ``shared`` rare 3-grams with the item and ``common`` of its words in order, or ``all`` windows
    of about the item's length. An item of fewer than ``whole_below`` words must be there whole.
    """

    kind: Literal["embedding"]
    name: Name = "embedding"
    path: str
    threshold: Share = 0.85
    windows: Literal["candidates", "all"] = "candidates"
    shared: Positive = 1
    common: Fraction = 0.3
    whole_below: Positive = 20
    pooling: Literal["mean", "cls"] = "mean"
    max_tokens: Annotated[int, Field(ge=8)] | None = None


AnyRule = Annotated[NgramRule | HybridRule | EmbeddingRule, Field(discriminator="kind")]

# GPT-3 (Brown et al. 2020, appendix C): one n-gram of 13 words. Llama 3 (Grattafiori et al. 2024,
# section 5.1.4): the share of an item's tokens in 8-grams found; its thresholds were chosen for
# each benchmark by what gave most away, so that 0.5 is but a beginning. PaLM (Chowdhery et al.
# 2022, section 8): 70 % of the item's 8-grams.
PUBLISHED: dict[str, AnyRule] = {
    "gpt3": NgramRule(kind="ngram", name="gpt3", words=13),
    "llama3": NgramRule(kind="ngram", name="llama3", words=8, share="words", threshold=0.5),
    "palm": NgramRule(kind="ngram", name="palm", words=8, share="ngrams", threshold=0.7),
}


class Encoder(Model):
    """What the embeddings of items depend on."""

    path: str
    pooling: Literal["mean", "cls"]
    max_tokens: int | None


class Planted(Model):
    """What the rules are measured on: copies of ``items`` items, changed in several ways.

    ``negatives`` are texts like the benchmarks' that are no copies, such as their training splits.
    """

    items: Positive = 50
    documents: Positive = 200
    seed: int = 0
    negatives: dict[Name, Benchmark] = {}


class Decontaminate(Model):
    """Items of benchmarks, and of the evaluation's own tasks, are looked for by every rule.

    A rule is a published one's name or its settings. An n-gram that more than ``template_items``
    items of a benchmark share is no evidence.
    """

    rules: Annotated[list[Literal["gpt3", "llama3", "palm"] | AnyRule], Field(min_length=1)] = [
        "gpt3"
    ]
    benchmarks: dict[Name, Benchmark] = {}
    template_items: Positive = 10
    planted: Planted = Planted()

    @model_validator(mode="after")
    def _own_names(self) -> "Decontaminate":
        names = [rule.name for rule in self.chosen]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two rules are called {name!r}: give one another `name`")
        return self

    @property
    def chosen(self) -> list[AnyRule]:
        """The rules, published ones by what they say."""
        return [PUBLISHED[rule] if isinstance(rule, str) else rule for rule in self.rules]

    @property
    def ngram_words(self) -> list[int]:
        """The lengths of n-grams that any rule looks for."""
        return sorted({rule.words for rule in self.chosen if isinstance(rule, NgramRule)})

    @property
    def encoders(self) -> dict[str, Encoder]:
        """The encoders of the embedding rules by their names."""
        return {
            rule.name: Encoder(path=rule.path, pooling=rule.pooling, max_tokens=rule.max_tokens)
            for rule in self.chosen
            if isinstance(rule, EmbeddingRule)
        }
