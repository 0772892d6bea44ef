"""Ratings from pairwise judgments, as QuRater's (Wettig et al., 2024): a Bradley-Terry model.

The probability that one text is preferred to another is the logistic function of the difference of
their ratings. A rating is linear in what represents a text: the embedding of a frozen encoder, or
its hashed word n-grams. Or it is the logit of a sequence classifier that the user has.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import Tensor

from scripts.annotate.raters.base import Record, Scorer, Training
from scripts.annotate.raters.examples import Judgment, read, split
from scripts.common.artifact import Artifact, Draft
from scripts.common.config.annotate import PairwiseRater
from scripts.common.errors import UserError
from scripts.common.texts import Texts
from scripts.common.transformer import Runner, classifier, encoder
from scripts.common.words import ngrams, split_words

log = logging.getLogger(__name__)

WEIGHTS = "weights.safetensors"
_SCORE_DIGITS = 5  # what other processors' arithmetic does not change
_MIN_ACCURACY = 0.55
_ITERATIONS = 500


@dataclass(frozen=True)
class Features:
    """Sparse rows: text t has its values, each in a column, at ``offsets[t] : offsets[t + 1]``."""

    columns: NDArray[np.int64]
    values: NDArray[np.float64]
    offsets: NDArray[np.int64]
    width: int

    @classmethod
    def dense(cls, rows: NDArray[np.floating[Any]]) -> "Features":
        texts, width = rows.shape
        return cls(
            np.tile(np.arange(width), texts),
            rows.reshape(-1).astype(np.float64),
            np.arange(texts + 1) * width,
            width,
        )

    @classmethod
    def hashed(cls, texts: Texts, orders: int, buckets: int) -> "Features":
        """Hash the words and their n-grams up to ``orders``; a text's values have length one."""
        words = split_words(texts)
        of_orders = [ngrams(words, n) for n in range(1, orders + 1)]
        text_of = [np.repeat(np.arange(len(texts)), np.diff(one.offsets)) for one in of_orders]
        order = np.argsort(np.concatenate(text_of), kind="stable")
        columns = np.concatenate([one.hashes % np.uint64(buckets) for one in of_orders])[order]
        sizes = np.sum([np.diff(one.offsets) for one in of_orders], axis=0)
        values = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes)  # as if no n-gram came twice
        return cls(columns.astype(np.int64), values, np.append(0, np.cumsum(sizes)), buckets)

    def dot(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of each row's values times their columns' weights; 0 for an empty row."""
        texts = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        products = self.values * weights[self.columns]
        sums = np.bincount(texts, products, minlength=len(self.offsets) - 1)
        return sums.astype(np.float64)  # integers where there is nothing to add


def train(draft: Draft, name: str, training: Training) -> None:
    """Write ``weights.safetensors``, unless the rater is a finished classifier, only tried here.

    Counts have the share of judgments kept from training that the ratings tell right.
    """
    rater = training.rater
    assert isinstance(rater, PairwiseRater)
    if not rater.pairs:
        _Classifier(rater)
        return
    learnt, validation = split(name, read(Judgment, rater.pairs))
    represent = _Represent(rater)
    texts = sorted({text for pair in learnt for text in (pair.a, pair.b)})
    place = {text: row for row, text in enumerate(texts)}
    weights = bradley_terry(
        represent(Texts.of_strings(texts)),
        np.array([(place[pair.a], place[pair.b]) for pair in learnt]),
        np.array([pair.target for pair in learnt]),
        rater.penalty,
    )
    save_file({"weights": weights}, draft.path(WEIGHTS))
    accuracy, decided = _accuracy(_Linear(represent, weights), validation)
    if accuracy < _MIN_ACCURACY:
        log.warning(
            "raters.%s: accuracy %.3f on judgments kept from training is close to chance: the "
            "judges disagree, or they are too few",
            name,
            accuracy,
        )
    draft.counts = {
        "accuracy": round(accuracy, 6),
        "texts": len(texts),
        "training": len(learnt),
        "validation": decided,
        **represent.counts(),
    }


def scorer(rater: Artifact, record: Record) -> Scorer:
    settings = record.rater
    assert isinstance(settings, PairwiseRater)
    if settings.pairs:
        return _Linear(_Represent(settings), load_file(rater.member(WEIGHTS))["weights"])
    return _Classifier(settings)


def bradley_terry(
    features: Features,
    pairs: NDArray[np.int64],
    preferences: NDArray[np.float64],
    penalty: float,
) -> NDArray[np.float64]:
    """Return the weights that best explain the judgments, float64 [width].

    ``pairs`` (judgments, 2) are rows of the features, ``preferences`` how likely the first is
    preferred. They minimise the mean cross-entropy plus half of ``penalty`` times the squared
    weights: a convex problem, solved by L-BFGS in double precision from zero.
    """
    columns, offsets = torch.from_numpy(features.columns), torch.from_numpy(features.offsets[:-1])
    values = torch.from_numpy(features.values)
    first, second = torch.from_numpy(np.ascontiguousarray(pairs.T))
    wanted = torch.from_numpy(preferences)
    weights = torch.zeros(features.width, 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weights],
        max_iter=_ITERATIONS,
        tolerance_grad=1e-9,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        ratings = torch.nn.functional.embedding_bag(
            columns, weights, offsets, mode="sum", per_sample_weights=values
        ).squeeze(1)
        value = torch.nn.functional.binary_cross_entropy_with_logits(
            ratings[first] - ratings[second], wanted
        )
        value = value + penalty / 2 * weights.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weights.detach().squeeze(1).numpy()


class _Represent:
    """Texts as features: of a frozen encoder, or of hashed n-grams where there is none."""

    def __init__(self, rater: PairwiseRater) -> None:
        self._rater = rater
        self._run: Runner | None = encoder(rater, Path(rater.path)) if rater.path else None

    def __call__(self, texts: Texts) -> Features:
        if self._run is None:
            return Features.hashed(texts, self._rater.word_ngrams, self._rater.buckets)
        return Features.dense(self._run(texts))

    def counts(self) -> dict[str, Any]:
        return {} if self._run is None else {"truncated": self._run.truncation.share}


class _Linear:
    """Ratings by a model trained here."""

    def __init__(self, represent: _Represent, weights: NDArray[np.float64]) -> None:
        self._represent, self._weights = represent, weights

    def score(self, texts: Texts) -> NDArray[np.float64]:
        return np.round(self._represent(texts).dot(self._weights), _SCORE_DIGITS)

    def counts(self) -> dict[str, Any]:
        return self._represent.counts()


class _Classifier:
    """A finished sequence classifier whose logits are ratings."""

    def __init__(self, rater: PairwiseRater) -> None:
        """Load it; raises UserError if it does not say which of its outputs is the rating."""
        assert rater.path is not None
        self._run, config = classifier(rater, Path(rater.path))
        labels = config.label2id or {}
        if rater.label is not None and rater.label not in labels:
            raise UserError(
                f"{rater.path} has no label {rater.label!r} but {sorted(labels)[:10]}: correct "
                "`label` of the rater"
            )
        if rater.label is None and config.num_labels != 1:
            raise UserError(
                f"{rater.path} has the ratings {sorted(labels)[:10]}: name one as `label`"
            )
        self._output = 0 if rater.label is None else int(labels[rater.label])

    def score(self, texts: Texts) -> NDArray[np.float64]:
        logits = self._run(texts).astype(np.float64)
        if not len(logits):
            return np.empty(0, np.float64)
        return np.round(logits[:, self._output], _SCORE_DIGITS)

    def counts(self) -> dict[str, Any]:
        return {"truncated": self._run.truncation.share}


def _accuracy(linear: _Linear, judgments: Sequence[Judgment]) -> tuple[float, int]:
    """Return the share of judgments told right, and how many are not a tie of the judges."""
    decided = [pair for pair in judgments if pair.target != 0.5]
    if not decided:
        return 0.0, 0
    first, second = (
        linear.score(Texts.of_strings([getattr(pair, side) for pair in decided]))
        for side in ("a", "b")
    )
    right = (first > second) == np.array([pair.target > 0.5 for pair in decided])
    return float((right & (first != second)).mean()), len(decided)
