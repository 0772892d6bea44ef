"""Copies of evaluation items as they get into a corpus: wrapped, re-cased, reworded, and so on.

The rewording is mechanical: synonyms of frequent words, and neighbours that change places. It says
how much change a rule bears, not how people paraphrase.
"""

import re
from collections.abc import Callable

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_ARABIC_INDIC = {ord("0") + digit: 0x0660 + digit for digit in range(10)}
_SYNONYMS = {
    "answer": "reply", "begins": "starts", "big": "large", "buy": "purchase", "buys": "purchases",
    "check": "verify", "cost": "price", "day": "date", "each": "every", "find": "determine",
    "function": "routine", "gets": "receives", "given": "provided", "gives": "hands",
    "has": "owns", "how": "exactly how", "if": "supposing", "list": "array", "make": "produce",
    "makes": "produces", "many": "a number of", "more": "additional", "needs": "requires",
    "of": "out of", "only": "just", "question": "query", "return": "yield", "returns": "yields",
    "sells": "vends", "small": "little", "string": "text", "takes": "grabs", "the": "this",
    "then": "afterwards", "there": "here", "total": "sum", "wants": "wishes", "what": "which",
    "which": "what", "write": "compose",
}  # fmt: skip
_CLAUSE = re.compile(r"[^.,;:?!]+[.,;:?!]*")
_SWAPPED = 8  # of so many words, two neighbours change places
_LINE = 37  # characters of a re-wrapped line


def verbatim(text: str) -> str:
    return text


def rewrapped(text: str) -> str:
    """Break lines anew, as mail and plain-text files do."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + len(word) >= _LINE:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
    return "\n    ".join([*lines, line])


def recased(text: str) -> str:
    return text.upper()


def repunctuated(text: str) -> str:
    """Set other quotes and dashes, and leave out commas and points, those in numbers as well."""
    text = re.sub(r"(?<=\d),(?=\d)", "", text)
    text = text.translate({ord('"'): "\u201c", ord("'"): "\u2019", ord("-"): " \u2013 "})
    return re.sub(r"[.,;:!?]+(?=\s|$)", "", text)


def reworded(text: str) -> str:
    """Take synonyms for frequent words, and let neighbours change places."""
    words = [_SYNONYMS.get(word.lower(), word) for word in text.split()]
    for place in range(_SWAPPED // 2, len(words) - 1, _SWAPPED):
        words[place], words[place + 1] = words[place + 1], words[place]
    return " ".join(words)


def reordered(text: str) -> str:
    """Reword, and let the clauses of the text come in pairs the other way round."""
    clauses = [clause for clause in _CLAUSE.findall(reworded(text)) if clause.strip()]
    for place in range(0, len(clauses) - 1, 2):
        clauses[place], clauses[place + 1] = clauses[place + 1], clauses[place]
    return " ".join(clause.strip() for clause in clauses)


def digits_changed(text: str) -> str:
    """Take other numbers: the same problem, with another answer."""
    return re.sub(r"[0-9]+", lambda number: str(int(number[0][:9]) + 1), text)


def digits_spelled(text: str) -> str:
    """Spell numbers out, digit by digit."""
    return re.sub(r"[0-9]+", lambda number: " ".join(_DIGITS[int(d)] for d in number[0]), text)


def digits_translated(text: str) -> str:
    """Write the digits of another script."""
    return text.translate(_ARABIC_INDIC)


KINDS: dict[str, Callable[[str], str]] = {
    "verbatim": verbatim,
    "re-wrapped": rewrapped,
    "re-cased": recased,
    "re-punctuated": repunctuated,
    "reworded by rule": reworded,
    "reworded and reordered": reordered,
    "digits changed": digits_changed,
    "digits spelled": digits_spelled,
    "digits of another script": digits_translated,
}
