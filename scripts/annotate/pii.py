"""Find personal data and secrets in documents: mail, IP addresses, phones, keys, cards, accounts.

Precision comes first: what is masked is lost to training. Spans are kept, in characters, so that
`select.<domain>.mask` may put a placeholder there; the documents themselves never change.
"""

import bisect
from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit
from numpy.typing import NDArray

from scripts.annotate import runner
from scripts.annotate.identifiers import mail, network, payment, phone, secrets
from scripts.annotate.runner import Columns
from scripts.common.tables import SPANS
from scripts.common.texts import Texts

# Of spans that overlap, the one of the kind named first stays.
_FINDERS = {
    "key": secrets.find,
    "mail": mail.find,
    "iban": payment.find_ibans,
    "card": payment.find_cards,
    "ip": network.find,
    "phone": phone.find,
}

Span = tuple[int, int, str]


def measure(texts: Texts) -> Columns:
    """Return the spans of each text and, for each kind, how many there are."""
    candidates = _candidates(texts)
    spans: list[list[Span]] = [[] for _ in range(len(texts))]
    for text in np.flatnonzero(np.any(list(candidates.values()), axis=0)).tolist():
        kinds = [kind for kind in _FINDERS if candidates[kind][text]]
        spans[text] = find(texts.encoded(text).decode(), kinds)
    found = [span for of_text in spans for span in of_text]
    kinds_found = np.array([kind for _, _, kind in found], dtype=object)
    first = np.cumsum([0, *map(len, spans)])
    owner = np.repeat(np.arange(len(texts)), np.diff(first))
    return {
        **{
            f"pii_{kind}": np.bincount(owner[kinds_found == kind], minlength=len(texts))
            for kind in _FINDERS
        },
        "pii_spans": pa.ListArray.from_arrays(
            pa.array(first, pa.int32()),
            pa.StructArray.from_arrays(
                [
                    pa.array([start for start, _, _ in found], pa.int32()),
                    pa.array([end for _, end, _ in found], pa.int32()),
                    pa.array([kind for _, _, kind in found], pa.string()),
                ],
                fields=list(SPANS.value_type),
            ),
            type=SPANS,
        ),
    }


def find(text: str, kinds: Collection[str] = tuple(_FINDERS)) -> list[Span]:
    """Return the spans of some kinds, ascending and apart from each other."""
    taken: list[Span] = []
    for kind, finder in _FINDERS.items():
        if kind in kinds:
            starts = [start for start, _, _ in taken]
            found = [
                (start, end, kind)
                for start, end in _apart(finder(text))
                if not _is_taken(start, end, taken, starts)
            ]
            taken = sorted([*taken, *found])
    return taken


def _apart(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield spans, ascending, but for those that overlap one before, of which longer come first."""
    free = 0
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start >= free:
            yield start, end
            free = end


def _is_taken(start: int, end: int, taken: Sequence[Span], starts: Sequence[int]) -> bool:
    before = bisect.bisect_left(starts, end) - 1  # the last to begin before the end
    return before >= 0 and taken[before][1] > start


def _candidates(texts: Texts) -> dict[str, NDArray[np.bool_]]:
    """Return, for each kind, which texts may have one: a cheap look that misses none."""
    mails, hosts, accounts, digits = _hints(texts.data, texts.offsets, _NUMBER)
    return {
        "mail": mails,
        "key": _with_literal(texts),
        "ip": hosts,
        "phone": digits >= phone.MIN_DIGITS,
        "card": digits >= payment.MIN_CARD_DIGITS,
        "iban": accounts,
    }


def _with_literal(texts: Texts) -> NDArray[np.bool_]:
    """Tell which texts have a literal that some form of secret contains."""
    data = texts.data[texts.offsets[0] : texts.offsets[-1]].tobytes()
    ends = texts.offsets[1:] - texts.offsets[0]
    found = np.zeros(len(texts), np.bool_)
    for literal in secrets.LITERALS:
        for at in _occurrences(data, literal.encode(), ends):
            found[at] = True
    return found


def _occurrences(data: bytes, literal: bytes, ends: NDArray[np.int64]) -> Iterator[int]:
    """Yield the index of each text that a literal occurs in."""
    at = data.find(literal)
    while at >= 0:
        text = int(np.searchsorted(ends, at, side="right"))
        yield text
        at = data.find(literal, int(ends[text]))


_NUMBER = np.isin(np.arange(256), list(b"0123456789 ()./+-"))  # what phones and cards consist of


@njit(
    "Tuple((boolean[::1], boolean[::1], boolean[::1], int64[::1]))"
    "(Array(uint8, 1, 'C', readonly=True), Array(int64, 1, 'C', readonly=True), boolean[::1])",
    cache=True,
    nogil=True,
)
def _hints(data, offsets, number):  # type: ignore[no-untyped-def]
    """Tell which texts have an at sign; which have three dots among digits, or a group of four hex
    digits before a colon; which have two capitals and two digits in a row; and the most digits in
    one stretch of what numbers are written with.
    """
    texts = len(offsets) - 1
    mails, hosts = np.zeros(texts, np.bool_), np.zeros(texts, np.bool_)
    accounts, most = np.zeros(texts, np.bool_), np.zeros(texts, np.int64)
    for text in range(texts):
        dots = digits = capitals = 0
        after_digit = False
        for at in range(offsets[text], offsets[text + 1]):
            byte = data[at]
            if 48 <= byte <= 57:
                digits += 1
                if dots >= 3:
                    hosts[text] = True
                if not after_digit and capitals < 2:
                    capitals = 0
                elif after_digit and capitals >= 2:
                    accounts[text] = True
                after_digit = True
                continue
            dots = dots + 1 if byte == 46 and after_digit else 0
            if after_digit:
                capitals = 0
            after_digit = False
            capitals = capitals + 1 if 65 <= byte <= 90 else 0
            if not number[byte]:
                most[text] = max(most[text], digits)
                digits = 0
                if byte == 64:
                    mails[text] = True
                elif byte == 58 and at - offsets[text] >= 4:
                    first = data[at - 4]
                    if first == 50 or first == 51:
                        hex_digits = 0
                        for place in range(at - 3, at):
                            lower = data[place] | 32
                            hex_digits += 48 <= lower <= 57 or 97 <= lower <= 102
                        hosts[text] |= hex_digits == 3
        most[text] = max(most[text], digits)
    return mails, hosts, accounts, most


def count(table: pa.Table) -> dict[str, dict[str, int]]:
    """Return the spans of each kind."""
    return {"spans": {kind: int(pc.sum(table[f"pii_{kind}"]).as_py() or 0) for kind in _FINDERS}}


if __name__ == "__main__":
    runner.main("pii", measure, __doc__, {"pii_spans": SPANS}, count)
