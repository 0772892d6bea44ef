"""From places in a batch's words to characters of the documents."""

import numpy as np
from numpy.typing import NDArray

from scripts.common.texts import Texts
from scripts.decontaminate.hashed_words import HashedWords

_DOTTED_I = "\u0130"  # the one character whose lower case is two


class Spans:
    """The characters that words of a batch are."""

    def __init__(self, texts: Texts, words: HashedWords) -> None:
        """``words`` are those of ``texts``, whose characters are told."""
        self._texts, self._words = texts, words
        self._last = -1  # the document read last: places come by document
        self._read_last: tuple[str, bytes, NDArray[np.int64] | None] = ("", b"", None)

    def characters(self, document: int, begin: int, end: int) -> tuple[int, int, str]:
        """Return where the words [begin, end) start and end, and the text there."""
        if document != self._last:
            self._last, self._read_last = document, self._read(document)
        text, searched, lowered = self._read_last
        base = self._words.texts.offsets[document]
        first, last = int(self._words.starts[begin] - base), int(self._words.ends[end - 1] - base)
        if len(searched) != len(text):  # else each character is one byte
            last = len(searched[first:last].decode())
            first = len(searched[:first].decode())
            last += first
        if lowered is not None:
            first, last = np.searchsorted(lowered, [first, last], "right").tolist()
            first, last = first - 1, last - 1
        return first, last, text[first:last]

    def _read(self, document: int) -> tuple[str, bytes, NDArray[np.int64] | None]:
        """Return a document, its bytes as they were searched, and where its characters went."""
        text = self._texts.encoded(document).decode()
        lowered = None
        if _DOTTED_I in text:
            lengths = [2 if character == _DOTTED_I else 1 for character in text]
            lowered = np.concatenate([[0], np.cumsum(lengths)])
        return text, self._words.texts.encoded(document), lowered
