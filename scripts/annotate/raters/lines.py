"""Documents as the single lines that fastText reads, at a small part of what reading them costs."""

from itertools import pairwise

import numpy as np
from numba import njit

from scripts.common.texts import Texts

LABEL = b"__label__"


def lines(texts: Texts, lowercase: bool) -> list[bytes]:
    """Return each text as a line: its newlines are spaces, then comes one.

    With ``lowercase`` A to Z are lower-cased, other letters not: fastText learns both their cases.
    What white space separates is a word to fastText, how much of it does not matter.
    """
    if not len(texts):
        return []
    first = int(texts.offsets[0])
    plain = memoryview(_single_line(texts.data[first : texts.offsets[-1]], lowercase))
    at = (texts.offsets - first).tolist()
    return [b"".join((plain[start:end], b"\n")) for start, end in pairwise(at)]


def without_labels(line: bytes) -> bytes:
    """Return a line none of whose words fastText takes for a label in training.

    In scoring there is no need: it passes over labels.
    """
    return line.replace(LABEL, b" label ")  # the spaces keep what is left from making another


@njit("uint8[::1](Array(uint8, 1, 'C', readonly=True), boolean)", cache=True, nogil=True)
def _single_line(data, lowercase):  # type: ignore[no-untyped-def]
    plain = np.empty(len(data), np.uint8)
    for at in range(len(data)):
        byte = data[at]
        upper = (byte >= 65) & (byte <= 90) & lowercase
        plain[at] = np.uint8(32) if byte == 10 else byte | np.uint8(np.uint8(upper) << np.uint8(5))
    return plain
