"""Gopher's measures of quality and of repeated lines (Rae et al., 2021, appendix A1.1).

Its measures of repeated n-grams are in ``ngrams``.
"""

import re
import string

from scripts.annotate.text import Duplicates, Text, fraction

_STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
_BULLETS = ("•", "‣", "*", "-")
_ELLIPSES = ("...", "…")
_PUNCTUATION_TO_SPACE = str.maketrans(dict.fromkeys(string.punctuation, " "))
_LETTER = re.compile(r"[^\W\d_]")


def quality(text: Text) -> dict[str, float]:
    """Return the measures behind Gopher's quality filter.

    ``gopher_words`` and ``gopher_stop_words`` are counts (of the distinct stop words),
    ``gopher_mean_word_length`` is in characters, all others are fractions of words or lines.
    """
    words = len(text.words)
    hashes = text.raw.count("#")
    ellipses = sum(map(text.raw.count, _ELLIPSES))
    bullet_lines = sum(line.startswith(_BULLETS) for line in text.stripped_lines)
    ellipsis_lines = sum(line.endswith(_ELLIPSES) for line in text.stripped_lines)
    return {
        "gopher_words": words,
        "gopher_mean_word_length": fraction(sum(map(len, text.words)), words),
        "gopher_symbol_ratio": fraction(max(hashes, ellipses), words),
        "gopher_bullet_lines": fraction(bullet_lines, len(text.lines)),
        "gopher_ellipsis_lines": fraction(ellipsis_lines, len(text.lines)),
        "gopher_alphabetic_words": fraction(_words_with_letters(text), words),
        "gopher_stop_words": len(_distinct_stop_words(text)),
    }


def repetition(text: Text) -> dict[str, float]:
    """Return the fractions of lines and paragraphs, and of characters in them, that are repeats."""
    lines, paragraphs = text.duplicate_lines, Duplicates.of(text.paragraphs)
    return {
        "gopher_duplicate_lines": fraction(lines.parts, len(text.lines)),
        "gopher_duplicate_paragraphs": fraction(paragraphs.parts, len(text.paragraphs)),
        "gopher_duplicate_line_characters": fraction(lines.characters, len(text.raw)),
        "gopher_duplicate_paragraph_characters": fraction(paragraphs.characters, len(text.raw)),
    }


def _words_with_letters(text: Text) -> int:
    return sum(
        count for word, count in text.word_counts.items() if word.isalpha() or _LETTER.search(word)
    )


def _distinct_stop_words(text: Text) -> frozenset[str]:
    vocabulary = " ".join(text.word_counts).lower().translate(_PUNCTUATION_TO_SPACE)
    return _STOP_WORDS.intersection(vocabulary.split())
