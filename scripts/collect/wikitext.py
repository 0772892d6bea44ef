"""Wikitext to plain text: prose, headings, lists, formulas and code; no tables, notes or pictures.

mwparserfromhell reads the markup; what each of its nodes becomes is decided here. Templates cannot
be expanded without the wiki, so they are dropped, but for those that only set text.
"""

import re
from collections.abc import Collection
from itertools import groupby

import mwparserfromhell
from mwparserfromhell import nodes

from scripts.collect.extraction.task import Answer, Extracted, Refused
from scripts.collect.markup import Held, fenced, inline_code, script, without_marks

_DROPPED_TAGS = {
    "ref", "references", "table", "gallery", "imagemap", "timeline", "score", "graph", "mapframe",
    "maplink", "templatestyles", "categorytree", "indicator", "inputbox", "section", "style",
    "script", "hr", "noinclude",
}  # fmt: skip
_LITERAL_TAGS = {"nowiki", "pre"}
_BLOCK_TAGS = {"p", "div", "blockquote", "center", "ul", "ol", "dl", "poem"}
_CODE_TAGS = {"syntaxhighlight", "source"}
_FORMULA_TAGS = {"math", "chem", "ce"}
_LIST_MARKERS = {"*": "- ", "#": "1. "}

# Templates that set text: the argument that holds it, 0 for the last.
_TEXT_TEMPLATES = {
    "lang": 2,
    **dict.fromkeys(("transl", "transliteration"), 0),
    **dict.fromkeys(("math", "mvar", "val", "sup", "sub", "mono", "abbr", "angbr", "em"), 1),
    **dict.fromkeys(("strong", "code", "nowrap", "nobold", "nobr", "ipa"), 1),
    **dict.fromkeys(("quote", "blockquote", "cquote"), 1),
}
_LANGUAGE_TEMPLATE = re.compile(r"lang-[a-z-]+")
_CONVERSIONS = {"convert", "cvt"}
_RANGE_WORDS = {"to", "and", "or", "by", "x", "-", "\u2013"}
_SYMBOL_TEMPLATES = {
    "ndash": "\u2013", "mdash": "\u2014", "snd": " \u2013 ", "spnd": " \u2013 ", "pi": "π",
    "=": "=", "spaces": " ", "nbsp": " ", "'": "'", '"': '"', "!": "|", "·": " · ", "•": " • ",
}  # fmt: skip

