"""Items that a document holds reworded: shared rare 3-grams, then the longest common subsequence.

An inverted index tells where a document has 3-grams of an item. Where at least ``shared`` distinct
ones stand within one and a half times the item's length, the words there are compared: how many of
the item's words are among them in the item's order. That longest common subsequence is computed for
64 words of the item at a time (Hyyrö 2004, Bit-parallel LCS-length computation revisited).
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scripts.decontaminate.hashed_words import HashedWords
from scripts.decontaminate.ngrams import Ngrams, run_hashes

GRAM_WORDS = 3
MOST_WORDS = 1024  # of an item are compared: its first
MOST_ITEMS = 50  # a 3-gram of more items tells little, unless an item has no rarer ones
RAREST = 4  # 3-grams of an item that are looked for however common they are

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Alignments:
    """A row for each document and item that are alike, and the place that is most alike.

    common: the length of the longest common subsequence. begin, end: the words compared, numbered
    among the batch's: a margin is allowed for words between. place_begin, place_end: without it.
    """

    document: Ints
    item: Ints
    common: Ints
    begin: Ints
    end: Ints
    place_begin: Ints
    place_end: Ints


class Aligner:
    """Items, to be found in documents in other words."""

    def __init__(self, items: HashedWords, wanted: Ints, shared: int) -> None:
        """Look for the items numbered ``wanted``, by ``shared`` 3-grams or all that they have."""
        self.lengths = np.zeros(len(items.counts), np.int64)  # what is compared of each item
        self.lengths[wanted] = np.minimum(items.counts[wanted], MOST_WORDS)
        self._items = items
        item, position, gram = _rare_grams(items, self.lengths)
        self._needed = np.minimum(np.bincount(item, minlength=len(self.lengths)), shared)
        order = np.lexsort((item, gram))
        _, first = np.unique(gram[order], return_index=True)
        self._offsets = np.append(first, len(order)).astype(np.int64)
        self._item, self._position = item[order], position[order]
        begin = items.first[self._item[first]] + self._position[first]
        self._grams = Ngrams(items, begin, np.full(len(first), GRAM_WORDS))

    def align(self, words: HashedWords, least: Ints) -> tuple[Alignments, int, int]:
        """Return the alignments that have ``least`` words, by item, in common.

        Also the number of documents that hold enough 3-grams of some item, and of pairs compared.
        """
        found = self._grams.find(words)
        rows, documents, pairs = _align(
            *(found.gram, found.word, words.hashes, words.first),
            *(self._offsets, self._item, self._position),
            *(self._items.hashes, self._items.first, self.lengths, self._needed, least),
        )
        return Alignments(*(rows[:, column].copy() for column in range(7))), documents, pairs


def lcs_length(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> int:
    """Return the length of the longest common subsequence."""
    return int(_lcs_length(one, other))


def _rare_grams(items: HashedWords, lengths: Ints) -> tuple[Ints, Ints, NDArray[np.uint64]]:
    """Return item, first position and hash of each 3-gram that an item is looked for by."""
    counts = np.maximum(lengths - (GRAM_WORDS - 1), 0)
    item = np.repeat(np.arange(len(counts)), counts)
    position = np.arange(len(item)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = items.first[item] + position
    gram = run_hashes(items, begin, np.full(len(begin), GRAM_WORDS))
    # Stable sorts: of an item's equal 3-grams the first stays.
    order = np.lexsort((gram, item))
    item, position, gram = item[order], position[order], gram[order]
    distinct = np.ones(len(item), np.bool_)
    distinct[1:] = (item[1:] != item[:-1]) | (gram[1:] != gram[:-1])
    item, position, gram = item[distinct], position[distinct], gram[distinct]
    _, number, frequencies = np.unique(gram, return_inverse=True, return_counts=True)
    frequency = frequencies[number]
    order = np.lexsort((frequency, item))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.searchsorted(item[order], item[order])
    kept = (frequency <= MOST_ITEMS) | (rank < RAREST)
    return item[kept], position[kept], gram[kept]


@njit("int64(int64)", cache=True, nogil=True)
def _table_size(words):  # type: ignore[no-untyped-def]
    size = 4
    while size < 2 * words:
        size *= 2
    return size


@njit("void(uint64[::1], int64[::1], uint64[:, ::1], uint64[::1])", cache=True, nogil=True)
def _prepare(keys, rows, masks, item):  # type: ignore[no-untyped-def]
    """Enter an item's words into the table ``keys`` -> row of ``masks``: the bits of their places.

    Slots whose row is -1 are empty.
    """
    rows[:] = -1
    used = 0
    for place in range(len(item)):
        slot = np.int64(item[place] & np.uint64(len(keys) - 1))
        while rows[slot] >= 0 and keys[slot] != item[place]:
            slot = slot + 1 & len(keys) - 1
        if rows[slot] < 0:
            keys[slot] = item[place]
            rows[slot] = used
            masks[used] = 0
            used += 1
        masks[rows[slot], place >> 6] |= np.uint64(1) << np.uint64(place & 63)


@njit(
    "int64(uint64[::1], int64[::1], uint64[:, ::1], uint64[::1], int64, uint64[::1])",
    cache=True,
    nogil=True,
)
def _common(keys, rows, masks, state, length, window):  # type: ignore[no-untyped-def]
    """Return the LCS of the prepared item, ``length`` words, and the words of ``window``."""
    blocks = length + 63 >> 6
    one = np.uint64(1)
    state[:blocks] = ~np.uint64(0)
    for place in range(len(window)):
        slot = np.int64(window[place] & np.uint64(len(keys) - 1))
        while rows[slot] >= 0 and keys[slot] != window[place]:
            slot = slot + 1 & len(keys) - 1
        if rows[slot] < 0:
            continue
        mask = masks[rows[slot]]
        carry = np.uint64(0)
        for block in range(blocks):
            before = state[block]
            matched = before & mask[block]
            added = before + matched
            total = added + carry
            carry = np.uint64(added < before) | np.uint64(total < added)
            state[block] = total | (before & ~mask[block])
    common = 0
    for place in range(length):
        if not state[place >> 6] >> np.uint64(place & 63) & one:
            common += 1
    return common


@njit("int64(uint64[::1], uint64[::1])", cache=True, nogil=True)
def _lcs_length(one, other):  # type: ignore[no-untyped-def]
    size = _table_size(len(one))
    keys, rows = np.empty(size, np.uint64), np.empty(size, np.int64)
    blocks = len(one) + 63 >> 6
    masks, state = np.empty((len(one), blocks), np.uint64), np.empty(blocks, np.uint64)
    _prepare(keys, rows, masks, one)
    return _common(keys, rows, masks, state, len(one), other)


@njit(
    "Tuple((int64, int64, int64))(int64[::1], int64[::1], int64[::1], int64, int64, int64)",
    cache=True,
    nogil=True,
)
def _densest(word, position, seen, begin, end, reach):  # type: ignore[no-untyped-def]
    """Return the most distinct 3-grams within ``reach`` words, and the first and last hit there.

    Hits [begin, end) are of one item, in the order of the document's words; ``seen`` is all 0.
    """
    best, best_first, best_last = 0, begin, begin
    distinct = 0
    first = begin
    for last in range(begin, end):
        if not seen[position[last]]:
            distinct += 1
        seen[position[last]] += 1
        while word[last] - word[first] > reach:
            seen[position[first]] -= 1
            if not seen[position[first]]:
                distinct -= 1
            first += 1
        if distinct > best:
            best, best_first, best_last = distinct, first, last
    for hit in range(first, end):
        seen[position[hit]] -= 1
    return best, best_first, best_last


@njit(
    "UniTuple(int64, 2)(uint64[::1], int64[::1], uint64[:, ::1], uint64[::1], int64, uint64[::1],"
    " UniTuple(int64, 2), int64, int64)",
    cache=True,
    nogil=True,
)
def _place(keys, rows, masks, state, length, hashes, starts, low, high):  # type: ignore[no-untyped-def]
    """Return the place of most words in common, the shortest of equals, without margins.

    It begins at either of ``starts``, or reaches from the first to where the other one ends.
    """
    best, best_begin, best_end = -1, 0, 0
    whole = (starts[0], max(starts[0], starts[1]))  # where words came between
    for start, stop in ((starts[1], starts[1]), (starts[0], starts[0]), whole):
        begin, end = max(low, start), min(high, stop + length)
        common = _common(keys, rows, masks, state, length, hashes[begin:end])
        if common > best or (common == best and end - begin < best_end - best_begin):
            best, best_begin, best_end = common, begin, end
    return best_begin, best_end


@njit(
    "Tuple((int64[:, ::1], int64, int64))(int64[::1], int64[::1], uint64[::1], int64[::1],"
    " int64[::1], int64[::1], int64[::1],"
    " uint64[::1], int64[::1], int64[::1], int64[::1], int64[::1])",
    cache=True,
    nogil=True,
)
def _align(  # type: ignore[no-untyped-def]
    found_gram,
    found_word,
    hashes,
    first,
    offsets,
    posting_item,
    posting_position,
    item_hashes,
    item_first,
    lengths,
    needed,
    least,
):
    longest = 0
    for item in range(len(lengths)):
        longest = max(longest, lengths[item])
    size = _table_size(longest)
    keys, rows = np.empty(size, np.uint64), np.empty(size, np.int64)
    blocks = longest + 63 >> 6
    masks, state = np.empty((longest, blocks), np.uint64), np.empty(blocks, np.uint64)
    seen = np.zeros(longest + 1, np.int64)
    counts = np.zeros(len(lengths), np.int64)
    result = np.empty((64, 7), np.int64)
    made = documents = pairs = 0
    since = 0
    for document in range(len(first) - 1):
        until, hits = since, 0
        while until < len(found_word) and found_word[until] < first[document + 1]:
            hits += offsets[found_gram[until] + 1] - offsets[found_gram[until]]
            until += 1
        if since == until:
            continue
        # Sort the hits by item, keeping the order of words: count, sum up, put in place.
        touched = np.empty(min(hits, len(lengths)), np.int64)
        items = 0
        for found in range(since, until):
            for posting in range(offsets[found_gram[found]], offsets[found_gram[found] + 1]):
                item = posting_item[posting]
                if not counts[item]:
                    touched[items] = item
                    items += 1
                counts[item] += 1
        ends = np.empty(items + 1, np.int64)
        ends[0] = 0
        for index in range(items):
            ends[index + 1] = ends[index] + counts[touched[index]]
            counts[touched[index]] = ends[index]
        word, position = np.empty(hits, np.int64), np.empty(hits, np.int64)
        for found in range(since, until):
            for posting in range(offsets[found_gram[found]], offsets[found_gram[found] + 1]):
                item = posting_item[posting]
                word[counts[item]] = found_word[found]
                position[counts[item]] = posting_position[posting]
                counts[item] += 1
        since = until
        is_candidate = False
        for index in range(items):
            item = touched[index]
            counts[item] = 0
            begin, end = ends[index], ends[index + 1]
            if end - begin < needed[item]:
                continue
            length = lengths[item]
            dense, dense_first, dense_last = _densest(
                word, position, seen, begin, end, length + length // 2 - 3
            )
            if dense < needed[item]:
                continue
            is_candidate = True
            pairs += 1
            table = _table_size(length)
            own = item_hashes[item_first[item] : item_first[item] + length]
            _prepare(keys[:table], rows[:table], masks, own)
            best, best_begin, best_end = -1, 0, 0
            # Where the item would begin if either 3-gram stood at its place in it.
            starts = (
                word[dense_first] - position[dense_first],
                word[dense_last] - position[dense_last],
            )
            low, high = first[document], first[document + 1]
            for start in starts:
                window_begin = max(low, start - length // 4)
                window_end = min(high, start + length + length // 4)
                common = _common(
                    keys[:table],
                    rows[:table],
                    masks,
                    state,
                    length,
                    hashes[window_begin:window_end],
                )
                if common > best:
                    best, best_begin, best_end = common, window_begin, window_end
            if best >= least[item]:
                if made == len(result):
                    grown = np.empty((2 * made, 7), np.int64)
                    grown[:made] = result
                    result = grown
                result[made, 0], result[made, 1], result[made, 2] = document, item, best
                result[made, 3], result[made, 4] = best_begin, best_end
                result[made, 5], result[made, 6] = _place(
                    keys[:table], rows[:table], masks, state, length, hashes, starts, low, high
                )
                made += 1
        documents += is_candidate
    return result[:made].copy(), documents, pairs
