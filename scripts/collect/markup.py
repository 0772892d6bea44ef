"""What texts made from markup, wikitext or HTML, have in common: code, scripts, held pieces."""

import re

_SUPERSCRIPTS = str.maketrans("0123456789+-\u2212=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿ")
_SUBSCRIPTS = str.maketrans("0123456789+-\u2212=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
_OPEN, _CLOSE = "\ue000", "\ue001"  # private to whoever uses them: no text has a meaning for them
_HELD = re.compile(f"{_OPEN}(\\d+){_CLOSE}")


def fenced(code: str, language: str) -> str:
    """Return code within a fence that is longer than any run of backticks in it."""
    longest = max(map(len, re.findall(r"`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"


def inline_code(code: str) -> str:
    """Return code in backticks, doubled where it has some itself."""
    return f"`` {code} ``" if "`" in code else f"`{code}`"


def script(tag: str, text: str) -> str:
    """Return the text of ``sup`` or ``sub`` in Unicode's own characters, where there are such."""
    table = _SUPERSCRIPTS if tag == "sup" else _SUBSCRIPTS
    return text.translate(table) if all(ord(one) in table for one in text) else text


class Held:
    """Pieces, such as code and formulas, that what tidies up prose around them must not touch."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def hold(self, piece: str) -> str:
        """Return what stands for a piece until ``release``; the piece may have held ones in it."""
        self._pieces.append(self.release(piece))
        return f"{_OPEN}{len(self._pieces) - 1}{_CLOSE}"

    def release(self, text: str) -> str:
        return _HELD.sub(lambda match: self._pieces[int(match[1])], text)


def without_marks(text: str) -> str:
    """Return a text in which nothing can be taken for what ``Held`` puts into it."""
    return text.replace(_OPEN, "").replace(_CLOSE, "")
