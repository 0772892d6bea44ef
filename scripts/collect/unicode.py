"""Undoing damage to text where it is collected: from then on documents do not change."""

import re
import unicodedata
from typing import Literal

import ftfy

Treatment = Literal["keep", "repair", "nfc"]

# Damage alone: what somebody wrote on purpose (curly quotes, wide letters, ligatures, entities in
# code, line ends) is left to them.
_REPAIR = ftfy.TextFixerConfig(
    unescape_html=False,
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    fix_line_breaks=False,
    normalization="NFC",
    explain=False,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")  # with \x1b, terminal escapes


def treated(text: str, treatment: Treatment) -> str:
    """Return a text as the treatment has it.

    ``nfc`` composes letters and accents. ``repair`` also undoes wrong decoding ("schÃ¶n"), joins
    halves of surrogate pairs, and removes control characters and terminal escapes.
    """
    if treatment == "keep":
        return text
    if treatment == "nfc":
        return unicodedata.normalize("NFC", text)
    if text.isascii() and not _CONTROL.search(text):  # most code, told a thousand times faster
        return text
    return ftfy.fix_text(text, _REPAIR)
