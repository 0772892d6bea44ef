"""The words, lines and paragraphs of many texts, found by compiled code in their UTF-8.

Words are what white space separates: no language's rules are presumed, and texts in scripts
without spaces have few and long ones. Lines and paragraphs (which blank lines separate) are those
with anything but white space in them. White space is what ``str.split`` splits at.
"""

import functools
import re
import secrets
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scripts.common.texts import Texts

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Parts:
    """Parts of texts, in order of place.

    starts, ends: int64 [parts], bytes of the texts' data. characters: int64 [parts]. first: int64
    [texts + 1], the index of each text's first part.
    """

    starts: Ints
    ends: Ints
    characters: Ints
    first: Ints

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def counts(self) -> Ints:
        """The number of parts of each text."""
        return np.diff(self.first)

    def sums(self, values: NDArray[Any]) -> Ints:
        """Return, for each text, the sum over its parts of whole numbers or truths."""
        return sums(values, self.first)


@dataclass(frozen=True)
class Words(Parts):
    """``letters``: bool [words], which have a letter or another number than digits (Ⅷ, ½)."""

    letters: NDArray[np.bool_]


@dataclass(frozen=True)
class Lines(Parts):
    """``inner_starts`` and ``inner_ends`` are where they start and end but for white space."""

    inner_starts: Ints
    inner_ends: Ints


def sums(values: NDArray[Any], first: Ints) -> Ints:
    """Return the sums of ``values[first[i] : first[i + 1]]``; the last ends where they all do."""
    result = np.zeros(len(first) - 1, np.int64)
    filled = np.flatnonzero(np.diff(first))  # reduceat knows no empty stretches
    if len(filled):
        result[filled] = np.add.reduceat(values, first[filled], dtype=np.int64)
    return result


