"""fastText as a rater: the probability of being good, trained here repeatably or the user's own.

Both sides give equally many documents, so that a score of 0.5 is the line between the two. A tenth
of them is kept from training and measures the rater; the held-out documents of the sources are not
read.
"""

import ctypes
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
from numpy.typing import NDArray

from scripts.annotate.raters.base import Record, Training
from scripts.annotate.raters.lines import LABEL, lines, without_labels
from scripts.annotate.raters.sides import Example, read_sides
from scripts.common.artifact import Artifact, Draft
from scripts.common.config.annotate import FasttextRater
from scripts.common.errors import UserError
from scripts.common.texts import Texts

log = logging.getLogger(__name__)

MODEL = "model.bin"
_PREFIX = LABEL.decode()
_GOOD = "good"
_MIN_ACCURACY = 0.6
_M_PERTURB = -6  # glibc's malloc.h


def train(draft: Draft, name: str, training: Training) -> None:
    """Write ``model.bin``, unless the rater is the user's own model, which is only tried."""
    rater = training.rater
    assert isinstance(rater, FasttextRater)
    if rater.path is not None:
        _Scorer(Path(rater.path), rater)
        return
    examples, validation = read_sides(
        name,
        [content for source in rater.positive for content in training.documents(source)],
        [content for source in rater.negative for content in training.documents(source)],
        rater.documents_per_side,
    )
    with tempfile.TemporaryDirectory() as folder:
        _fit(examples, rater, Path(folder, "examples.txt"), draft.path(MODEL))
    accuracy = _accuracy(_Scorer(draft.path(MODEL), rater), validation)
    if accuracy < _MIN_ACCURACY:
        log.warning(
            "raters.%s: accuracy %.3f on documents kept from training is close to chance: "
            "its two sides are too alike, or too few",
            name,
            accuracy,
        )
    draft.counts = {
        "accuracy": round(accuracy, 6),
        "documents_per_side": (len(examples) + len(validation)) // 2,
        "training": len(examples),
        "validation": len(validation),
    }


def scorer(rater: Artifact, record: Record) -> "_Scorer":
    settings = record.rater
    assert isinstance(settings, FasttextRater)
    return _Scorer(Path(settings.path) if settings.path else rater.member(MODEL), settings)


def _fit(examples: Sequence[Example], rater: FasttextRater, file: Path, model: Path) -> None:
    """Train on the examples in the order given, through ``file``; write ``model``.

    One thread, as fastText's threads race for the weights: the same examples give the same bytes.
    """
    texts = lines(Texts.of_strings([one.text for one in examples]), _lowercase(rater))
    with file.open("wb") as stream:
        for example, line in zip(examples, texts, strict=True):
            label = LABEL + (_GOOD if example.good else "bad").encode()
            stream.write(label + b" " + without_labels(line))
    try:
        with zeroed_memory():
            trained = fasttext.train_supervised(
                input=str(file),
                epoch=rater.epochs,
                dim=rater.dimension,
                wordNgrams=rater.word_ngrams,
                bucket=rater.buckets,
                lr=rater.learning_rate,
                thread=1,
                seed=0,
                verbose=0,
            )
    except RuntimeError as error:  # "Encountered NaN."
        raise UserError(
            f"fastText cannot train the rater ({error}): lower its `learning_rate`, "
            f"now {rater.learning_rate}"
        ) from error
    trained.save_model(str(model))


@contextmanager
def zeroed_memory() -> Iterator[None]:
    """Have the C library fill new memory with zeros.

    With one thread, fastText sets only the first tenth of its input matrix and trains on whatever
    the rest of that memory held: now and then NaN (facebookresearch/fastText, issue 1061). Raises
    UserError where the C library is not glibc.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is None:
        raise UserError("fastText trains repeatably with glibc only: run this on Linux with glibc")
    set_option(_M_PERTURB, 0xFF)  # memory is filled with the complement of this byte
    try:
        yield
    finally:
        set_option(_M_PERTURB, 0)


def _lowercase(rater: FasttextRater) -> bool:
    return rater.path is None if rater.lowercase is None else rater.lowercase


class _Scorer:
    def __init__(self, path: Path, rater: FasttextRater) -> None:
        """Load a model; raises UserError if it is no fastText classifier with the label."""
        try:
            model = fasttext.load_model(str(path))
            labels = model.get_labels()
        except (ValueError, RuntimeError, MemoryError) as error:
            raise UserError(f"{path} does not load as a fastText model ({error})") from error
        wanted = rater.label or _GOOD
        self._label = wanted if wanted.startswith(_PREFIX) else _PREFIX + wanted
        if self._label not in labels:
            raise UserError(
                f"{path} has no label {self._label!r} but {labels[:10]}: correct `label` of the "
                "rater, or use a classifier"
            )
        # What the trained here say of two labels is one probability; others may say anything.
        self._k = 1 if rater.path is None else -1
        self._predict = model.f.multilinePredict  # what `predict` calls, less a copy of each text
        self._lowercase = _lowercase(rater)
        self._without_words = 0

    def score(self, texts: Texts) -> NDArray[np.float64]:
        """Return each text's probability of being good; NaN where the model knows no word of it."""
        found = lines(texts, self._lowercase)
        labels, probabilities = self._predict(found, self._k, 0.0, "strict")
        scores = np.array(
            [self._probability(*pair) for pair in zip(labels, probabilities, strict=True)],
            dtype=np.float64,
        )
        self._without_words += int(np.isnan(scores).sum())
        return np.clip(scores, 0, 1)  # fastText says 1.00001 at times

    def _probability(self, labels: list[str], probabilities: NDArray[np.float32]) -> float:
        if not labels:
            return float("nan")
        if self._k == 1:
            first = float(probabilities[0])
            return first if labels[0] == self._label else 1 - first
        return float(probabilities[labels.index(self._label)]) if self._label in labels else 0.0

    def counts(self) -> dict[str, Any]:
        return {"without_words": self._without_words}


def _accuracy(scorer: _Scorer, examples: Sequence[Example]) -> float:
    scores = scorer.score(Texts.of_strings([example.text for example in examples]))
    good = np.array([example.good for example in examples])
    return float(((scores > 0.5) == good).mean())
