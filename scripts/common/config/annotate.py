"""What rates documents."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from scripts.common.config.base import Model, Name
from scripts.common.config.transformer import Transformer

Positive = Annotated[int, Field(gt=0)]
Penalty = Annotated[float, Field(gt=0)]


class FasttextRater(Model):
    """A fastText classifier: its score is the probability of being good.

    Trained on documents of the named sources, good against bad, or the .bin file at ``path``, whose
    ``label`` says good. ``lowercase`` lower-cases a to z: by default for models trained here only.
    """

    kind: Literal["fasttext"] = "fasttext"
    positive: list[Name] = []
    negative: list[Name] = []
    documents_per_side: Positive = 5000
    epochs: Positive = 5
    dimension: Positive = 32
    word_ngrams: Positive = 2
    buckets: Positive = 200_000
    learning_rate: Annotated[float, Field(gt=0)] = 0.5
    path: str | None = None
    label: str | None = None
    lowercase: bool | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "FasttextRater":
        sides = [side for side in (self.positive, self.negative) if side]
        if len(sides) != (2 if self.path is None else 0):
            raise ValueError(
                "give either `positive` and `negative`, to train one, or `path`, to use one"
            )
        if (self.path is None) != (self.label is None):
            raise ValueError("`path` needs `label`, the one whose probability is the score")
        return self


class TransformerRater(Transformer):
    """A rater that is a Hugging Face model; ``label`` is the output it goes by, of several."""

    label: str | None = None


class EncoderRater(TransformerRater):
    """A regression head on a transformer encoder, as FineWeb-Edu's.

    The sequence classifier in the folder ``path``: its score is the one output, the probability of
    ``label``, or the expected value over the labels' numbers. Or, with ``labels`` (JSON lines of
    ``text`` and ``score``), a head trained here on the frozen encoder in the folder.
    """

    kind: Literal["encoder"]
    path: str
    labels: list[str] = []
    head: Literal["ridge", "mlp"] = "ridge"
    penalty: Penalty = 1e-3
    hidden: Positive = 64
    epochs: Positive = 200
    seed: int = 0
    threshold: float = 3.0

    @model_validator(mode="after")
    def _one_origin(self) -> "EncoderRater":
        if self.labels and self.label is not None:
            raise ValueError("`label` is of a finished classifier, `labels` train one: give one")
        return self


class PairwiseRater(TransformerRater):
    """Ratings whose differences tell which of two texts is better, as QuRater's.

    With ``pairs`` (JSON lines of judgments), a Bradley-Terry model trained here on the frozen
    encoder in the folder ``path``, or without one on hashed word n-grams. Else the sequence
    classifier in the folder: its rating is the one output, or that of ``label``.
    """

    kind: Literal["pairwise"]
    path: str | None = None
    pairs: list[str] = []
    penalty: Penalty = 1e-3
    buckets: Positive = 1 << 18
    word_ngrams: Positive = 2

    @model_validator(mode="after")
    def _one_origin(self) -> "PairwiseRater":
        if self.path is None and not self.pairs:
            raise ValueError("give `pairs`, to train one, or `path`, to use one, or both")
        if self.pairs and self.label is not None:
            raise ValueError("`label` is of a finished classifier, `pairs` train one: give one")
        return self


class CombinedRater(Model):
    """Other raters' scores as percentiles of a document's domain and language, made into one.

    ``mean`` weighs them (equally unless told), ``union`` takes the best, ``intersection`` the
    worst, ``learned`` is a logistic regression of good against bad: documents of the named
    sources, or of ``labels`` (JSON lines of a document's ``id`` and ``good``).
    """

    kind: Literal["combined"]
    raters: Annotated[list[Name], Field(min_length=2)]
    method: Literal["mean", "union", "intersection", "learned"] = "mean"
    weights: dict[Name, Annotated[float, Field(gt=0)]] = {}
    positive: list[Name] = []
    negative: list[Name] = []
    labels: list[str] = []
    documents_per_side: Positive = 5000

    @model_validator(mode="after")
    def _fitting_method(self) -> "CombinedRater":
        if len(set(self.raters)) != len(self.raters):
            raise ValueError("`raters` names one twice")
        if self.weights and (self.method != "mean" or set(self.weights) != set(self.raters)):
            raise ValueError("`weights` belong to method mean, one for each of `raters`")
        sides = bool(self.positive and self.negative)
        if (self.method == "learned") != (sides or bool(self.labels)):
            raise ValueError(
                "method learned, and no other, needs `positive` and `negative`, or `labels`"
            )
        if sides and self.labels:
            raise ValueError("learn from `positive` and `negative`, or from `labels`: give one")
        return self


def _kind(value: Any) -> Any:
    """Return which model a rater is of: fastText, unless it says otherwise."""
    if isinstance(value, dict):
        return value.get("kind", "fasttext")
    return getattr(value, "kind", None)


TextRater = Annotated[
    Annotated[FasttextRater, Tag("fasttext")]
    | Annotated[EncoderRater, Tag("encoder")]
    | Annotated[PairwiseRater, Tag("pairwise")],
    Discriminator(_kind),
]
AnyRater = Annotated[
    Annotated[FasttextRater, Tag("fasttext")]
    | Annotated[EncoderRater, Tag("encoder")]
    | Annotated[PairwiseRater, Tag("pairwise")]
    | Annotated[CombinedRater, Tag("combined")],
    Discriminator(_kind),
]
