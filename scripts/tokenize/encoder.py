"""Text to token ids: by gigatoken where it says what the tokenizer itself says, else by that.

The ids are those of Hugging Face's ``tokenizers``, whose own speed is a few MB/s. gigatoken reads
the same ``tokenizer.json``, some seventy times faster, but knows only the common pre-tokenizers and
gives no guarantee. So nothing is taken on trust: it is used only if it encodes a set of nasty texts
alike, then every document is checked to be spelled by its ids, and a share of the documents is
encoded by both. One difference, and the whole shard is encoded by ``tokenizers``.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import gigatoken
import numpy as np
from numba import njit
from numpy.typing import NDArray
from tokenizers import Tokenizer

from scripts.common.keyed_hash import keyed_hash

log = logging.getLogger(__name__)

_COMPARED_ONE_IN = 256  # costs a third as much as encoding all the others
_COMPARED_KEY = "tokenize compare"
_HASHES = 1 << 64

# What tokenizers are known to disagree on: white space, digits, contractions, marks, scripts.
_NASTY = (
    "",
    " ",
    "\n\n  \t x\r\n\r\n   y \u00a0z\u2028w\u3000",
    "def f(x):\n\t\treturn  x**2  # naïve “quotes”…\n",
    "It's they'LL we'Ve I'd don\u2019t 1234567890 1,234.56 ½ ٣٤٥ Ⅷ",
    "数学は楽しい。한국어 ไทย हिन्दी עברית العربية",
    "e\u0301 \u212b ﬁ İstanbul ΣΑΣ ß \u200b\ufeff\u0000\u0007",
    "🙂👨\u200d👩\u200d👧🏽🇩🇪" * 3,
    "a" * 300 + "=" * 300 + " " * 300,
)


class Encoded:
    """Ids of several texts: those of text ``t`` are ``ids[ends[t - 1]:ends[t]]``."""

    def __init__(self, ids: NDArray[np.uint32], lengths: NDArray[np.int64]) -> None:
        self.ids = ids
        self.lengths = lengths  # (texts,)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Encoded)
            and np.array_equal(self.lengths, other.lengths)
            and np.array_equal(self.ids, other.ids)
        )


class Encoder(Protocol):
    """Encodes whole texts as plain text: what spells a special token is not one."""

    name: str

    def encode(self, texts: Sequence[str]) -> Encoded: ...


class ReferenceEncoder:
    """Hugging Face's ``tokenizers``: by definition right."""

    name = "tokenizers"

    def __init__(self, file: Path) -> None:
        self._tokenizer = Tokenizer.from_file(file.as_posix())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True

    def encode(self, texts: Sequence[str]) -> Encoded:
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        lengths = np.array([len(encoding.ids) for encoding in encodings], np.int64)
        ids = [np.array(encoding.ids, np.uint32) for encoding in encodings]
        return Encoded(np.concatenate([np.empty(0, np.uint32), *ids]), lengths)


class UnlikeReferenceError(Exception):
    """A fast encoder's ids are not the tokenizer's."""


class FastEncoder:
    """gigatoken, which checks that each text is spelled by the ids that it returns for it."""

    name = "gigatoken"

    def __init__(self, file: Path) -> None:
        """Read ``tokenizer.json``; raises ValueError or RuntimeError for parts it does not know."""
        values = json.loads(file.read_bytes())
        added = values["added_tokens"]
        values["added_tokens"] = [token for token in added if not token["special"]]
        self._tokenizer = gigatoken.Tokenizer.from_json(json.dumps(values))
        self._spelling = None if values["normalizer"] else Spelling(self._tokenizer.vocab)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode; raises UnlikeReferenceError if some ids do not spell their text."""
        encoded = self._tokenizer.encode_batch(list(texts))
        lengths, ids = _layout(encoded)
        if self._spelling is not None and not self._spelling.holds(texts, ids, lengths):
            raise UnlikeReferenceError("its ids do not spell a document")
        return Encoded(ids, lengths)


def _layout(encoded: Any) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Return the lengths and the ids, one after the other, of an awkward array of lists."""
    lists = encoded.layout.to_packed()
    return np.diff(np.asarray(lists.offsets)).astype(np.int64), np.asarray(lists.content.data)


