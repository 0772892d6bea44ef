"""FineWeb's own measures (Penedo et al., 2024, section 3.5)."""

from scripts.annotate.text import Text, fraction

_TERMINALS = (".", "'", '"', "!", "?")
_SHORT_LINE_CHARACTERS = 30


def measures(text: Text) -> dict[str, float]:
    """Return FineWeb's measures: fractions of lines and characters, and newlines per word."""
    newlines = text.raw.count("\n")
    terminated = sum(line.endswith(_TERMINALS) for line in text.stripped_lines)
    short = sum(len(line) <= _SHORT_LINE_CHARACTERS for line in text.lines)
    repeated = text.duplicate_lines.characters
    return {
        "fineweb_terminal_punctuation_lines": fraction(terminated, len(text.lines)),
        "fineweb_short_lines": fraction(short, len(text.lines)),
        "fineweb_duplicate_line_characters": fraction(repeated, len(text.raw) - newlines),
        "fineweb_newline_ratio": fraction(newlines, len(text.words)),
    }
