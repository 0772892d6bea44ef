"""Finding given n-grams of words in documents, exactly, all lengths in one pass.

An n-gram's hash is the polynomial of its words' hashes modulo 2**64, so that the hash of any run of
words comes from two sums over its document's beginning. The runs of the shortest length there is
are looked up in a bit map of what n-grams end with: few strangers pass it. What passes and is in
the hash table is compared with the n-gram's own words: a match is never a coincidence.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scripts.common.words import word_characters
from scripts.decontaminate.hashed_words import HashedWords

_FACTOR = np.uint64(0x9E3779B185EBCA87)  # odd, and without a pattern: XXH64's first prime

_MAP_BITS = (16, 26)  # log2 of the bit map's least and greatest size
_MAP_SPARSITY = 16

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """A row for each place of each n-gram, by document and place.

    gram: the n-gram's number. word: the index of the place's first word among the batch's.
    """

    gram: Ints
    word: Ints


class Ngrams:
    """Distinct n-grams, to be found in documents."""

    def __init__(self, words: HashedWords, begin: Ints, lengths: Ints) -> None:
        """Take n-grams as runs of ``words``: they are numbered in the order given."""
        self._words, self._begin = words, begin
        self._known = np.unique(lengths)
        self._slots = _slots(run_hashes(words, begin, lengths), lengths)
        shortest = self._known[:1].repeat(len(lengths))
        suffixes = run_hashes(words, begin + lengths - shortest, shortest)
        wanted = (len(suffixes) * _MAP_SPARSITY).bit_length()
        bits = min(max(wanted, _MAP_BITS[0]), _MAP_BITS[1])
        self._map = _bit_map(suffixes, bits)
        self._shift = 64 - bits

    def find(self, words: HashedWords) -> Found:
        """Return every place of every n-gram in a batch of documents."""
        if not len(self._begin):
            return Found(np.empty(0, np.int64), np.empty(0, np.int64))
        documents = (words.hashes, words.first, words.texts.data, words.starts, words.ends)
        own = (self._words.texts.data, self._words.starts, self._words.ends)
        table = (self._known, self._map, self._shift, self._slots)
        return Found(*_find(*documents, *own, *table, self._begin, word_characters()))


def run_hashes(words: HashedWords, begin: Ints, lengths: Ints) -> NDArray[np.uint64]:
    """Return the hash of the run of words at each ``begin``, so many words long."""
    hashes: NDArray[np.uint64] = _run_hashes(words.hashes, begin, lengths)
    return hashes


def same_runs(words: HashedWords, begin: Ints, other: Ints, lengths: Ints) -> NDArray[np.bool_]:
    """Tell which pairs of runs of ``words`` are the same words."""
    own = (words.texts.data, words.starts, words.ends)
    same: NDArray[np.bool_] = _same_runs(*own, begin, other, lengths, word_characters())
    return same


_TEXT = "Array(uint8, 1, 'C', readonly=True), int64[::1], int64[::1]"


@njit("uint64[::1](uint64[::1], int64[::1], int64[::1])", cache=True, nogil=True)
def _run_hashes(hashes, begin, lengths):  # type: ignore[no-untyped-def]
    result = np.empty(len(begin), np.uint64)
    for run in range(len(begin)):
        value = np.uint64(0)
        for word in range(begin[run], begin[run] + lengths[run]):
            value = value * _FACTOR + hashes[word]
        result[run] = value
    return result


@njit("uint64[::1](uint64[::1], int64)", cache=True, nogil=True)
def _bit_map(hashes, bits):  # type: ignore[no-untyped-def]
    result = np.zeros((1 << bits) // 64, np.uint64)
    for index in range(len(hashes)):
        bit = hashes[index] >> np.uint64(64 - bits)
        result[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))
    return result


@njit("uint64(uint64, int64)", cache=True, nogil=True)
def _key(value, length):  # type: ignore[no-untyped-def]
    """Return what runs of several lengths share a table by."""
    return (value ^ np.uint64(length)) * _FACTOR


@njit("uint64[:, ::1](uint64[::1], int64[::1])", cache=True, nogil=True)
def _slots(hashes, lengths):  # type: ignore[no-untyped-def]
    """Return an open-addressing table, at most half full: a key, and the n-gram's number plus one.

    Both stand side by side, so that a look costs one cache line.
    """
    bits = 1
    while 1 << bits < 2 * len(hashes):
        bits += 1
    slots = np.zeros((1 << bits, 2), np.uint64)
    for gram in range(len(hashes)):
        key = _key(hashes[gram], lengths[gram])
        slot = np.int64(key >> np.uint64(64 - bits))
        while slots[slot, 1]:
            slot = slot + 1 & len(slots) - 1
        slots[slot, 0] = key
        slots[slot, 1] = gram + 1
    return slots


@njit("Tuple((int64, int64))(Array(uint8, 1, 'C', readonly=True), int64)", cache=True, nogil=True)
def _decode(data, at):  # type: ignore[no-untyped-def]
    """Return the code point at ``at`` and where the next one is."""
    code = np.int64(data[at])
    if code < 0x80:
        return code, at + 1
    if code < 0xE0:
        more, code = 1, code & 0x1F
    elif code < 0xF0:
        more, code = 2, code & 0x0F
    else:
        more, code = 3, code & 0x07
    for place in range(at + 1, at + 1 + more):
        code = code << 6 | np.int64(data[place]) & 0x3F
    return code, at + 1 + more


@njit(f"boolean({_TEXT}, int64, {_TEXT}, int64, int64, uint32[::1])", cache=True, nogil=True)
def _same(data, starts, ends, begin, other, starts2, ends2, begin2, length, characters):  # type: ignore[no-untyped-def]
    """Tell whether two runs of words are the same, lower-cased."""
    for word in range(length):
        at, end = starts[begin + word], ends[begin + word]
        at2, end2 = starts2[begin2 + word], ends2[begin2 + word]
        while at < end and at2 < end2:
            code, at = _decode(data, at)
            code2, at2 = _decode(other, at2)
            if characters[code] != characters[code2]:
                return False
        if at < end or at2 < end2:
            return False
    return True


@njit(
    f"boolean[::1]({_TEXT}, int64[::1], int64[::1], int64[::1], uint32[::1])",
    cache=True,
    nogil=True,
)
def _same_runs(data, starts, ends, begin, other, lengths, characters):  # type: ignore[no-untyped-def]
    result = np.empty(len(begin), np.bool_)
    for run in range(len(begin)):
        result[run] = _same(
            data, starts, ends, begin[run], data, starts, ends, other[run], lengths[run], characters
        )
    return result


@njit(
    "Tuple((int64[::1], int64[::1]))"
    "(uint64[::1], int64[::1], Array(uint8, 1, 'C', readonly=True), int64[::1], int64[::1],"
    f" {_TEXT}, int64[::1], uint64[::1], int64, uint64[:, ::1],"
    " int64[::1], uint32[::1])",
    cache=True,
    nogil=True,
)
def _find(  # type: ignore[no-untyped-def]
    hashes,
    first,
    data,
    starts,
    ends,
    own_data,
    own_starts,
    own_ends,
    known,
    bit_map,
    shift,
    slots,
    gram_begin,
    characters,
):
    one = np.uint64(1)
    powers = np.ones(len(known), np.uint64)  # what a word that leaves a run counts
    for index in range(len(known)):
        for _ in range(known[index]):
            powers[index] *= _FACTOR
    shortest, power = np.uint64(known[0]), powers[0]
    table_shift = np.uint64(64)
    while 1 << (64 - np.int64(table_shift)) < len(slots):
        table_shift -= one
    map_shift = np.uint64(shift)
    longest = 0
    for document in range(len(first) - 1):
        longest = max(longest, first[document + 1] - first[document])
    sums = np.zeros(longest + 1, np.uint64)
    passed = np.empty(longest + 1, np.int64)
    found = np.empty((64, 2), np.int64)
    count = 0
    last_begin, last_own = np.full(len(known), -2), np.full(len(known), -2)
    for document in range(len(first) - 1):
        base = first[document]
        words = first[document + 1] - base
        for word in range(words):
            sums[word + 1] = sums[word] * _FACTOR + hashes[base + word]
        # No branch on what the map says: the looks into it need not wait for each other.
        candidates = np.uint64(0)
        for end in range(shortest, np.uint64(words + 1)):
            bit = (sums[end] - sums[end - shortest] * power) >> map_shift
            passed[candidates] = end
            candidates += bit_map[bit >> np.uint64(6)] >> (bit & np.uint64(63)) & one
        for candidate in range(candidates):
            end = passed[candidate]
            for index in range(len(known)):
                length = known[index]
                if length > end:
                    break
                value = sums[end] - sums[end - length] * powers[index]
                key = _key(value, length)
                slot = np.int64(key >> table_shift)
                while slots[slot, 1]:
                    if slots[slot, 0] == key:
                        gram = np.int64(slots[slot, 1]) - 1
                        begin, own = base + end - length, gram_begin[gram]
                        # Where the n-gram before matched, just the last word is new.
                        goes_on = last_begin[index] == begin - 1 and last_own[index] == own - 1
                        skip = length - 1 if goes_on else 0
                        if _same(
                            data, starts, ends, begin + skip,
                            own_data, own_starts, own_ends, own + skip, length - skip, characters,
                        ):  # fmt: skip
                            last_begin[index], last_own[index] = begin, own
                            if count == len(found):
                                grown = np.empty((2 * count, 2), np.int64)
                                grown[:count] = found
                                found = grown
                            found[count, 0], found[count, 1] = gram, begin
                            count += 1
                        break
                    slot = slot + 1 & len(slots) - 1
    return found[:count, 0].copy(), found[:count, 1].copy()
