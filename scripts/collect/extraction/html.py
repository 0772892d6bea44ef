"""HTML to text: the page's charset, then its main content by the extractor of one's choice.

``trafilatura`` is the careful one, ``resiliparse`` the fast one. Navigation, advertisements and
comments are left out; formulas are TeX, and the text of code keeps its lines.
"""

import re
from collections.abc import Callable, Iterator

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding, detect_mime, map_encoding_to_html5
from resiliparse.parse.html import HTMLTree

from scripts.collect.extraction.task import Answer, Extracted, Refused, Task
from scripts.collect.extraction.tex import with_tex

# What determines the text, beside our own code.
PACKAGES = {
    "trafilatura": ("lxml", "resiliparse", "trafilatura"),
    "resiliparse": ("resiliparse",),
}
SAMPLE = "<html><head><title>A</title></head><body><p>First, some words.</p></body></html>"
_MARKDOWN_CODE = re.compile(r"(^```.*?^```$|(?<!\\)`[^`\n]+`)", re.DOTALL | re.MULTILINE)
_ESCAPED = re.compile(r"(\\(?:\\\\)*)([*_`~\[\]<])")
_ESCAPED_START = re.compile(r"^( {0,3}|\d{1,9})\\([-+>#.)])", re.MULTILINE)
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_META_BYTES = 4096
_META = re.compile(rb"""<meta\b[^>]*?charset\s*=\s*["']?\s*([\w:.-]+)""", re.IGNORECASE)
_LIKE_ASCII = re.compile(r"iso-?2022|hz|utf-?16|utf-?32")  # bytes may be valid UTF-8, and others
_BINARY = ("application/pdf", "application/zip", "application/gzip", "image/", "audio/", "video/")
_MAX_REPLACED_SHARE = 0.01


def task(extractor: str) -> Task:
    return Task(page, (extractor,), SAMPLE)


def page(content: bytes, extractor: str, charset: str | None = None) -> Answer:
    """Return the main text of an HTML page; ``charset`` is what its server says."""
    if (kind := detect_mime(content)).startswith(_BINARY):
        return Refused("not_html", f"the content is {kind}")
    text = decoded(content, charset)
    if text is None:
        return Refused("undecodable", f"in no charset; the server says {charset}")
    title, main = EXTRACTORS[extractor](with_tex(text))
    if not main:
        return Refused("no_main_text", f"{len(content):,} bytes", ordinary=True)
    return Extracted(main, {"title": title} if title else {})


# ----------------------------------------------------------------------------------- extractors


def _by_trafilatura(html: str) -> tuple[str, str]:
    import trafilatura  # a quarter of a second, and only workers need it

    tree = trafilatura.load_html(html)
    if tree is None:
        return "", ""
    title = tree.findtext(".//title") or ""
    # `fast` leaves out the fallbacks: on labelled pages it is half as fast again and no worse.
    text = trafilatura.extract(tree, fast=True, include_comments=False, output_format="markdown")
    return _one_line(title), _without_trailing_space(without_escapes(text or ""))


def _by_resiliparse(html: str) -> tuple[str, str]:
    tree = HTMLTree.parse(html)
    text = extract_plain_text(
        tree,
        main_content=True,
        preserve_formatting=True,
        alt_texts=False,
        comments=False,
        post_meta=False,
    )
    return _one_line(tree.title or ""), _without_trailing_space(text)


EXTRACTORS: dict[str, Callable[[str], tuple[str, str]]] = {
    "trafilatura": _by_trafilatura,
    "resiliparse": _by_resiliparse,
}


def without_escapes(markdown: str) -> str:
    """Undo the backslashes that trafilatura puts before what could be Markdown, but not in code.

    It doubles the backslashes that stand there already. ``snake_case``, ``[1]`` and formulas shall
    read as on the page; nobody renders this Markdown.
    """
    parts = _MARKDOWN_CODE.split(markdown)
    parts[::2] = [
        _ESCAPED_START.sub(r"\1\2", _ESCAPED.sub(_without_escape, part)) for part in parts[::2]
    ]
    return "".join(parts)


def _without_escape(match: re.Match[str]) -> str:
    return "\\" * (len(match[1]) // 2) + match[2]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _without_trailing_space(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


# -------------------------------------------------------------------------------------- charsets


def decoded(content: bytes, charset: str | None) -> str | None:
    """Return a page's characters, or None if no charset makes sense of its bytes.

    What is valid UTF-8 is UTF-8, whatever server and page say, but for charsets whose bytes look
    like ASCII. Else the first of what server and page say and the bytes look like that fits.
    """
    for mark, name in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return content[len(mark) :].decode(name, "replace")
    names = list(_charsets(content, charset))
    if b"\x1b" not in content and not any(map(_LIKE_ASCII.match, names)):
        try:
            return content.decode()
        except UnicodeDecodeError:
            pass
    guess = detect_encoding(content) or "utf-8"
    if _LIKE_ASCII.match(guess):  # by its escape sequences, which nothing else has
        names.insert(0, guess)
    for name in (*names, guess):
        try:
            return content.decode(name)
        except (UnicodeError, LookupError):
            continue
    return _least_damaged(content, [*names, guess])


def _charsets(content: bytes, charset: str | None) -> Iterator[str]:
    """Yield Python's names of what the server and the page itself say, if they are known."""
    said = [charset] if charset else []
    if match := _META.search(content[:_META_BYTES]):
        said.append(match[1].decode("ascii"))
    for name in said:
        if known := map_encoding_to_html5(name.strip("\"' "), fallback_utf8=False):
            yield known


def _least_damaged(content: bytes, names: list[str]) -> str | None:
    """Return the reading with the fewest errors, if they are few, as where a page is cut off."""
    readings = [content.decode(name, "replace") for name in dict.fromkeys(names)]
    best = min(readings, key=lambda text: text.count("\ufffd"))
    return best if best.count("\ufffd") <= _MAX_REPLACED_SHARE * len(best) else None
