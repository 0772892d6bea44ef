"""Gopher's measures of repeated word n-grams (Rae et al., 2021, table A1), over many documents.

An n-gram is known by a number: the pair of its first n - 1 words, as numbered one level down, and
its last word. Pairs are numbered by sorting, hence exactly, for all documents at once. As only what
repeats an (n - 1)-gram can repeat an n-gram, each level looks at what is left of the one below,
and longer n-grams cost next to nothing.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.annotate.text import Text
from scripts.common.attributes import DUPLICATE_NGRAMS, TOP_NGRAMS

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Words:
    """The words of several documents, one after the other; W words in all."""

    numbers: Ints  # (W,) equal for equal words of one document, never for words of two
    documents: Ints  # (W,) index of the word's document
    ends: Ints  # (W,) where the word's document ends
    characters: Ints  # (W + 1,) characters in all words before

    @classmethod
    def of(cls, texts: Sequence[Text]) -> "_Words":
        numbers: list[int] = []
        lengths: list[int] = []
        first = 0
        for text in texts:
            vocabulary = dict(zip(text.word_counts, itertools.count(first), strict=False))
            numbers.extend(map(vocabulary.__getitem__, text.words))
            lengths.extend(map(len, text.words))
            first += len(vocabulary)
        sizes = np.array([len(text.words) for text in texts], dtype=np.int64)
        return cls(
            numbers=np.array(numbers, dtype=np.int64),
            documents=np.repeat(np.arange(len(texts)), sizes),
            ends=np.repeat(np.cumsum(sizes), sizes),
            characters=np.concatenate([[0], np.cumsum(np.array(lengths, dtype=np.int64))]),
        )

    def characters_of(self, starts: Ints, n: int) -> Ints:
        """Return the lengths of n-grams, joined by single spaces."""
        return self.characters[starts + n] - self.characters[starts] + (n - 1)


@dataclass(frozen=True)
class _Repeated:
    """All occurrences of the n-grams that occur more than once in their document."""

    n: int
    starts: Ints  # (R,) index of the first word, ascending
    numbers: Ints  # (R,) equal for equal n-grams
    counts: Ints  # (R,) how often the n-gram occurs


def repetition(texts: Sequence[Text]) -> dict[str, NDArray[np.float64]]:
    """Return, per text, the fractions of characters that repeated n-grams take up.

    ``gopher_top_{n}gram`` counts all occurrences of the most frequent n-gram (the first of several;
    none if each occurs once) and, as they may overlap, ends at 1. ``gopher_duplicate_{n}gram``
    counts, from left to right and without overlap, n-grams that have occurred before.
    """
    words = _Words.of(texts)
    lengths = np.array([max(len(text.raw), 1) for text in texts], dtype=np.int64)
    measures = {}
    for repeated in _levels(words, max(DUPLICATE_NGRAMS)):
        if repeated.n in TOP_NGRAMS:
            characters = _top_characters(words, repeated, len(texts))
            measures[f"gopher_top_{repeated.n}gram"] = np.minimum(characters / lengths, 1.0)
        if repeated.n in DUPLICATE_NGRAMS:
            characters = _duplicate_characters(words, repeated, len(texts))
            measures[f"gopher_duplicate_{repeated.n}gram"] = characters / lengths
    return measures


def _levels(words: _Words, largest: int) -> Iterator[_Repeated]:
    vocabulary = len(words.numbers)  # more than there are distinct words, which is all it must be
    starts = np.arange(len(words.numbers))
    numbers = words.numbers
    for n in range(1, largest + 1):
        if n > 1:
            inside = starts + n <= words.ends[starts]
            starts = starts[inside]
            numbers = numbers[inside] * vocabulary + words.numbers[starts + n - 1]
        _, numbers, counts = np.unique(numbers, return_inverse=True, return_counts=True)
        occurrences = counts[numbers]
        again = occurrences > 1
        starts, numbers = starts[again], numbers[again]
        yield _Repeated(n, starts, numbers, occurrences[again])


def _top_characters(words: _Words, repeated: _Repeated, documents: int) -> Ints:
    owners = words.documents[repeated.starts]
    highest = np.zeros(documents, dtype=np.int64)
    np.maximum.at(highest, owners, repeated.counts)
    tops = np.flatnonzero(repeated.counts == highest[owners])
    having, first = np.unique(owners[tops], return_index=True)
    lengths = words.characters_of(repeated.starts[tops[first]], repeated.n)
    characters = np.zeros(documents, dtype=np.int64)
    characters[having] = highest[having] * lengths
    return characters


def _duplicate_characters(words: _Words, repeated: _Repeated, documents: int) -> Ints:
    starts = np.array(_later_occurrences(repeated), dtype=np.int64)
    characters = np.zeros(documents, dtype=np.int64)
    np.add.at(characters, words.documents[starts], words.characters_of(starts, repeated.n))
    return characters


def _later_occurrences(repeated: _Repeated) -> list[int]:
    """Return where n-grams start that were met before, each beginning after the last one's end."""
    met: set[int] = set()
    found = []
    free = 0
    for start, number in zip(repeated.starts.tolist(), repeated.numbers.tolist(), strict=True):
        if start < free:
            continue
        if number in met:
            found.append(start)
            free = start + repeated.n
        else:
            met.add(number)
    return found
