"""Embeddings of items and of documents' windows, and how near they are to each other."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scripts.common.config.decontaminate import Encoder
from scripts.common.config.transformer import Transformer
from scripts.common.errors import UserError
from scripts.common.model_folder import model_files
from scripts.common.texts import Texts
from scripts.decontaminate.hashed_words import HashedWords

WINDOW_WORDS = (16, 32, 64, 128, 256)
COSINE_DIGITS = 4  # what other processors' arithmetic does not change
_BLOCK = 512  # windows compared with all items at a time

Ints = NDArray[np.int64]


class SentenceEncoder:
    """A sentence encoder, opened when it is first used: most shards have nothing for it."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def embed(self, texts: Texts) -> NDArray[np.float32]:
        """Return float32 [texts, width], each of length one."""
        from scripts.common.transformer import encoder

        if not hasattr(self, "_run"):
            chosen = Transformer(pooling=self._encoder.pooling, max_tokens=self._encoder.max_tokens)
            self._run = encoder(chosen, Path(self._encoder.path))
        return self._run(texts)


def files_of_encoder(path: str) -> list[Path]:
    """Return the files of an encoder's folder; raises UserError if that is none."""
    if not (Path(path) / "config.json").is_file():
        raise UserError(f"{path} is no folder of a Hugging Face encoder: correct the rule's `path`")
    return model_files(Path(path))


def window_text(words: HashedWords, begin: Ints, end: Ints) -> Texts:
    """Return what stands in the documents from the word ``begin`` to before the word ``end``."""
    data = words.texts.data
    spans = zip(begin.tolist(), end.tolist(), strict=True)
    return Texts.of_bytes(
        [
            data[words.starts[first] : words.ends[last - 1]].tobytes() if first < last else b""
            for first, last in spans
        ]
    )


def tiers(lengths: Ints) -> Ints:
    """Return which of WINDOW_WORDS is nearest to each length, as a factor."""
    nearest = np.abs(np.log2(np.maximum(lengths, 1))[:, None] - np.log2(WINDOW_WORDS)[None])
    return nearest.argmin(1)


def windows(words: HashedWords, size: int) -> tuple[Ints, Ints]:
    """Return begin and end of windows that cover all documents, each half of the one before it.

    A document that is shorter is one window.
    """
    stride = size // 2
    counts = words.counts
    number = np.where(counts > 0, np.maximum(-(-(counts - size) // stride), 0) + 1, 0)
    document = np.repeat(np.arange(len(counts)), number)
    index = np.arange(len(document)) - np.repeat(np.cumsum(number) - number, number)
    last = np.maximum(counts[document] - size, 0)  # the last window ends with its document
    begin = words.first[document] + np.minimum(index * stride, last)
    return begin, np.minimum(begin + size, words.first[document + 1])


def near(
    embeddings: NDArray[np.float32], items: NDArray[np.float32], least: NDArray[np.float64]
) -> Iterator[tuple[Ints, Ints, NDArray[np.float64]]]:
    """Yield window, item and cosine where that is at least what the item needs."""
    for low in range(0, len(embeddings), _BLOCK):
        cosines = rounded(embeddings[low : low + _BLOCK] @ items.T)
        window, item = np.nonzero(cosines >= least)
        yield window + low, item, cosines[window, item]


def rounded(cosines: NDArray[np.float32]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = np.round(np.minimum(cosines, 1.0).astype(float), COSINE_DIGITS)
    return result
