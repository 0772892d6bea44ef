"""Numbers of payment cards and of bank accounts (IBAN), told by their check digits."""

import re
from collections.abc import Iterator

MIN_CARD_DIGITS = 15

_CARD = re.compile(
    r"\d(?<![\w.+-]\d)(?:\d{3}([ -])\d{4}\1\d{4}\1\d{4}|(?<=3)\d{3}([ -])\d{6}\2\d{5}|\d{14,15})"
    r"(?![\w.+-]?\d)",
    re.ASCII,
)
_BRANDS = re.compile(
    r"4\d{15}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}"
)
_SAYS_CARD = re.compile(r"card|visa|master|amex|\bcc\b|\bpan\b|kredit|credit|carte", re.I)
_CONTEXT = 40
_MIN_DISTINCT = 4  # 4242 4242 4242 4242 and 5555 5555 5555 4444 are for tests
_TEST_CARDS = frozenset(
    {"378282246310005", "371449635398431", "6011000990139424", "4012888888881881"}
)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b(?! ?\d)", re.ASCII)
_IBAN_LENGTHS = {
    code: length
    for length, codes in {
        15: "NO", 16: "BE", 18: "DK FO FI GL NL", 19: "MK SI", 20: "AT BA EE KZ LT LU XK",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA",
        30: "JO KW MU", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for code in codes.split()
}  # fmt: skip


def find_cards(text: str) -> Iterator[tuple[int, int]]:
    """Yield where card numbers start and end: in groups, or where a word says that it is one."""
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if not _BRANDS.fullmatch(digits) or not _luhn(digits):
            continue
        if len(set(digits)) < _MIN_DISTINCT or digits in _TEST_CARDS:
            continue
        grouped = len(match[0]) > len(digits)
        if grouped or _SAYS_CARD.search(text, max(0, match.start() - _CONTEXT), match.start()):
            yield match.span()


def find_ibans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the numbers of bank accounts start and end."""
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match[0][:2], 0)
        ends = [end for end in range(len(match[0]) + 1) if _length(match[0][:end]) == length]
        if not ends or match[0][ends[0] : ends[0] + 1].strip():
            continue
        if _mod_97(match[0][: ends[0]].replace(" ", "")):
            yield match.start(), match.start() + ends[0]


def _length(number: str) -> int:
    return len(number) - number.count(" ")


def _luhn(digits: str) -> bool:
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value // 10 + value % 10 for value in doubled) % 10 == 0


def _mod_97(number: str) -> bool:
    rotated = number[4:] + number[:4]
    return int("".join(str(int(character, 36)) for character in rotated)) % 97 == 1
