"""Formulas in HTML as the TeX that they were made from, in dollar signs.

MathML, as Wikipedia, KaTeX and LaTeXML write it, carries its TeX beside the layout, and MathJax
keeps it in scripts. Extractors drop it, or run the layout's letters together.
"""

import html
import re

_FORMULA = re.compile(
    r"<math\b(?P<attributes>[^<>]*)>(?P<layout>(?:(?!</?math\b).)*)</math\s*>"
    r"|<script\b(?P<script>[^<>]*\bmath/tex\b[^<>]*)>(?P<tex>(?:(?!</?script\b).)*)</script\s*>",
    re.DOTALL | re.IGNORECASE,
)
_ANNOTATION = re.compile(
    r"<annotation\b[^<>]*application/x-(?:la)?tex[^<>]*>([^<]*)</annotation", re.IGNORECASE
)
_ALTERNATIVE = re.compile(r"""\balttext\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_DISPLAY = re.compile(r"""\bdisplay\s*=\s*["']?block|mode\s*=\s*display""", re.IGNORECASE)
_DISPLAY_STYLE = re.compile(r"\{\\(?:display|text)style (.*)\}", re.DOTALL)  # Wikipedia's wrapping
# Wikipedia hides its MathML; MathJax shows a formula a second time until its script has run.
_HIDING = re.compile(r"""(<span\b[^<>]*\bmwe-math-mathml[^<>]*?)\bstyle=(?:"[^"]*"|'[^']*')""")
_PREVIEW = re.compile(r"""<span\b[^<>]*\bMathJax_Preview\b[^<>]*>[^<]*</span>""")
_MARKS = ("<math", "math/tex")


def with_tex(page: str) -> str:
    """Return the page with each formula that carries its TeX replaced by it."""
    lower = page.lower()
    if not any(mark in lower for mark in _MARKS):
        return page
    return _FORMULA.sub(_tex, _HIDING.sub(r"\1", _PREVIEW.sub("", page)))


def _tex(match: re.Match[str]) -> str:
    if match["tex"] is not None:
        tex, is_display = match["tex"], bool(_DISPLAY.search(match["script"]))
    else:
        if (found := _carried(match)) is None:
            return match[0]
        tex, is_display = found, bool(_DISPLAY.search(match["attributes"]))
    tex = html.unescape(tex).strip()
    if wrapped := _DISPLAY_STYLE.fullmatch(tex):
        tex = wrapped[1].strip()
    if not tex:
        return match[0]
    sign = "$$" if is_display else "$"
    return f"<span>{sign}{html.escape(tex, quote=False)}{sign}</span>"


def _carried(match: re.Match[str]) -> str | None:
    if annotation := _ANNOTATION.search(match["layout"]):
        return annotation[1]
    if alternative := _ALTERNATIVE.search(match["attributes"]):
        return alternative[1] if alternative[1] is not None else alternative[2]
    return None
