"""The heuristics written out slowly, as their definitions say, a document at a time."""

import re
import string
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from scripts.annotate.gopher import DUPLICATE_NGRAMS, TOP_NGRAMS


@dataclass(frozen=True)
class Text:
    """A text with its words, lines and paragraphs.

    Words are what white space separates: no language's rules are presumed, and texts in scripts
    without spaces have few and long ones. Lines and paragraphs (which blank lines separate) are
    those with anything but white space in them.
    """

    raw: str

    @cached_property
    def words(self) -> list[str]:
        return self.raw.split()

    @cached_property
    def word_counts(self) -> Counter[str]:
        """How often each distinct word occurs, in the order of first occurrence."""
        return Counter(self.words)

    @cached_property
    def lines(self) -> list[str]:
        return [line for line in self.raw.split("\n") if line and not line.isspace()]

    @cached_property
    def stripped_lines(self) -> list[str]:
        return [line.strip() for line in self.lines]

    @cached_property
    def paragraphs(self) -> list[str]:
        return [stripped for part in self.raw.split("\n\n") if (stripped := part.strip())]

    @cached_property
    def duplicate_lines(self) -> "Duplicates":
        return Duplicates.of(self.lines)


@dataclass(frozen=True)
class Duplicates:
    """How many parts of a text repeat an earlier part, and the characters in them."""

    parts: int
    characters: int

    @classmethod
    def of(cls, parts: list[str]) -> "Duplicates":
        distinct = set(parts)
        if len(distinct) == len(parts):
            return cls(0, 0)
        return cls(len(parts) - len(distinct), _characters(parts) - _characters(distinct))


def fraction(part: float, whole: float) -> float:
    """Return ``part / whole``, and 0 where there is nothing to take a part of."""
    return part / whole if whole else 0.0


def _characters(parts: Iterable[str]) -> int:
    return sum(map(len, parts))


_STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
_BULLETS = ("•", "‣", "*", "-")
_ELLIPSES = ("...", "…")
_PUNCTUATION_TO_SPACE = str.maketrans(dict.fromkeys(string.punctuation, " "))
_LETTER = re.compile(r"[^\W\d_]")


def gopher_quality(text: Text) -> dict[str, float]:
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


def gopher_repetition(text: Text) -> dict[str, float]:
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


def gopher_ngrams(text: Text) -> dict[str, float]:
    """Return the fractions of characters that repeated n-grams take up."""
    length = max(len(text.raw), 1)
    top = {f"gopher_top_{n}gram": min(_top(text.words, n) / length, 1.0) for n in TOP_NGRAMS}
    return top | {
        f"gopher_duplicate_{n}gram": _duplicates(text.words, n) / length for n in DUPLICATE_NGRAMS
    }


def _top(words: list[str], n: int) -> int:
    grams = Counter(" ".join(words[i : i + n]) for i in range(len(words) - n + 1))
    if not grams:
        return 0
    gram, count = grams.most_common(1)[0]
    return len(gram) * count if count > 1 else 0


def _duplicates(words: list[str], n: int) -> int:
    met, characters, place = set(), 0, 0
    while place <= len(words) - n:
        gram = " ".join(words[place : place + n])
        if gram in met:
            characters += len(gram)
            place += n
        else:
            met.add(gram)
            place += 1
    return characters


def gopher(text: Text) -> dict[str, float]:
    return gopher_quality(text) | gopher_repetition(text) | gopher_ngrams(text)


_MIN_WORDS_PER_LINE = 5
_MAX_WORD_LENGTH = 1000
_C4_TERMINALS = (".", "?", "!", '"')
_ELLIPSIS = "..."
_JAVASCRIPT = re.compile("javascript")
_POLICY = re.compile(
    "terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies"
)
_SENTENCE_END = re.compile(r"""[.?!]["')\]]*(?=\s|$)""")


def c4(text: Text) -> dict[str, float]:
    """Return the measures behind C4's rules.

    ``c4_lorem_ipsum``, ``c4_curly_bracket`` and ``c4_sentences`` are counts, the others fractions
    of lines.
    """
    lowered = text.raw.lower()
    scripted = _lines_with(_JAVASCRIPT, text, lowered)
    legal = _lines_with(_POLICY, text, lowered)
    removed = {*scripted, *legal}
    kept = (line for line in text.stripped_lines if line not in removed)
    return {
        "c4_lorem_ipsum": lowered.count("lorem ipsum"),
        "c4_curly_bracket": text.raw.count("{"),
        "c4_javascript": fraction(len(scripted), len(text.lines)),
        "c4_policy": fraction(len(legal), len(text.lines)),
        "c4_sentences": sum(map(_sentences, kept)),
    }


def _lines_with(pattern: re.Pattern[str], text: Text, lowered: str) -> list[str]:
    if not pattern.search(lowered):  # the common case, told without a look at each line
        return []
    return [line for line in text.stripped_lines if pattern.search(line.lower())]


def _sentences(line: str) -> int:
    """Count the sentences of a line; a line that C4's rules remove has none."""
    if not line.endswith(_C4_TERMINALS) or line.endswith(_ELLIPSIS):
        return 0
    words = line.split()
    if len(words) < _MIN_WORDS_PER_LINE or max(map(len, words)) > _MAX_WORD_LENGTH:
        return 0
    return max(len(_SENTENCE_END.findall(line)), 1)


_FINEWEB_TERMINALS = (".", "'", '"', "!", "?")
_SHORT_LINE_CHARACTERS = 30


def fineweb(text: Text) -> dict[str, float]:
    """Return FineWeb's measures: fractions of lines and characters, and newlines per word."""
    newlines = text.raw.count("\n")
    terminated = sum(line.endswith(_FINEWEB_TERMINALS) for line in text.stripped_lines)
    short = sum(len(line) <= _SHORT_LINE_CHARACTERS for line in text.lines)
    repeated = text.duplicate_lines.characters
    return {
        "fineweb_terminal_punctuation_lines": fraction(terminated, len(text.lines)),
        "fineweb_short_lines": fraction(short, len(text.lines)),
        "fineweb_duplicate_line_characters": fraction(repeated, len(text.raw) - newlines),
        "fineweb_newline_ratio": fraction(newlines, len(text.words)),
    }
