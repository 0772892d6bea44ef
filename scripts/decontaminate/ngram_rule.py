"""N-gram rules: one shared n-gram is enough, or a share of the item's has to be in the document."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scripts.common.config.decontaminate import NgramRule
from scripts.common.errors import UserError
from scripts.decontaminate.hashed_words import HashedWords
from scripts.decontaminate.items import Items
from scripts.decontaminate.matching import Effort, Floats, Ints, Matches
from scripts.decontaminate.ngrams import Found, Ngrams


class GramIndex:
    """The n-grams of all n-gram rules, found in one pass for all of them."""

    def __init__(self, items: Items, grams: pa.Table) -> None:
        """Take the rows of ``grams.parquet``."""
        columns = (grams.column(name).to_numpy().astype(np.int64) for name in grams.column_names)
        self.gram, self.ngram, self.words, self.item, self.position = columns
        self.items = items
        _, first = np.unique(self.gram, return_index=True)
        self.count = len(first)
        begin = items.words.first[self.item[first]] + self.position[first]
        self._ngrams = Ngrams(items.words, begin, self.words[first])
        self._last: tuple[HashedWords, Found] | None = None

    def find(self, words: HashedWords) -> Found:
        """Return the places of all n-grams; rules ask for the same batch one after the other."""
        if self._last is None or self._last[0] is not words:
            self._last = words, self._ngrams.find(words)
        return self._last[1]


class NgramMatcher:
    """How much of an item's n-grams a document has.

    A place is where an n-gram stands in an item; n-grams that the index left out have none.
    """

    def __init__(self, rule: NgramRule, index: GramIndex) -> None:
        self.rule, self.effort = rule, Effort()
        self._index, self._items = index, index.items
        own = np.flatnonzero(index.ngram == rule.words)
        if not len(own):
            raise UserError(
                f"the index has no n-grams of {rule.words} words, which rule {rule.name!r} looks "
                "for: run Snakemake again, which makes it anew"
            )
        self._item, self._position = index.item[own], index.position[own]
        self._words = index.words[own]
        self._offsets = np.searchsorted(index.gram[own], np.arange(index.count + 1))
        self._whole = self._amounts(self._item, np.arange(len(own)), len(self._items.words.counts))

    def least(self, threshold: float | None = None) -> Floats:
        if threshold is not None:
            return np.full(len(self._whole), threshold)
        wanted = np.nextafter(0, 1) if self.rule.threshold is None else self.rule.threshold
        return self._items.by_benchmark(wanted, self.rule.thresholds)

    def match(self, words: HashedWords, least: Floats) -> Matches:
        found = self._index.find(words)
        row, place = self._places(found.gram)
        document, item = words.document_of(found.word[row]), self._item[place]
        order = np.lexsort((found.word[row], item, document))
        row, place, document, item = row[order], place[order], document[order], item[order]
        first = np.flatnonzero(_changes(document, item))
        pair = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(row))))
        score = self._shares(pair, place, item[first])
        begin, end = _longest_runs(pair, found.word[row], self._words[place])
        ngrams = np.bincount(_distinct(pair, found.gram[row])[0], minlength=len(score))
        matches = Matches(document[first], item[first], score, ngrams, begin, end)
        self.effort.documents += len(words.counts)
        self.effort.candidates += int(_changes(matches.document).sum())
        self.effort.comparisons += len(score)
        return matches.where(score >= least[matches.item])

    @property
    def findable(self) -> NDArray[np.bool_]:
        """Which items have any n-gram to be found by."""
        return self._whole > 0

    def item_scores(self, grams: Ints) -> Floats:
        """Return the score of every item as if just these distinct n-grams had been seen."""
        _, place = self._places(grams)
        seen, pair = np.unique(self._item[place], return_inverse=True)
        scores = np.zeros(len(self._whole))
        scores[seen] = self._shares(pair, place, seen)
        return scores

    def _places(self, grams: Ints) -> tuple[Ints, Ints]:
        """Return every place of each of ``grams``: the row among them, and the place's number."""
        counts = self._offsets[grams + 1] - self._offsets[grams]
        row = np.repeat(np.arange(len(grams)), counts)
        within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        return row, self._offsets[grams][row] + within

    def _shares(self, pair: Ints, place: Ints, item: Ints) -> Floats:
        """Return the share of its item that the places of each pair make up."""
        return self._amounts(*_distinct(pair, place), len(item)) / self._whole[item]

    def _amounts(self, group: Ints, place: Ints, groups: int) -> Ints:
        """Return how many distinct places each group has, or how many words they cover."""
        if self.rule.share == "ngrams":
            return np.bincount(group, minlength=groups)
        order = np.lexsort((self._position[place], group))
        group, position, words = group[order], self._position[place][order], self._words[place]
        covered = words[order]
        # The places of one item are of one length: what the next one covers does not count twice.
        goes_on = group[1:] == group[:-1]
        covered[:-1][goes_on] = np.minimum(covered[:-1], np.diff(position))[goes_on]
        return np.bincount(group, covered, minlength=groups).astype(np.int64)


def _changes(*sorted_columns: Ints) -> NDArray[np.bool_]:
    """Tell which rows differ from the one before them."""
    new = np.zeros(len(sorted_columns[0]), np.bool_)
    new[:1] = True
    for column in sorted_columns:
        new[1:] |= column[1:] != column[:-1]
    return new


def _distinct(group: Ints, value: Ints) -> tuple[Ints, Ints]:
    """Return the distinct pairs of a group and a value, sorted."""
    order = np.lexsort((value, group))
    group, value = group[order], value[order]
    first = _changes(group, value)
    return group[first], value[first]


def _longest_runs(pair: Ints, begin: Ints, words: Ints) -> tuple[Ints, Ints]:
    """Return the longest stretch of words that each pair's n-grams cover, the first of equals.

    Rows are sorted by pair and ``begin``; a pair's n-grams are all of one length.
    """
    end = begin + words
    first = _changes(pair)
    first[1:] |= begin[1:] > end[:-1]
    starts = np.flatnonzero(first)
    lasts = np.append(starts[1:], len(pair))[: len(starts)] - 1
    run_pair, run_begin, run_end = pair[starts], begin[starts], end[lasts]
    order = np.lexsort((run_begin, run_begin - run_end, run_pair))
    chosen = order[_changes(run_pair[order])]
    return run_begin[chosen], run_end[chosen]
