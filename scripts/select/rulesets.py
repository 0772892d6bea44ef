"""Published rule sets as intervals over attributes, and the bounds that follow for a domain."""

import math
from collections.abc import Mapping

from scripts.common.attributes import LANGUAGE, PII_SPANS, WORDS
from scripts.common.config.select import SelectDomain

Interval = tuple[float | None, float | None]


def _above(value: float) -> float:
    return math.nextafter(value, math.inf)


def _below(value: float) -> float:
    return math.nextafter(value, -math.inf)


# Both ends of an interval are inside it; None is unbounded.
RULE_SETS: Mapping[str, Mapping[str, Interval]] = {
    # Rae et al., 2021 (Gopher), appendix A1.1
    "gopher_quality": {
        "gopher_words": (50, 100_000),
        "gopher_mean_word_length": (3, 10),
        "gopher_symbol_ratio": (None, 0.1),
        "gopher_bullet_lines": (None, 0.9),
        "gopher_ellipsis_lines": (None, 0.3),
        "gopher_alphabetic_words": (0.8, None),
        "gopher_stop_words": (2, None),
    },
    # The same, table A1
    "gopher_repetition": {
        "gopher_duplicate_lines": (None, 0.30),
        "gopher_duplicate_paragraphs": (None, 0.30),
        "gopher_duplicate_line_characters": (None, 0.20),
        "gopher_duplicate_paragraph_characters": (None, 0.20),
        "gopher_top_2gram": (None, 0.20),
        "gopher_top_3gram": (None, 0.18),
        "gopher_top_4gram": (None, 0.16),
        "gopher_duplicate_5gram": (None, 0.15),
        "gopher_duplicate_6gram": (None, 0.14),
        "gopher_duplicate_7gram": (None, 0.13),
        "gopher_duplicate_8gram": (None, 0.12),
        "gopher_duplicate_9gram": (None, 0.11),
        "gopher_duplicate_10gram": (None, 0.10),
    },
    # Raffel et al., 2020 (T5), section 2.2. Its rules on lines with "javascript" or policy notes
    # remove the lines and not the document: they bound nothing, and their lines have no sentences.
    "c4": {
        "c4_lorem_ipsum": (None, 0),
        "c4_curly_bracket": (None, 0),
        "c4_sentences": (3, None),
    },
    # Penedo et al., 2024 (FineWeb), section 3.5, and its released code for the newline ratio
    "fineweb": {
        "fineweb_terminal_punctuation_lines": (_above(0.12), None),
        "fineweb_short_lines": (None, _below(0.67)),
        "fineweb_duplicate_line_characters": (None, _below(0.1)),
        "fineweb_newline_ratio": (None, 0.3),
    },
    # Li et al., 2023 (StarCoder), section 3: for programming languages, not for data files
    "starcoder": {
        "code_mean_line_length": (None, 100),
        "code_max_line_length": (None, 1000),
        "code_alphabetic": (0.25, None),
        "code_xml": (None, 0),
    },
}


def bounds(settings: SelectDomain) -> dict[str, Interval]:
    """Return the interval of every bounded attribute, in the order in which they are judged.

    Rule sets come in the order of the configuration, then the single bounds by name; a single
    bound takes the place of the rule set's for the same attribute.
    """
    intervals: dict[str, Interval] = {}
    for rule_set in settings.rules:
        intervals.update(RULE_SETS[rule_set])
    intervals.update(sorted(settings.bounds.items()))
    return intervals


def columns(settings: SelectDomain) -> list[str]:
    """Return the attributes that a selection by these settings reads."""
    names = list(bounds(settings))
    sampling = settings.sampling
    if settings.languages or any(entry.languages for entry in sampling):
        names.append(LANGUAGE)
    if any(entry.words != (None, None) for entry in sampling):
        names.append(WORDS)
    if settings.mask:
        names.append(PII_SPANS)
    return list(dict.fromkeys(names))
