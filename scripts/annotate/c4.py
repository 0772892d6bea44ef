"""C4's measures (Raffel et al., 2020, section 2.2), with the constants of its released code.

C4 removes lines as well as documents. Documents never change here, so its line rules are told as
the fraction of lines that they would remove, and sentences are counted in the lines that C4 keeps.
"""

import numpy as np
from numba import njit

from scripts.annotate import runner
from scripts.annotate.parts import Lines, Words, fractions, split_lines, split_words
from scripts.annotate.runner import Columns
from scripts.common.texts import Texts

_MIN_WORDS_PER_LINE = 5
_MAX_WORD_LENGTH = 1000
_LOREM, _JAVASCRIPT = "lorem ipsum", "javascript"
_POLICY = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)


def measure(texts: Texts) -> Columns:
    """Return the measures behind C4's rules.

    ``c4_lorem_ipsum``, ``c4_curly_bracket`` and ``c4_sentences`` are counts, the others fractions
    of lines.
    """
    words, lines = split_words(texts), split_lines(texts)
    brackets, phrases = _find(
        texts.data, lines.inner_starts, lines.inner_ends, *_PHRASES, len(_ALL)
    )
    scripted, legal = phrases[1] > 0, (phrases[2:] > 0).any(axis=0)
    sentences = np.where(scripted | legal, 0, _sentences_of_lines(texts, words, lines))
    return {
        "c4_lorem_ipsum": lines.sums(phrases[0]),
        "c4_curly_bracket": lines.sums(brackets),
        "c4_javascript": fractions(lines.sums(scripted), lines.counts),
        "c4_policy": fractions(lines.sums(legal), lines.counts),
        "c4_sentences": lines.sums(sentences),
    }


def _sentences_of_lines(texts: Texts, words: Words, lines: Lines) -> np.ndarray:
    """Return the sentences of each line: none if C4 removes it for its words or its end."""
    first = np.searchsorted(words.starts, lines.starts)
    last = np.append(first[1:], len(words))
    kept = last - first >= _MIN_WORDS_PER_LINE
    if len(lines):
        kept &= np.maximum.reduceat(words.characters, first) <= _MAX_WORD_LENGTH
    counts, terminated = _sentence_ends(texts.data, words.starts, words.ends, first, last)
    return np.where(kept & terminated, np.maximum(counts, 1), 0)


def _phrase_table(phrases: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the phrases' bytes, where each begins, and which bytes, lower-cased, begin one."""
    encoded = [phrase.encode() for phrase in phrases]
    starts = np.cumsum([0, *map(len, encoded)])
    begins = np.isin(np.arange(256), [one[0] for one in encoded])
    return np.frombuffer(b"".join(encoded), np.uint8).copy(), starts, begins


_ALL = (_LOREM, _JAVASCRIPT, *_POLICY)
_PHRASES = _phrase_table(_ALL)


@njit(
    "Tuple((int64[::1], int64[:,::1]))(Array(uint8, 1, 'C', readonly=True), int64[::1],"
    " int64[::1], uint8[::1], int64[::1], boolean[::1], int64)",
    cache=True,
    nogil=True,
)
def _find(data, starts, ends, phrases, bounds, begins, count):  # type: ignore[no-untyped-def]
    """Count each line's opening curly brackets, and its occurrences of phrases in any case.

    The Kelvin sign, E2 84 AA, has the lower case k.
    """
    brackets = np.zeros(len(starts), np.int64)
    found = np.zeros((count, len(starts)), np.int64)
    for line in range(len(starts)):
        end = ends[line]
        for start in range(starts[line], end):
            byte = data[start]
            brackets[line] += byte == 123
            if not begins[byte + 32 if 65 <= byte <= 90 else byte]:
                continue
            for phrase in range(count):
                at, place = start, bounds[phrase]
                while at < end and place < bounds[phrase + 1]:
                    byte = data[at]
                    if 65 <= byte <= 90:
                        byte += 32
                    elif (
                        byte == 0xE2
                        and at + 2 < end
                        and data[at + 1] == 0x84
                        and data[at + 2] == 0xAA
                    ):
                        byte = 107
                        at += 2
                    if byte != phrases[place]:
                        break
                    at += 1
                    place += 1
                found[phrase, line] += place == bounds[phrase + 1]
    return brackets, found


@njit(
    "Tuple((int64[::1], boolean[::1]))(Array(uint8, 1, 'C', readonly=True), int64[::1],"
    " int64[::1], int64[::1], int64[::1])",
    cache=True,
    nogil=True,
)
def _sentence_ends(data, starts, ends, first, last):  # type: ignore[no-untyped-def]
    r"""Count each line's words that end a sentence: one of ``.?!``, then any of ``"')]``.

    And tell whether the line ends as C4 wants it, with one of ``.?!"`` but not with an ellipsis.
    """
    counts, terminated = np.zeros(len(first), np.int64), np.zeros(len(first), np.bool_)
    for line in range(len(first)):
        for word in range(first[line], last[line]):
            at = ends[word] - 1
            while at > starts[word] and (
                data[at] == 34 or data[at] == 39 or data[at] == 41 or data[at] == 93
            ):
                at -= 1
            counts[line] += data[at] == 46 or data[at] == 63 or data[at] == 33
        start, end = starts[last[line] - 1], ends[last[line] - 1]
        byte = data[end - 1]
        dots = end - start >= 3 and byte == 46 and data[end - 2] == 46 and data[end - 3] == 46
        ends_well = byte == 46 or byte == 63 or byte == 33 or byte == 34
        terminated[line] = ends_well and not dots
    return counts, terminated


if __name__ == "__main__":
    runner.main("c4", measure, __doc__)