_LANGUAGE_LINK = re.compile(r"[a-z]{2,3}(-[a-z]+)*|simple")
# What is left of switches, and of tags, links, bold and tables that do not end where they should.
_STRAY_MARKS = re.compile(
    r"__[A-ZÀ-Þ]+__|\[\[|\]\]|</?(?:ref|blockquote|div|span|small|big|center|br|p|b|i|s|u|sup|sub|li|"
    r"ul|ol|table|tr|td|th|nowiki|noinclude|includeonly|onlyinclude|math|code|poem)\b[^<>\n]*>"
)
_APOSTROPHES = re.compile(r"'{2,}")
_TABLE_LINE = re.compile(r"^(?:\{?\||! ).*\n?", re.MULTILINE)
_EMPTY_PARENTHESES = re.compile(r" \([\s,;:]*\)")
_SPACES = re.compile(r"(?<=\S)[ \t\u00a0]+")
_TRAILING_SPACES = re.compile(r"[ \t]+$", re.MULTILINE)
_INDENTATION = re.compile(r"^[ \t\u00a0]+(?!\s*(?:- |1\. ))", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n{3,}")
_HEADING = re.compile(r"(#{2,6}) \S")


def page(content: bytes, *file_namespaces: str) -> Answer:
    """Return the text of a page's wikitext (see ``plain_text``)."""
    text = plain_text(content.decode(), file_namespaces)
    return Extracted(text) if text else Refused("no_prose", "nothing but markup", ordinary=True)


def plain_text(wikitext: str, file_namespaces: Collection[str]) -> str:
    """Return the text of a page, without headings that have nothing below them.

    ``file_namespaces`` are the wiki's own lower-case names for files, media and categories, whose
    links show no text.
    """
    page = _Page(frozenset(file_namespaces))
    text = page.text(mwparserfromhell.parse(without_marks(wikitext)))
    return page.held.release(_tidy(text)).strip()


class _Page:
    """The conversion of one page, and the pieces held back from it."""

    def __init__(self, file_namespaces: frozenset[str]) -> None:
        self.file_namespaces = file_namespaces
        self.held = Held()

    def text(self, code: mwparserfromhell.wikicode.Wikicode | None) -> str:
        if code is None:
            return ""
        parts: list[str] = []
        for is_marker, run in groupby(code.nodes, key=lambda node: _marker(node) is not None):
            if not is_marker:
                parts += map(self._node, run)
            elif parts and not parts[-1].endswith("\n"):
                parts.append(":")  # between a term and what it means
            else:
                parts.append(_list_marker([_marker(node) or "" for node in run]))
        return "".join(parts)

    def _node(self, node: nodes.Node) -> str:
        match node:
            case nodes.Text():
                return _STRAY_MARKS.sub("", _APOSTROPHES.sub(_apostrophe, node.value))
            case nodes.HTMLEntity():
                return _entity(node)
            case nodes.Heading():
                return f"\n\n{'#' * node.level} {self.text(node.title).strip()}\n\n"
            case nodes.Wikilink():
                return self._link(node)
            case nodes.ExternalLink():
                return self.text(node.title)
            case nodes.Template():
                return self._template(node)
            case nodes.Tag():
                return self._tag(node)
        return ""  # comments, and arguments of templates

    def _link(self, node: nodes.Wikilink) -> str:
        target = str(node.title).strip()
        namespace, colon, _ = target.partition(":")
        namespace = namespace.strip().lower().replace("_", " ")
        if colon and (namespace in self.file_namespaces or _LANGUAGE_LINK.fullmatch(namespace)):
            return ""
        if node.text is not None:
            return self.text(node.text)
        return target.lstrip(":").replace("_", " ")

    def _template(self, node: nodes.Template) -> str:
        name = str(node.name).strip().lower().replace("_", " ")
        if name in _SYMBOL_TEMPLATES:
            return _SYMBOL_TEMPLATES[name]
        position = 1 if _LANGUAGE_TEMPLATE.fullmatch(name) else _TEXT_TEMPLATES.get(name)
        if position is None and name not in _CONVERSIONS:
            return ""
        arguments = {
            int(str(one.name)): self.text(one.value).strip()
            for one in node.params
            if str(one.name).strip().isdecimal()
        }
        if position is None:
            return _quantity([arguments[number] for number in sorted(arguments)])
        text = arguments.get(position or max(arguments, default=0), "")
        return script(name, text) if name in ("sup", "sub") else text

    def _tag(self, node: nodes.Tag) -> str:
        tag = str(node.tag).strip().lower()
        if tag in _FORMULA_TAGS:
            return self._formula(tag, node)
        if tag in _CODE_TAGS:
            return self._code(node)
        if tag in _DROPPED_TAGS:
            return ""
        if tag == "br":
            return "\n"
        if tag in _LITERAL_TAGS:
            return self.held.hold(_literal(tag, str(node.contents or "")))
        text = self.text(node.contents)
        if tag == "code":
            return self.held.hold(inline_code(text)) if text else ""
        if tag in ("sup", "sub"):
            return script(tag, text)
        if tag == "li":
            return f"\n- {text.strip()}"
        return f"\n\n{text}\n\n" if tag in _BLOCK_TAGS else text

    def _formula(self, tag: str, node: nodes.Tag) -> str:
        latex = " ".join(str(node.contents or "").split())
        if not latex:
            return ""
        if tag != "math":
            return self.held.hold(f"$\\ce{{{latex}}}$")
        displayed = node.has("display") and str(node.get("display").value) == "block"
        return self.held.hold(f"$${latex}$$" if displayed else f"${latex}$")

    def _code(self, node: nodes.Tag) -> str:
        code = str(node.contents or "").strip("\n")
        if node.has("inline"):
            return self.held.hold(inline_code(code))
        language = str(node.get("lang").value).strip() if node.has("lang") else ""
        return f"\n\n{self.held.hold(fenced(code, language))}\n\n"


def _apostrophe(run: re.Match[str]) -> str:
    """Return the one beside the mark for italic, as in ``''The Iliad'''s heroes``."""
    return "'" if len(run[0]) == 3 else ""


def _entity(node: nodes.HTMLEntity) -> str:
    try:
        return without_marks(node.normalize())
    except (ValueError, OverflowError):  # a code point that does not exist
        return ""


def _marker(node: nodes.Node) -> str | None:
    """Return the mark of a list item, None for what is none."""
    if isinstance(node, nodes.Tag) and node.wiki_markup in ("*", "#", ":", ";"):
        return str(node.wiki_markup)
    return None


def _list_marker(markers: list[str]) -> str:
    shown = _LIST_MARKERS.get(markers[-1], "")
    return "  " * (len(markers) - 1) + shown if shown else ""


def _quantity(arguments: list[str]) -> str:
    """Return what a conversion starts from: numbers, words between them, and their unit."""
    for length, one in enumerate(arguments, start=1):
        if one not in _RANGE_WORDS and not any(map(str.isdigit, one)):
            return " ".join(arguments[:length])
    return " ".join(arguments)


def _literal(tag: str, text: str) -> str:
    return text if tag == "nowiki" else f"\n\n{text.strip(chr(10))}\n\n"


def _tidy(text: str) -> str:
    text = _TABLE_LINE.sub("", text)
    text = _EMPTY_PARENTHESES.sub("", text)  # what a dropped pronunciation or date leaves behind
    text = _TRAILING_SPACES.sub("", _INDENTATION.sub("", _SPACES.sub(" ", text)))
    return "\n\n".join(_without_empty_sections(_BLANK_LINES.sub("\n\n", text).split("\n\n")))


def _without_empty_sections(paragraphs: list[str]) -> list[str]:
    """Drop headings that no text follows before the next of their level or above."""
    kept: list[str] = []
    following = 1  # the level of the heading that comes next, 0 if text does; the end closes all
    for paragraph in reversed([one for one in paragraphs if one.strip()]):
        heading = _HEADING.match(paragraph)
        level = len(heading[1]) if heading else 0
        if heading and 0 < following <= level:
            continue
        following = level
        kept.append(paragraph)
    return kept[::-1]
