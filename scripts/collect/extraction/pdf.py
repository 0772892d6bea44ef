"""PDF to text: pages to paragraphs, without running heads and the line breaks of the layout."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from scripts.collect.extraction.task import Answer, Extracted, Limits, Metadata, Refused, Task

PACKAGES = ("pypdfium2",)
_LIMITS = Limits(processor_seconds=300, wall_seconds=1800, memory_bytes=4 << 30)  # whole books

_HYPHEN = "\ufffe"  # how PDFium marks a hyphen at a line's end, whose lines it joins itself
_BROKEN = re.compile(rf"\w[{_HYPHEN}\xad\u2010-]$")
_BROKEN_WORD = re.compile(rf"(\w+){_HYPHEN}(\w+)")
_WORD = re.compile(r"\w+(?:-\w+)*")
_DIGITS = re.compile(r"\d+")
_SENTENCE_END = re.compile(r"""[.!?:;…。！？]["'”’)\]]*$""")  # noqa: RUF001
_UNSPACED = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")  # Chinese and Japanese
_EDGE_LINES = 2  # where running heads, feet and page numbers are looked for
_MIN_PAGES_OF_HEADS = 3
_LONG_LINES_QUANTILE = 0.9
_MIN_WIDTH = 40
_FILLED = 0.85  # of the width, with the next word: characters differ in theirs
_FILLED_AT_SENTENCE_END = 0.97  # where a paragraph may end as well
_DATE = re.compile(r"D:(\d{4})(\d{2})?(\d{2})?")


def task() -> Task:
    return Task(pages, sample="%PDF-1.7", limits=_LIMITS)


def pages(content: bytes) -> Answer:
    """Return the text of a PDF file, its title and the number of its pages."""
    import pypdfium2  # only workers need it
    from pypdfium2 import raw

    try:
        document = pypdfium2.PdfDocument(content)
        texts = [_page_text(document, number) for number in range(len(document))]
    except pypdfium2.PdfiumError as error:
        is_locked = getattr(error, "err_code", None) == raw.FPDF_ERR_PASSWORD
        return Refused("encrypted" if is_locked else "damaged_pdf", str(error))
    text = joined(texts)
    if not text:
        return Refused("no_text_layer", f"{len(texts)} pages, perhaps scans", ordinary=True)
    return Extracted(text, _metadata(document.get_metadata_dict(), len(texts)))


def _page_text(document: Any, number: int) -> str:
    page = document[number]
    try:
        text_page = page.get_textpage()
        try:
            return str(text_page.get_text_range())
        finally:
            text_page.close()
    finally:
        page.close()  # or all pages of a book would be in memory at once


def _metadata(said: dict[str, str], page_count: int) -> Metadata:
    found: Metadata = {"pages": page_count}
    if title := " ".join(said.get("Title", "").split()):
        found["title"] = title
    if date := _DATE.match(said.get("CreationDate", "")):
        found["created"] = "-".join(part for part in date.groups() if part)
    return found


# --------------------------------------------------------------------------------------- layout


def joined(texts: Sequence[str]) -> str:
    """Return the pages' texts as one: paragraphs on lines of their own, an empty one between them.

    A line with no room left for the next word goes on in the next line, also on the next page
    unless it ends a sentence there. Short lines, as in tables, code and verse, stay as they are.
    """
    lines_of_pages = _without_heads([_lines(text) for text in texts])
    width = _width([line for lines in lines_of_pages for line in lines])
    paragraphs: list[str] = []
    last, is_wrapped = "", False  # the line before, and whether it goes on from the one before it
    for lines in lines_of_pages:
        for position, line in enumerate(lines):
            is_open = bool(last) and _was_broken(last, line, width)
            if is_open and (position > 0 or not _SENTENCE_END.search(last)):
                paragraphs[-1] = _continued(paragraphs[-1], line)
            elif position > 0 and not is_wrapped and len(line) < _FILLED * width:
                paragraphs[-1] += f"\n{line}"
            else:
                paragraphs.append(line)
            last, is_wrapped = line, is_open
    return _with_whole_words("\n\n".join(paragraphs)).strip()


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def _width(lines: Sequence[str]) -> int:
    """Return how many characters a line of prose has room for, going by the long ones."""
    lengths = sorted(map(len, lines))
    typical = lengths[int(len(lengths) * _LONG_LINES_QUANTILE)] if lengths else 0
    return max(_MIN_WIDTH, typical)


def _was_broken(line: str, following: str, width: int) -> bool:
    """Tell whether a line ended for want of room, as the next one's first word would not fit in."""
    next_word = 1 if _UNSPACED.match(following) else 1 + len(following.split(maxsplit=1)[0])
    filled = _FILLED_AT_SENTENCE_END if _SENTENCE_END.search(line) else _FILLED
    return len(line) + next_word > filled * width or bool(_BROKEN.search(line))


def _without_heads(pages_lines: list[list[str]]) -> list[list[str]]:
    """Drop what stands at the edge of many pages: running heads, feet, page numbers."""
    counts = Counter(
        masked
        for lines in pages_lines
        for masked in {_masked(line) for line in (*lines[:_EDGE_LINES], *lines[-_EDGE_LINES:])}
    )
    least = max(_MIN_PAGES_OF_HEADS, len(pages_lines) / 3)  # left and right pages may differ
    heads = {masked for masked, count in counts.items() if count >= least}
    return [
        [
            line
            for position, line in enumerate(lines)
            if _masked(line) not in heads
            or _EDGE_LINES <= position < max(_EDGE_LINES, len(lines) - _EDGE_LINES)
        ]
        for lines in pages_lines
    ]


def _masked(line: str) -> str:
    return _DIGITS.sub("0", line.strip())


def _continued(paragraph: str, line: str) -> str:
    line = line.lstrip()
    if _BROKEN.search(paragraph) and line[:1].isalnum():
        return paragraph[:-1] + _HYPHEN + line
    if _UNSPACED.match(paragraph[-1]) and _UNSPACED.match(line):
        return paragraph + line
    return f"{paragraph} {line}"


def _with_whole_words(text: str) -> str:
    """Put words together that a line's end has broken: with their hyphen if the rest has it."""
    words = Counter(word.lower() for word in _WORD.findall(text.replace(_HYPHEN, " ")))

    def whole(match: re.Match[str]) -> str:
        left, right = match.groups()
        with_hyphen = f"{left}-{right}"
        is_name = right[0].isupper() or right[0].isdigit() or left[-1].isdigit()
        if is_name or words[with_hyphen.lower()] > words[(left + right).lower()]:
            return with_hyphen
        return left + right

    return _BROKEN_WORD.sub(whole, text).replace(_HYPHEN, "-")
