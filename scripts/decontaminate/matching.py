"""What all rules share: a rule is applied to a batch of documents and tells what is alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scripts.common.config.decontaminate import AnyRule, EmbeddingRule, HybridRule
from scripts.decontaminate.hashed_words import HashedWords
from scripts.decontaminate.items import Items

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Matches:
    """A row for each document and item that are alike enough.

    score: what the rule goes by, 0 to 1. ngrams: distinct shared ones, -1 where the rule counts
    none. begin, end: the words [begin, end) that are most alike, numbered among the batch's.
    """

    document: Ints
    item: Ints
    score: Floats
    ngrams: Ints
    begin: Ints
    end: Ints

    @classmethod
    def joined(cls, parts: Sequence["Matches"]) -> "Matches":
        none = np.empty(0, np.int64)
        parts = [cls(none, none, np.empty(0), none, none, none), *parts]
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*map(np.concatenate, columns))

    def where(self, chosen: NDArray[np.bool_] | Ints) -> "Matches":
        return Matches(*(column[chosen] for column in vars(self).values()))

    def best(self) -> "Matches":
        """Return one row for each document and item, that of the highest score, by both."""
        order = np.lexsort((self.begin, -self.score, self.item, self.document))
        rows = self.where(order)
        new = np.ones(len(order), np.bool_)
        new[1:] = (np.diff(rows.document) != 0) | (np.diff(rows.item) != 0)
        return rows.where(new)


@dataclass
class Effort:
    """What a rule looked at: documents, those of them that were looked at closely, comparisons.

    A comparison is that of an item's n-grams, words or embedding with a place of a document.
    """

    documents: int = 0
    candidates: int = 0
    comparisons: int = 0


class Matcher(Protocol):
    """A rule, ready to be applied."""

    effort: Effort

    @property
    def rule(self) -> AnyRule:
        """What it is the rule of."""

    def least(self, threshold: float | None = None) -> Floats:
        """Return the score that each item needs: the rule's own, or as if it had a threshold."""

    def match(self, words: HashedWords, least: Floats) -> Matches:
        """Return the matches of at least the scores, by document and item; adds to the effort."""


def least_scores(
    items: Items,
    rule: HybridRule | EmbeddingRule,
    threshold: float | None,
    *,
    whole: float,
) -> Floats:
    """Return the score that each item needs, ``whole`` for one that must be there whole."""
    if threshold is None:
        scores = items.by_benchmark(rule.threshold, rule.thresholds)
    else:
        scores = np.full(len(items.words.counts), threshold)
    return np.where(items.words.counts < rule.whole_below, whole, scores)
