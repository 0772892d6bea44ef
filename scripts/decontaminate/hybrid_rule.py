"""The hybrid rule: candidates by shared rare 3-grams, judged by the longest common subsequence."""

import numpy as np

from scripts.common.config.decontaminate import HybridRule
from scripts.decontaminate.grams import MIN_WORDS
from scripts.decontaminate.hashed_words import HashedWords
from scripts.decontaminate.items import Items
from scripts.decontaminate.lcs import Aligner
from scripts.decontaminate.matching import Effort, Floats, Matches, least_scores


class HybridMatcher:
    """How many of an item's words a place in a document has, in order."""

    def __init__(self, rule: HybridRule, items: Items) -> None:
        self.rule, self.effort = rule, Effort()
        self._items = items
        long_enough = np.flatnonzero(items.words.counts >= MIN_WORDS)
        self._aligner = Aligner(items.words, long_enough, rule.shared)

    def least(self, threshold: float | None = None) -> Floats:
        return least_scores(self._items, self.rule, threshold, whole=1.0)

    def match(self, words: HashedWords, least: Floats) -> Matches:
        lengths = self._aligner.lengths
        wanted = np.ceil(least * lengths - 1e-9).astype(np.int64)
        found, documents, pairs = self._aligner.align(words, wanted)
        self.effort.documents += len(words.counts)
        self.effort.candidates += documents
        self.effort.comparisons += pairs
        score = found.common / lengths[found.item]
        unknown = np.full(len(score), -1, np.int64)
        return Matches(found.document, found.item, score, unknown, found.begin, found.end).best()
