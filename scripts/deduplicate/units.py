"""What exact deduplication compares: texts without their layout, and their lines or paragraphs."""

import functools
import hashlib
import itertools
import sys
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scripts.common.texts import Texts
from scripts.common.xxh64 import xxh64_slices

EXACT_BYTES = 16


@dataclass(frozen=True)
class Units:
    """The lines or paragraphs of a batch of texts, in order of place.

    hash: uint64, XXH64 of the unit as one line, each run of white space as one space. text: int64,
    the index of its text. start, end: int32, the unit with what separates it from the next one, in
    characters of the text; so a text without a unit is ``text[:start] + text[end:]``.
    """

    hash: NDArray[np.uint64]
    text: NDArray[np.int64]
    start: NDArray[np.int32]
    end: NDArray[np.int32]


def exact_hashes(texts: Texts) -> list[bytes]:
    """Return the BLAKE2b-128 of each text, in which a run of white space counts as one space."""
    squeezed = _squeeze_all(texts.data, texts.offsets[:-1], texts.offsets[1:])
    view = squeezed.data.data
    bounds = squeezed.offsets.tolist()
    return [
        hashlib.blake2b(view[start:end], digest_size=EXACT_BYTES).digest()
        for start, end in itertools.pairwise(bounds)
    ]


def split_units(texts: Texts, *, paragraphs: bool, min_characters: int) -> Units:
    """Split texts into lines or, at lines of nothing but white space, into paragraphs.

    Left out are those of fewer than ``min_characters`` once their white space is squeezed, and
    those of nothing else.
    """
    byte_starts, byte_ends, text, starts, ends = _units(
        texts.data, texts.offsets, *_spaces(), paragraphs
    )
    squeezed = _squeeze_all(texts.data, byte_starts, byte_ends)
    long_enough = _characters(squeezed.data, squeezed.offsets) >= max(min_characters, 1)
    hashes = xxh64_slices(
        squeezed.data, squeezed.offsets[:-1][long_enough], squeezed.offsets[1:][long_enough]
    )
    return Units(hashes, text[long_enough], starts[long_enough], ends[long_enough])


def _squeeze_all(
    data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> Texts:
    return Texts(*_squeeze(data, starts, ends, *_spaces()))


# What a byte says of the character that it begins: no white space (nor do continuations of a
# character begin any), white space of its own, or maybe white space, of two or of three bytes.
_OTHER, _SPACE, _MAYBE = range(3)


@functools.cache
def _spaces() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return what each byte begins, and for each code point whether ``str.split`` splits there."""
    spaces = [code for code in range(sys.maxunicode + 1) if chr(code).isspace()]
    is_space = np.zeros(max(spaces) + 1, np.bool_)
    is_space[spaces] = True
    kinds = np.full(256, _OTHER, np.uint8)
    for code in spaces:
        kinds[chr(code).encode()[0]] = _SPACE if code < 0x80 else _MAYBE
    return kinds, is_space


@njit("int64(Array(uint8, 1, 'C', readonly=True), int64, boolean[::1])", cache=True, nogil=True)
def _space_length(data, at, is_space):  # type: ignore[no-untyped-def]
    """Return the bytes of the white space at ``at``, whose kind is _MAYBE; 0 if it is none."""
    code, length = np.int64(data[at]) & 0x1F, 2
    if data[at] >= 0xE0:
        code, length = code & 0x0F, 3
    for more in range(at + 1, at + length):
        code = code << 6 | np.int64(data[more]) & 0x3F
    return length if code < len(is_space) and is_space[code] else 0


@njit(
    "Tuple((uint8[::1], int64[::1]))(Array(uint8, 1, 'C', readonly=True),"
    " Array(int64, 1, 'C', readonly=True), Array(int64, 1, 'C', readonly=True), uint8[::1],"
    " boolean[::1])",
    cache=True,
    nogil=True,
)
def _squeeze(data, starts, ends, kinds, is_space):  # type: ignore[no-untyped-def]
    """Copy slices without white space around them, and runs of it within as one space."""
    text = np.empty((ends - starts).sum() + 1, np.uint8)
    offsets = np.zeros(len(starts) + 1, np.int64)
    size = 0
    for index in range(len(starts)):
        at, end = starts[index], ends[index]
        first = size
        after_space = 1
        while at < end:
            kind = kinds[data[at]]
            length = 1
            if kind == _MAYBE:
                length = max(_space_length(data, at, is_space), 1)
                kind = _SPACE if length > 1 else _OTHER
            # Without a branch at words' ends, which no processor can foresee: a space after
            # another is written where the next character will be.
            space = np.int64(kind == _SPACE)
            text[size] = 32 if space else data[at]
            size += 1 - (space & after_space)
            after_space = space
            at += length
        if size > first and after_space:
            size -= 1
        offsets[index + 1] = size
    return text[:size].copy(), offsets


@njit("int64[::1](uint8[::1], int64[::1])", cache=True, nogil=True)
def _characters(data, offsets):  # type: ignore[no-untyped-def]
    counts = np.zeros(len(offsets) - 1, np.int64)
    for index in range(len(counts)):
        for at in range(offsets[index], offsets[index + 1]):
            counts[index] += data[at] & 0xC0 != 0x80  # not a continuation
    return counts


@njit(
    "Tuple((int64[::1], int64[::1], int64[::1], int32[::1], int32[::1]))("
    "Array(uint8, 1, 'C', readonly=True), Array(int64, 1, 'C', readonly=True), uint8[::1],"
    " boolean[::1], boolean)",
    cache=True,
    nogil=True,
)
def _units(data, offsets, kinds, is_space, paragraphs):  # type: ignore[no-untyped-def]
    """Return where each unit is: its bytes' start and end, its text, its characters' start and end.

    A line ends after its newline; a paragraph after the blank lines behind it. Blank lines at a
    text's beginning are a unit of nothing but white space.
    """
    documents = len(offsets) - 1
    bound = documents
    for at in range(offsets[0], offsets[documents]):
        bound += data[at] == 10
    byte_starts, byte_ends = np.empty(bound, np.int64), np.empty(bound, np.int64)
    texts = np.empty(bound, np.int64)
    starts, ends = np.empty(bound, np.int32), np.empty(bound, np.int32)
    count = 0
    for document in range(documents):
        at, end = offsets[document], offsets[document + 1]
        character = 0
        fresh = True  # the next line begins a unit
        while at < end:
            line, line_character = at, character
            blank = True
            byte = np.uint8(0)
            while at < end and byte != 10:
                byte = data[at]
                kind = kinds[byte]
                length = 1
                if kind == _MAYBE:
                    length = max(_space_length(data, at, is_space), 1)
                    kind = _SPACE if length > 1 else _OTHER
                blank &= kind == _SPACE
                character += byte & 0xC0 != 0x80  # not a continuation of a character
                at += length
            # `fresh` after a blank line: only a line that is not blank begins the next paragraph.
            if not paragraphs or line == offsets[document] or (fresh and not blank):
                byte_starts[count], starts[count], texts[count] = line, line_character, document
                count += 1
            byte_ends[count - 1], ends[count - 1] = at, character
            fresh = blank
    return (
        byte_starts[:count].copy(),
        byte_ends[:count].copy(),
        texts[:count].copy(),
        starts[:count].copy(),
        ends[:count].copy(),
    )
