"""FineWeb's own measures (Penedo et al., 2024, section 3.5)."""

import numpy as np

from scripts.annotate import runner
from scripts.annotate.parts import (
    characters,
    fractions,
    repeats,
    split_lines,
    split_words,
    sums,
)
from scripts.annotate.runner import Columns
from scripts.common.texts import Texts

_TERMINALS = np.frombuffer(b""".'"!?""", np.uint8)
_SHORT_LINE_CHARACTERS = 30
_NEWLINE = ord("\n")


def measure(texts: Texts) -> Columns:
    """Return FineWeb's measures: fractions of lines and characters, and newlines per word."""
    words, lines = split_words(texts), split_lines(texts)
    begin, end = texts.offsets[0], texts.offsets[-1]
    newlines = sums(texts.data[begin:end] == _NEWLINE, texts.offsets - begin)
    terminated = np.isin(texts.data[lines.inner_ends - 1], _TERMINALS)
    _, repeated = repeats(texts, lines)
    return {
        "fineweb_terminal_punctuation_lines": fractions(lines.sums(terminated), lines.counts),
        "fineweb_short_lines": fractions(
            lines.sums(lines.characters <= _SHORT_LINE_CHARACTERS), lines.counts
        ),
        "fineweb_duplicate_line_characters": fractions(repeated, characters(texts) - newlines),
        "fineweb_newline_ratio": fractions(newlines, words.counts),
    }


if __name__ == "__main__":
    runner.main("fineweb", measure, __doc__)
