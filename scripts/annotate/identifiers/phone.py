"""Phone numbers: in international form, in North America's, or in any where a word says so."""

import re
from collections.abc import Iterator

MIN_DIGITS = 7

_INTERNATIONAL = re.compile(
    r"\+(?<![\w+.*/^-]\+)\(?\d(?:[ .()-]{0,2}\d){7,14}(?![\w]|[./*-]\d)", re.ASCII
)
# Country calling codes (E.164), by their number of digits.
_ONE_DIGIT = frozenset("17")
_TWO_DIGITS = """
    20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65
    66 81 82 84 86 90 91 92 93 94 95 98
"""
_THREE_DIGITS = re.compile(r"2[1-69]\d|3[578]\d|42[013]|5[09]\d|6[789]\d|8[058]\d|9[679]\d")
# What may be a number: its first character is a set, for which texts are searched fast.
_RUN = re.compile(r"[(\d](?:[ ./()-]{0,2}\d){6,30}", re.ASCII)
_AMERICAN = re.compile(
    r"(?:\((?<![\w)]\()[2-9]\d\d\) ?|\b(?<![\w./$#%+-])(?:1-)?[2-9]\d\d-)[2-9]\d\d-\d{4}"
    r"(?![\w]|[.-]\d)",
    re.ASCII,
)
_MAX_DIGITS = 13
_GLUED_BEFORE, _GLUED_AFTER = re.compile(r"[\w.,$#+/-]$"), re.compile(r"\w|[.,-]\d")
_CONTEXT = 32
_SAYS_PHONE = re.compile(
    r"(?:\b(?:(?:tele|cell|mobile )?(?:phones?|fax)|tel|mobile|mob|cell|whatsapp|hotline|telefon"
    r"|telefax|tél(?:éphone)?|tele?fono|teléfono|telefone|handy|тел|телефон)"
    r"(?:[ _-]?(?:numbers?|no|nr))?(?: is)?|\b(?:call|text|reach|dial)(?: (?:me|us|him|her|them))?"
    r"(?: (?:at|on))?|电话|電話|手机)[\s:\uff1a.=#\"']{0,4}$",
    re.IGNORECASE,
)
_DATE = re.compile(r"\d{4}([./-])\d\d?\1\d\d?|\d\d?([./-])\d\d?\2\d{4}|(?:19|20)\d\d-(?:19|20)\d\d")
_SEQUENCES = "01234567890123456789", "98765432109876543210"
_MIN_DISTINCT = 4


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield where phone numbers start and end; a number may be found in more than one form."""
    for match in _INTERNATIONAL.finditer(text):
        digits = _digits(match[0])
        if _has_country(digits) and _is_real(digits):
            yield match.span()
    for run in _RUN.finditer(text):
        if _is_said_to_be_one(text, run):
            yield run.span()
            continue
        for match in _AMERICAN.finditer(text, run.start(), min(run.end() + 2, len(text))):
            if _is_real(_digits(match[0])):
                yield match.span()


def _is_said_to_be_one(text: str, run: re.Match[str]) -> bool:
    digits = _digits(run[0])
    before = text[max(0, run.start() - _CONTEXT) : run.start()]
    return bool(
        MIN_DIGITS <= len(digits) <= _MAX_DIGITS
        and _SAYS_PHONE.search(before)
        and not _GLUED_BEFORE.search(before)
        and not _GLUED_AFTER.match(text, run.end())
        and not _DATE.search(run[0])
        and _is_real(digits)
    )


def _digits(number: str) -> str:
    return "".join(character for character in number if character.isdigit())


def _has_country(digits: str) -> bool:
    return bool(
        (digits[0] in _ONE_DIGIT and len(digits) == 11)
        or digits[:2] in _TWO_DIGITS.split()
        or _THREE_DIGITS.match(digits)
    )


def _is_real(digits: str) -> bool:
    """Tell whether it is not made up: 123456789, 555-0123 (kept for fiction), 000-0000."""
    if len(set(digits)) < _MIN_DISTINCT or any(digits[-7:] in one for one in _SEQUENCES):
        return False
    local = digits.removeprefix("1") if len(digits) == 11 else digits
    return not (len(local) == 10 and "555" in (local[:3], local[3:6])) and not (
        len(local) == 7 and local.startswith("555")
    )
