"""Measures of damaged text: what decoding left behind, and what is not in normal form.

Damage that can be undone is undone where documents are collected (`sources.<name>.unicode`).
"""

import unicodedata

import numpy as np
from ftfy.badness import badness
from numba import njit

from scripts.annotate import runner
from scripts.annotate.parts import characters, fractions
from scripts.annotate.runner import Columns
from scripts.common.texts import Texts


def measure(texts: Texts) -> Columns:
    """Return fractions of characters, and of words for ``unicode_not_nfc``.

    Replacement characters stand where bytes could not be decoded; control characters are counted
    but for tab, newline, form feed and carriage return. Mojibake is ftfy's badness: how often
    characters follow each other as they do in UTF-8 that was read as something else.
    """
    size = characters(texts)
    replacements, controls, beyond_ascii = _count(texts.data, texts.offsets)
    mojibake, not_nfc = np.zeros(len(texts)), np.zeros(len(texts))
    for text in np.flatnonzero(beyond_ascii).tolist():
        decoded = texts.encoded(text).decode()
        mojibake[text] = badness(decoded)
        if not unicodedata.is_normalized("NFC", decoded):
            words = decoded.split()
            wrong = sum(not unicodedata.is_normalized("NFC", word) for word in words)
            not_nfc[text] = wrong / len(words)
    return {
        "unicode_replacement": fractions(replacements, size),
        "unicode_control": fractions(controls, size),
        "unicode_mojibake": fractions(mojibake, size),
        "unicode_not_nfc": not_nfc,
    }


@njit(
    "Tuple((int64[::1], int64[::1], boolean[::1]))(Array(uint8, 1, 'C', readonly=True),"
    " Array(int64, 1, 'C', readonly=True))",
    cache=True,
    nogil=True,
)
def _count(data, offsets):  # type: ignore[no-untyped-def]
    """Count U+FFFD (EF BF BD) and controls (also C2 80 to C2 9F), and tell which are not ASCII."""
    texts = len(offsets) - 1
    replacements, controls = np.zeros(texts, np.int64), np.zeros(texts, np.int64)
    beyond = np.zeros(texts, np.bool_)
    for text in range(texts):
        end = offsets[text + 1]
        for at in range(offsets[text], end):
            byte = data[at]
            if byte < 32 or byte == 127:
                controls[text] += byte != 9 and byte != 10 and byte != 12 and byte != 13
            elif byte >= 0x80:
                beyond[text] = True
                if byte == 0xC2:
                    controls[text] += data[at + 1] < 0xA0
                elif byte == 0xEF:
                    replacements[text] += data[at + 1] == 0xBF and data[at + 2] == 0xBD
    return replacements, controls, beyond


if __name__ == "__main__":
    runner.main("unicode", measure, __doc__)