def fractions(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """Return ``part / whole``, and 0 where there is nothing to take a part of."""
    return np.where(whole > 0, part / np.maximum(whole, 1), 0.0)


def characters(texts: Texts) -> Ints:
    """Return the number of characters of each text."""
    counts: Ints = _characters(texts.data, texts.offsets)
    return counts


def split_words(texts: Texts) -> Words:
    starts, ends, lengths, first, letters = _words(
        texts.data, texts.offsets, *_spaces(), _letters()
    )
    return Words(starts, ends, lengths, first, letters)


def split_lines(texts: Texts) -> Lines:
    starts, ends, lengths, first, inner_starts, inner_ends, _ = _segments(
        texts.data, texts.offsets, *_spaces(), False
    )
    return Lines(starts, ends, lengths, first, inner_starts, inner_ends)


def split_paragraphs(texts: Texts) -> Parts:
    """Return paragraphs without the white space around them."""
    _, _, _, first, starts, ends, lengths = _segments(texts.data, texts.offsets, *_spaces(), True)
    return Parts(starts, ends, lengths, first)


def first_equal(texts: Texts, parts: Parts) -> Ints:
    """Return, for each part, the index of the first part of its text that equals it.

    The hashes behind it begin with a secret, so that no text can be written whose words collide;
    as equal hashes are checked, the result does not depend on it.
    """
    found: Ints = _first_equal(texts.data, parts.starts, parts.ends, parts.first, _SECRET)
    return found


def repeats(texts: Texts, parts: Parts) -> tuple[Ints, Ints]:
    """Return, for each text, how many parts repeat an earlier one, and the characters in them."""
    repeated = first_equal(texts, parts) != np.arange(len(parts))
    return parts.sums(repeated), parts.sums(np.where(repeated, parts.characters, 0))


_SECRET = np.uint64(secrets.randbits(64))

# What a byte says of the character that it begins: no white space (nor do continuations of a
# character begin any), white space of its own, or maybe white space, of two or of three bytes.
_OTHER, _SPACE, _MAYBE = range(3)
_TEXTS = "Array(uint8, 1, 'C', readonly=True), Array(int64, 1, 'C', readonly=True)"
_SPACES = "Array(uint8, 1, 'C'), Array(boolean, 1, 'C')"


# Beyond there is neither the one nor the other, and looking at a million characters takes long.
_SPACES_END, _LETTERS_END = 0x10000, 0x40000


@functools.cache
def _spaces() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return what each byte begins, and for each code point whether ``str.split`` splits there."""
    spaces = [code for code in range(_SPACES_END) if chr(code).isspace()]
    is_space = np.zeros(max(spaces) + 1, np.bool_)
    is_space[spaces] = True
    kinds = np.full(256, _OTHER, np.uint8)
    for code in spaces:
        kinds[chr(code).encode()[0]] = _SPACE if code < 0x80 else _MAYBE
    return kinds, is_space


@functools.cache
def _letters() -> NDArray[np.bool_]:
    """Return, for each code point, whether it is a word's character but no digit or underscore."""
    every = "".join(map(chr, range(_LETTERS_END)))
    table = np.zeros(sys.maxunicode + 1, np.bool_)
    for match in re.finditer(r"[^\W\d_]+", every):
        table[match.start() : match.end()] = True
    return table


@njit("int64(Array(uint8, 1, 'C', readonly=True), int64, boolean[::1])", cache=True, nogil=True)
def _space_length(data, at, is_space):  # type: ignore[no-untyped-def]
    """Return the bytes of the white space at ``at``, whose kind is _MAYBE; 0 if it is none."""
    code, length = np.int64(data[at]) & 0x1F, 2
    if data[at] >= 0xE0:
        code, length = code & 0x0F, 3
    for more in range(at + 1, at + length):
        code = code << 6 | np.int64(data[more]) & 0x3F
    return length if code < len(is_space) and is_space[code] else 0


@njit("int64(Array(uint8, 1, 'C', readonly=True), int64)", cache=True, nogil=True)
def _code_point(data, at):  # type: ignore[no-untyped-def]
    lead = np.int64(data[at])
    if lead < 0x80:
        return lead
    if lead < 0xE0:
        length, code = 2, lead & 0x1F
    elif lead < 0xF0:
        length, code = 3, lead & 0x0F
    else:
        length, code = 4, lead & 0x07
    for more in range(at + 1, at + length):
        code = code << 6 | np.int64(data[more]) & 0x3F
    return code


@njit(f"int64[::1]({_TEXTS})", cache=True, nogil=True)
def _characters(data, offsets):  # type: ignore[no-untyped-def]
    counts = np.zeros(len(offsets) - 1, np.int64)
    for text in range(len(counts)):
        count = 0
        for at in range(offsets[text], offsets[text + 1]):
            count += data[at] & 0xC0 != 0x80  # not a continuation
        counts[text] = count
    return counts


@njit(
    f"Tuple((int64[::1], int64[::1], int64[::1], int64[::1], boolean[::1]))({_TEXTS}, {_SPACES},"
    " Array(boolean, 1, 'C'))",
    cache=True,
    nogil=True,
)
def _words(data, offsets, kinds, is_space, letters):  # type: ignore[no-untyped-def]
    texts = len(offsets) - 1
    bound = (offsets[texts] - offsets[0] + texts) // 2 + 1
    starts, ends = np.empty(bound, np.int64), np.empty(bound, np.int64)
    lengths, lettered = np.empty(bound, np.int64), np.empty(bound, np.bool_)
    first = np.zeros(texts + 1, np.int64)
    count = 0
    for text in range(texts):
        at, end = offsets[text], offsets[text + 1]
        while at < end:
            kind = kinds[data[at]]
            if kind == _MAYBE:
                length = _space_length(data, at, is_space)
                if length:
                    at += length
                    continue
            elif kind == _SPACE:
                at += 1
                continue
            start, length, has_letter = at, 0, False
            while at < end:
                byte = data[at]
                kind = kinds[byte]
                if kind == _SPACE or (kind == _MAYBE and _space_length(data, at, is_space)):
                    break
                if byte < 0x80:
                    has_letter |= letters[byte]
                    length += 1
                elif byte >= 0xC0:
                    has_letter = has_letter or letters[_code_point(data, at)]
                    length += 1
                at += 1
            starts[count], ends[count] = start, at
            lengths[count], lettered[count] = length, has_letter
            count += 1
        first[text + 1] = count
    return (
        starts[:count].copy(),
        ends[:count].copy(),
        lengths[:count].copy(),
        first,
        lettered[:count].copy(),
    )


@njit(
    f"Tuple((int64[::1], int64[::1], int64[::1], int64[::1], int64[::1], int64[::1], int64[::1]))"
    f"({_TEXTS}, {_SPACES}, boolean)",
    cache=True,
    nogil=True,
)
def _segments(data, offsets, kinds, is_space, paragraphs):  # type: ignore[no-untyped-def]
    """Return the lines, or the stretches between two newlines in a row, that are not blank.

    Start, end and characters with and without the white space around them.
    """
    texts = len(offsets) - 1
    bound = texts
    for at in range(offsets[0], offsets[texts]):
        bound += data[at] == 10
    whole = np.empty((3, bound), np.int64)
    inner = np.empty((3, bound), np.int64)
    first = np.zeros(texts + 1, np.int64)
    count = 0
    for text in range(texts):
        at, end = offsets[text], offsets[text + 1]
        while at < end:
            start = at
            seen = 0  # characters from the start on
            inner_start = inner_end = np.int64(-1)
            before = inside = 0  # characters before the inner part, and up to its end
            while at < end:
                byte = data[at]
                if byte == 10 and (not paragraphs or (at + 1 < end and data[at + 1] == 10)):
                    break
                kind = kinds[byte]
                length = 0
                if kind == _MAYBE:
                    length = _space_length(data, at, is_space)
                elif kind == _SPACE:
                    length = 1
                if length:
                    seen += 1
                    at += length
                    continue
                if inner_start < 0:
                    inner_start, before = at, seen
                seen += byte & 0xC0 != 0x80
                at += 1
                inner_end, inside = at, seen
            if inner_start >= 0:
                whole[0, count], whole[1, count], whole[2, count] = start, at, seen
                inner[0, count], inner[1, count] = inner_start, inner_end
                inner[2, count] = inside - before
                count += 1
            at += 2 if paragraphs else 1
        first[text + 1] = count
    return (
        whole[0, :count].copy(),
        whole[1, :count].copy(),
        whole[2, :count].copy(),
        first,
        inner[0, :count].copy(),
        inner[1, :count].copy(),
        inner[2, :count].copy(),
    )


@njit("uint64(Array(uint8, 1, 'C', readonly=True), int64, int64, uint64)", cache=True, nogil=True)
def _hash(data, start, end, secret):  # type: ignore[no-untyped-def]
    value = secret ^ np.uint64(end - start)
    at = start
    while at < end:
        lane = np.uint64(0)
        if end - at >= 8:
            for byte in range(8):
                lane |= np.uint64(data[at + byte]) << np.uint64(8 * byte)
        else:
            for byte in range(end - at):
                lane |= np.uint64(data[at + byte]) << np.uint64(8 * byte)
        value = (value ^ lane) * np.uint64(0x9E3779B97F4A7C15)
        value ^= value >> np.uint64(29)
        at += 8
    value *= np.uint64(0xBF58476D1CE4E5B9)
    return value ^ value >> np.uint64(32)


@njit(
    "int64[::1](Array(uint8, 1, 'C', readonly=True), int64[::1], int64[::1], int64[::1], uint64)",
    cache=True,
    nogil=True,
)
def _first_equal(data, starts, ends, first, secret):  # type: ignore[no-untyped-def]
    texts = len(first) - 1
    most = 0
    for text in range(texts):
        most = max(most, first[text + 1] - first[text])
    slots = 4
    while slots < 2 * most:
        slots *= 2
    hashes, owners = np.empty(slots, np.uint64), np.empty(slots, np.int64)
    result = np.empty(len(starts), np.int64)
    for text in range(texts):
        slots = 4
        while slots < 2 * (first[text + 1] - first[text]):
            slots *= 2
        owners[:slots] = -1
        for part in range(first[text], first[text + 1]):
            start, length = starts[part], ends[part] - starts[part]
            value = _hash(data, start, ends[part], secret)
            slot = np.int64(value & np.uint64(slots - 1))
            while True:
                owner = owners[slot]
                if owner < 0:
                    owners[slot], hashes[slot], result[part] = part, value, part
                    break
                if hashes[slot] == value and ends[owner] - starts[owner] == length:
                    other = starts[owner]
                    same = True
                    for byte in range(length):
                        if data[start + byte] != data[other + byte]:
                            same = False
                            break
                    if same:
                        result[part] = owner
                        break
                slot = (slot + 1) & (slots - 1)
    return result
