"""A regression head on a transformer encoder, as FineWeb-Edu's (Penedo et al., 2024).

Either a sequence classifier that the user has, or a head trained here on a frozen encoder from
scored texts: ridge regression, solved exactly, or a small network.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from scripts.annotate.raters.base import Record, Training
from scripts.annotate.raters.examples import ScoredText, read, split
from scripts.common.artifact import Artifact, Draft
from scripts.common.config.annotate import EncoderRater
from scripts.common.errors import UserError
from scripts.common.ranks import spearman
from scripts.common.texts import Texts
from scripts.common.transformer import Runner, classifier, encoder

log = logging.getLogger(__name__)

HEAD = "head.safetensors"
_SCORE_DIGITS = 5  # what other processors' arithmetic does not change
_MIN_SPEARMAN = 0.2
_LEARNING_RATE = 1e-2

Head = dict[str, NDArray[np.float32]]


def train(draft: Draft, name: str, training: Training) -> None:
    """Write ``head.safetensors``, unless the rater is a finished classifier, which is only tried.

    Counts measure the head on examples that were kept from training: the rank correlation with
    their scores, and F1 of those above ``threshold``.
    """
    rater = training.rater
    assert isinstance(rater, EncoderRater)
    if not rater.labels:
        _Classifier(rater)
        return
    learnt, validation = split(name, read(ScoredText, rater.labels))
    run = encoder(rater, Path(rater.path))
    embeddings = run(Texts.of_strings([one.text for one in learnt]))
    scores = np.array([one.score for one in learnt])
    fit = ridge if rater.head == "ridge" else network
    head = fit(embeddings, scores, rater)
    save_file(head, draft.path(HEAD))
    found = predict(head, run(Texts.of_strings([one.text for one in validation])))
    draft.counts = {
        "training": len(learnt),
        **measures(np.array([one.score for one in validation]), found, rater.threshold),
        "truncated": run.truncation.share,
        "validation": len(validation),
    }
    if draft.counts["spearman"] < _MIN_SPEARMAN:
        log.warning(
            "raters.%s: the rank correlation with examples kept from training is %.3f: the labels "
            "say little that the encoder can tell, or are too few",
            name,
            draft.counts["spearman"],
        )


def scorer(rater: Artifact, record: Record) -> "_Classifier | _Head":
    settings = record.rater
    assert isinstance(settings, EncoderRater)
    if settings.labels:
        return _Head(encoder(settings, Path(settings.path)), load_file(rater.member(HEAD)))
    return _Classifier(settings)


def ridge(
    embeddings: NDArray[np.float32], scores: NDArray[np.float64], rater: EncoderRater
) -> Head:
    """Fit a linear function: it minimises mean squared error plus ``penalty`` x squared weights."""
    inputs = embeddings.astype(np.float64)
    middle, mean = inputs.mean(axis=0), scores.mean()
    centred = inputs - middle
    moments = centred.T @ centred / len(scores) + rater.penalty * np.eye(inputs.shape[1])
    weights = np.linalg.solve(moments, centred.T @ (scores - mean) / len(scores))
    bias = mean - middle @ weights
    return {
        "0.weight": weights[None].astype(np.float32),
        "0.bias": np.array([bias], np.float32),
    }


def network(
    embeddings: NDArray[np.float32], scores: NDArray[np.float64], rater: EncoderRater
) -> Head:
    """Fit scores by one hidden layer of ReLU units: AdamW over all examples at once, on the CPU."""
    generator = torch.Generator().manual_seed(rater.seed)
    layers = torch.nn.Sequential(
        torch.nn.Linear(embeddings.shape[1], rater.hidden),
        torch.nn.ReLU(),
        torch.nn.Linear(rater.hidden, 1),
    )
    mean, scale = float(scores.mean()), float(scores.std()) or 1.0
    for parameter in layers.parameters():
        if parameter.ndim == 2:
            torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
        else:
            torch.nn.init.zeros_(parameter)
    inputs = torch.from_numpy(np.ascontiguousarray(embeddings))
    targets = torch.from_numpy((scores - mean) / scale).float()
    optimizer = torch.optim.AdamW(
        layers.parameters(), lr=_LEARNING_RATE, weight_decay=rater.penalty
    )
    for _ in range(rater.epochs):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(layers(inputs).squeeze(1), targets)
        loss.backward()
        optimizer.step()
    head = {key: value.numpy().copy() for key, value in layers.state_dict().items()}
    head["2.weight"] *= np.float32(scale)
    head["2.bias"] = head["2.bias"] * np.float32(scale) + np.float32(mean)
    return head


def predict(head: Head, embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return a head's score of each embedding: float64 [texts]."""
    if not len(embeddings):
        return np.empty(0, np.float64)
    values = embeddings.astype(np.float64) @ head["0.weight"].T.astype(np.float64) + head["0.bias"]
    if "2.weight" in head:
        values = np.maximum(values, 0) @ head["2.weight"].T.astype(np.float64) + head["2.bias"]
    return np.round(values[:, 0], _SCORE_DIGITS)


def measures(
    wanted: NDArray[np.float64], found: NDArray[np.float64], threshold: float
) -> dict[str, float]:
    """Return Spearman's rank correlation, and F1 of being at least ``threshold``; 0 for none."""
    good, said = wanted >= threshold, found >= threshold
    both = int((good & said).sum())
    f1 = 2 * both / (int(good.sum()) + int(said.sum())) if both else 0.0
    return {"f1": round(f1, 6), "spearman": round(spearman(wanted, found) or 0.0, 6)}


class _Head:
    """The frozen encoder and a head trained here."""

    def __init__(self, run: Runner, head: Head) -> None:
        self._run, self._head = run, head

    def score(self, texts: Texts) -> NDArray[np.float64]:
        return predict(self._head, self._run(texts))

    def counts(self) -> dict[str, Any]:
        return {"truncated": self._run.truncation.share}


class _Classifier:
    """A finished sequence classifier."""

    def __init__(self, rater: EncoderRater) -> None:
        """Load it; raises UserError if it has no such label."""
        self._run, config = classifier(rater, Path(rater.path))
        self._label: int | None = None
        self._independent = config.problem_type == "multi_label_classification"
        if rater.label is not None:
            labels = config.label2id or {}
            if rater.label not in labels:
                raise UserError(
                    f"{rater.path} has no label {rater.label!r} but {sorted(labels)[:10]}: correct "
                    "`label` of the rater"
                )
            self._label = int(labels[rater.label])

    def score(self, texts: Texts) -> NDArray[np.float64]:
        """Return the one output, the label's probability or the labels' expected number."""
        logits = self._run(texts).astype(np.float64)
        if not len(logits):
            return np.empty(0, np.float64)
        return np.round(self._scores(logits), _SCORE_DIGITS)

    def _scores(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        if logits.shape[1] == 1:
            return logits[:, 0]
        if self._independent and self._label is not None:
            return 1 / (1 + np.exp(-logits[:, self._label]))
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = odds / odds.sum(axis=1, keepdims=True)
        if self._label is not None:
            return probabilities[:, self._label]
        return probabilities @ np.arange(logits.shape[1], dtype=np.float64)

    def counts(self) -> dict[str, Any]:
        return {"truncated": self._run.truncation.share}
