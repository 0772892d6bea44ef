"""C4's measures (Raffel et al., 2020, section 2.2), with the constants of its released code.

C4 removes lines as well as documents. Documents never change here, so its line rules are told as
the fraction of lines that they would remove, and sentences are counted in the lines that C4 keeps.
"""

import re

from scripts.annotate.text import Text, fraction

_MIN_WORDS_PER_LINE = 5
_MAX_WORD_LENGTH = 1000
_TERMINALS = (".", "?", "!", '"')
_ELLIPSIS = "..."
_JAVASCRIPT = re.compile("javascript")
_POLICY = re.compile(
    "terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies"
)
_SENTENCE_END = re.compile(r"""[.?!]["')\]]*(?=\s|$)""")


def measures(text: Text) -> dict[str, float]:
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
    if not line.endswith(_TERMINALS) or line.endswith(_ELLIPSIS):
        return 0
    words = line.split()
    if len(words) < _MIN_WORDS_PER_LINE or max(map(len, words)) > _MAX_WORD_LENGTH:
        return 0
    return max(len(_SENTENCE_END.findall(line)), 1)
