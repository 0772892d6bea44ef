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
_JAVASCRIPT = "javascript"
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
    scripted = _lines_with(_JAVASCRIPT in lowered, text, lambda line: _JAVASCRIPT in line)
    legal = _lines_with(bool(_POLICY.search(lowered)), text, lambda line: bool(_POLICY.search(line)))
    kept = (line for line in text.lines if line not in scripted | legal)
    return {
        "c4_lorem_ipsum": lowered.count("lorem ipsum"),
        "c4_curly_bracket": text.raw.count("{"),
        "c4_javascript": fraction(sum(line in scripted for line in text.lines), len(text.lines)),
        "c4_policy": fraction(sum(line in legal for line in text.lines), len(text.lines)),
        "c4_sentences": sum(map(_sentences, kept)),
    }
