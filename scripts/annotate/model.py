"""fastText as a rater of documents: one line per document, two labels, repeatable training."""

import ctypes
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import fasttext
import numpy as np
from numpy.typing import NDArray

from scripts.common.config.annotate import Rater
from scripts.common.errors import UserError

_LABEL = "__label__"
_GOOD = f"{_LABEL}good"
_BAD = f"{_LABEL}bad"
_M_PERTURB = -6  # glibc's malloc.h


def train(examples: Iterable[tuple[str, bool]], settings: Rater, lines: Path, model: Path) -> None:
    """Train on (text, is good) in the order given, through the file ``lines``; write ``model``.

    One thread, as fastText's threads race for the weights: the same examples give the same bytes.
    """
    with lines.open("w", encoding="utf-8") as stream:
        for text, good in examples:
            stream.write(f"{_GOOD if good else _BAD} {normalise(text)}\n")
    try:
        with _zeroed_memory():
            trained = fasttext.train_supervised(
                input=str(lines),
                epoch=settings.epochs,
                dim=settings.dimension,
                wordNgrams=settings.word_ngrams,
                bucket=settings.buckets,
                lr=settings.learning_rate,
                thread=1,
                seed=0,
                verbose=0,
            )
    except RuntimeError as error:  # "Encountered NaN."
        raise UserError(
            f"fastText cannot train the rater ({error}): lower its `learning_rate`, "
            f"now {settings.learning_rate}"
        ) from error
    trained.save_model(str(model))


@contextmanager
def _zeroed_memory() -> Iterator[None]:
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


class Model:
    """A trained rater."""

    def __init__(self, path: Path) -> None:
        self._model = fasttext.load_model(str(path))

    def score(self, texts: list[str]) -> NDArray[np.float64]:
        """Return each text's probability of being good, float64 [texts]."""
        labels, probabilities = self._model.predict([normalise(text) for text in texts], k=1)
        scores = [
            probability[0] if label[0] == _GOOD else 1 - probability[0]
            for label, probability in zip(labels, probabilities, strict=True)
        ]
        return np.clip(np.array(scores, dtype=np.float64), 0, 1)  # fastText says 1.00001 at times


def normalise(text: str) -> str:
    """Return a text as one lower-case line whose words fastText cannot take for labels."""
    return " ".join(text.lower().replace(_LABEL, "label").split())