class Spelling:
    """The bytes of every token, to compare texts with."""

    def __init__(self, vocabulary: dict[int, bytes]) -> None:
        tokens = [vocabulary.get(token, b"") for token in range(max(vocabulary) + 1)]
        self._bytes = np.frombuffer(bytearray().join(tokens), np.uint8)
        self._ends = np.cumsum([len(token) for token in tokens], dtype=np.int64)

    def holds(
        self, texts: Sequence[str], ids: NDArray[np.uint32], lengths: NDArray[np.int64]
    ) -> bool:
        """Return whether the ids of each text, joined, are its bytes."""
        encoded = [text.encode() for text in texts]
        data = np.frombuffer(bytearray().join([*encoded, b"\0"]), np.uint8)
        sizes = np.array([len(one) for one in encoded], np.int64)
        return bool(_spelled(data, sizes, ids, lengths, self._bytes, self._ends))


@njit(
    "boolean(uint8[::1], int64[::1], uint32[::1], int64[::1], uint8[::1], int64[::1])",
    cache=True,
    nogil=True,
)
def _spelled(data, sizes, ids, lengths, token_bytes, token_ends):  # type: ignore[no-untyped-def]
    at = token = np.int64(0)
    end = np.int64(0)
    for text in range(len(sizes)):
        end += sizes[text]
        for _ in range(lengths[text]):
            first = np.int64(0) if ids[token] == 0 else token_ends[ids[token] - 1]
            last = token_ends[ids[token]]
            if at + last - first > end:
                return False
            for byte in range(first, last):
                if token_bytes[byte] != data[at]:
                    return False
                at += 1
            token += 1
        if at != end:
            return False
    return True


class Checked:
    """An encoder of a shard's documents, compared with the reference on a share of them."""

    def __init__(self, encoder: Encoder, reference: ReferenceEncoder) -> None:
        self._encoder = encoder
        self._reference = reference
        self.compared = 0  # documents

    @property
    def name(self) -> str:
        return self._encoder.name

    def encode(self, texts: Sequence[str], ids: NDArray[np.int64]) -> Encoded:
        """Encode documents, whose ``ids`` choose those to compare.

        Raises UnlikeReferenceError if one is encoded otherwise than by the reference.
        """
        encoded = self._encoder.encode(texts)
        if self._encoder is not self._reference:
            chosen = np.flatnonzero(keyed_hash(ids, _COMPARED_KEY) < _HASHES // _COMPARED_ONE_IN)
            ends = np.cumsum(encoded.lengths)
            for text in chosen.tolist():
                first = ends[text] - encoded.lengths[text]
                alone = Encoded(encoded.ids[first : ends[text]], encoded.lengths[text : text + 1])
                if self._reference.encode([texts[text]]) != alone:
                    raise UnlikeReferenceError(f"its ids of document {ids[text]} are others")
            self.compared += len(chosen)
        return encoded


def fast_encoder(file: Path) -> FastEncoder | None:
    """Return gigatoken's encoder if it knows the tokenizer and encodes nasty texts as it does."""
    try:
        fast = FastEncoder(file)
        alike = fast.encode(_NASTY) == ReferenceEncoder(file).encode(_NASTY)
    except (ValueError, RuntimeError, UnlikeReferenceError) as error:  # gigatoken raises both
        log.info("%s: encoded by `tokenizers`, as gigatoken cannot (%s)", file, _first_line(error))
        return None
    if not alike:
        log.info("%s: encoded by `tokenizers`, as gigatoken differs from it", file)
        return None
    return fast


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
