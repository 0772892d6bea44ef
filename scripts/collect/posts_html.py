"""The HTML of Stack Exchange posts to plain text with the marks of Markdown, from which it came.

Extractors of web pages look for a page's main part and drop what seems to be none of it. A post is
all main part, and what matters in it, code, must be kept to the character.
"""

import json
import re
import textwrap
from collections.abc import Iterator

from lxml import html

from scripts.collect.extraction.task import Answer, Extracted
from scripts.collect.markup import fenced, inline_code, script

_BLOCKS = {
    "p", "div", "pre", "blockquote", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6", "table",
    "hr", "dl", "dt", "dd", "details", "summary",
}  # fmt: skip
_DROPPED = {"script", "style", "hr"}
_SPACE = re.compile(r"[ \t\r\n\f]+")
_BREAK = "\v"  # a <br>, until white space has been collapsed
_AROUND_BREAK = re.compile(f" ?{_BREAK} ?")
_LANGUAGE = re.compile(r"\blang(?:uage)?-([\w+#-]+)")


def thread(content: bytes) -> Answer:
    """Return the text of a question's title, its body and its answers', in a JSON list."""
    title, *bodies = json.loads(content)
    question, *answers = map(plain_text, bodies)
    return Extracted("\n\n".join([f"# {title}", question, *map("## Answer\n\n{}".format, answers)]))


def plain_text(body: str) -> str:
    """Return the text of a post; code keeps its white space and stands within fences."""
    root = html.fragment_fromstring(body.replace(_BREAK, " "), create_parent=True)
    return "\n\n".join(_blocks(root))


def _blocks(element: html.HtmlElement) -> Iterator[str]:
    """Yield the text of an element, block by block."""
    run = [element.text or ""]
    for child in element:
        if child.tag in _BLOCKS:
            yield from _paragraph(run)
            yield from _block(child)
            run = []
        else:
            run.append(_inline(child))
        run.append(child.tail or "")
    yield from _paragraph(run)


def _paragraph(run: list[str]) -> Iterator[str]:
    text = _AROUND_BREAK.sub("\n", _SPACE.sub(" ", "".join(run))).strip()
    if text:
        yield text


def _block(element: html.HtmlElement) -> Iterator[str]:
    tag = element.tag
    if tag in _DROPPED:
        return
    if tag == "pre":
        code = element.text_content().strip("\n")
        if code.strip():
            language = _LANGUAGE.search(element.get("class", ""))
            yield fenced(code, language[1] if language else "")
    elif tag in ("ul", "ol"):
        if items := list(_items(element)):
            yield "\n".join(items)
    elif tag == "table":
        if rows := list(_rows(element)):
            yield "\n".join(rows)
    elif tag == "blockquote":
        if text := "\n\n".join(_blocks(element)):
            yield "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
    elif tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
        for text in _blocks(element):
            yield f"{'#' * int(tag[1])} {text}"
    else:
        yield from _blocks(element)


def _items(element: html.HtmlElement) -> Iterator[str]:
    number = 0
    for child in element:
        if not isinstance(child.tag, str) or not (text := _item(child)):
            continue
        number += 1
        marker = f"{number}. " if element.tag == "ol" else "- "
        yield marker + textwrap.indent(text, " " * len(marker)).lstrip()


def _item(element: html.HtmlElement) -> str:
    """Return an item's blocks: close together, but for those of a loose list."""
    return ("\n\n" if element.find("p") is not None else "\n").join(_blocks(element))


def _rows(element: html.HtmlElement) -> Iterator[str]:
    for row in element.iter("tr"):
        cells = [" ".join(_blocks(cell)) for cell in row if cell.tag in ("td", "th")]
        if any(cells):
            yield " | ".join(cells)


def _inline(element: html.HtmlElement) -> str:
    if not isinstance(element.tag, str) or element.tag in _DROPPED:  # comments have no tag
        return ""
    if element.tag == "br":
        return _BREAK
    if element.tag == "img":
        return str(element.get("alt", ""))
    if element.tag == "code":
        code = _SPACE.sub(" ", element.text_content()).strip()
        return inline_code(code) if code else ""
    text = "".join(
        [element.text or "", *(_inline(child) + (child.tail or "") for child in element)]
    )
    return script(element.tag, text) if element.tag in ("sup", "sub") else text
