"""Gopher's measures of repeated word n-grams (Rae et al., 2021, table A1).

An n-gram is known by a number: the pair of its first n - 1 words, as numbered one level down, and
its last word. As only what repeats an (n - 1)-gram can repeat an n-gram, each level looks at what
is left of the one below, and longer n-grams cost next to nothing.
"""

import secrets

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scripts.annotate.parts import Parts

_SECRET = np.uint64(secrets.randbits(64))  # no text can be written whose n-grams share a slot


def repetition(words: Parts, first_equal: NDArray[np.int64], largest: int) -> NDArray[np.int64]:
    """Return characters in repeated n-grams of up to ``largest`` words: int64 [2, largest, texts].

    The words of an n-gram are joined by single spaces. The first are those in all occurrences of
    the most frequent n-gram (the first of several; none if each occurs once), whether or not they
    overlap. The second are those in n-grams that have occurred before, from left to right and
    without overlap.
    """
    characters = np.zeros(len(words) + 1, np.int64)
    np.cumsum(words.characters, out=characters[1:])
    found: NDArray[np.int64] = _repetition(first_equal, characters, words.first, largest, _SECRET)
    return found


@njit("int64[:,:,::1](int64[::1], int64[::1], int64[::1], int64, uint64)", cache=True, nogil=True)
def _repetition(equal, characters, first, largest, secret):  # type: ignore[no-untyped-def]
    texts = len(first) - 1
    result = np.zeros((2, largest, texts), np.int64)
    most = np.int64(1)
    for text in range(texts):
        most = max(most, first[text + 1] - first[text])
    slots = 4
    while slots < 2 * most:
        slots *= 2
    keys, owners = np.empty(slots, np.uint64), np.empty(slots, np.int64)
    starts = np.empty(most, np.int64)  # where candidates begin, ascending
    numbers = np.empty(most, np.int64)  # those of their first n - 1 words, later of all n
    counts, origins = np.empty(most, np.int64), np.empty(most, np.int64)  # by number
    for text in range(texts):
        begin, end = first[text], first[text + 1]
        size = end - begin  # of the candidates
        for index in range(size):
            starts[index], numbers[index] = begin + index, 0
        for n in range(1, largest + 1):
            slots = 4
            while slots < 2 * size:
                slots *= 2
            owners[:slots] = -1
            known = left = 0
            for index in range(size):
                start = starts[index]
                if start + n > end:
                    continue
                word = equal[start + n - 1] - begin
                key = np.uint64(numbers[index]) << np.uint64(32) | np.uint64(word)
                value = (key ^ secret) * np.uint64(0x9E3779B97F4A7C15)
                value = (value ^ value >> np.uint64(32)) * np.uint64(0xBF58476D1CE4E5B9)
                slot = np.int64((value ^ value >> np.uint64(32)) & np.uint64(slots - 1))
                while owners[slot] >= 0 and keys[slot] != key:
                    slot = (slot + 1) & (slots - 1)
                number = owners[slot]
                if number < 0:
                    number = known
                    owners[slot], keys[slot] = number, key
                    counts[number], origins[number] = 0, start
                    known += 1
                counts[number] += 1
                starts[left], numbers[left] = start, number
                left += 1
            top = 0
            for number in range(1, known):  # in the order of first occurrence
                if counts[number] > counts[top]:
                    top = number
            if known and counts[top] > 1:
                length = characters[origins[top] + n] - characters[origins[top]] + n - 1
                result[0, n - 1, text] = counts[top] * length
            free = begin
            size = 0
            for index in range(left):
                start, number = starts[index], numbers[index]
                if counts[number] == 1:
                    continue
                starts[size], numbers[size] = start, number
                size += 1
                if start >= free:
                    if origins[number] < 0:
                        length = characters[start + n] - characters[start] + n - 1
                        result[1, n - 1, text] += length
                        free = start + n
                    else:
                        origins[number] = -1  # met
            if not size:
                break
    return result
