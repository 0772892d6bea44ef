"""MediaWiki dumps (pages-articles, plain or compressed): one article, one document.

The dump says itself which wiki it is of: its address, its language and its names for the file and
category namespaces. Redirects, disambiguation pages and other namespaces are skipped and counted.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scripts.collect import files, wikitext
from scripts.collect.extraction.found import versions
from scripts.collect.extraction.isolation import extract
from scripts.collect.extraction.task import Answer, Refused, Task
from scripts.collect.records import Found, Quarantine, Record, Skipped
from scripts.collect.xml_stream import XmlStream, blocks, whole
from scripts.common.config.collect import WikipediaSource

_LICENSE = (
    "CC-BY-SA-4.0"  # of Wikipedia's text since June 2023; older revisions may be had under it
)
_MAX_PAGE_CHARACTERS = 10_000_000  # MediaWiki itself allows 2 MiB
_PAGE_FIELDS = {"title", "ns", "id", "timestamp", "text"}
_FILE_NAMESPACES = {"file", "image", "media", "category"}  # understood by every wiki
_LOCAL_FILE_NAMESPACES = {"-2", "6", "14"}

# What disambiguation pages are marked with, in the larger wikis.
_DISAMBIGUATION = re.compile(
    r"__DISAMBIG__|\{\{\s*(?:"
    r"(?:[\w-]+ )?(?:disambiguation|disambig|disamb)(?: page| cleanup)?|dab|hndis|geodis|mathdab|"
    r"surname|given name|"
    r"begriffsklärung|homonymie|paronymie|desambiguaci[oó]n|desambiguação|desambig|disambigua|"
    r"dp|doorverwijspagina|неоднозначность|ujednoznacznienie|förgrening|olika betydelser|"
    r"曖昧さ回避|aimai|消歧义|消歧義|동음이의|توضيح|ابهام‌زدایی|rozcestník|egyért|flertydig|"
    r"täsmennyssivu|anlam ayr\u0131m\u0131|багатозначність|trang định hướng|định hướng"
    r")\s*[|}]",
    re.IGNORECASE,
)


@dataclass
class _Wiki:
    """What the head of a dump says of the wiki."""

    language: str | None = None
    articles: str | None = None  # the address that a title is put behind
    file_namespaces: set[str] = field(default_factory=lambda: set(_FILE_NAMESPACES))


@dataclass
class _Page:
    fields: dict[str, str] = field(default_factory=dict)
    is_redirect: bool = False
    characters: int = 0

    @property
    def content(self) -> bytes:
        return self.fields.get("text", "").encode()


class WikipediaReader:
    def __init__(self, source: WikipediaSource) -> None:
        self.source = source
        self.files = files.matched(source.paths, source.reader)

    def inputs(self, shard: int) -> dict[str, Any]:
        return {
            **files.identities(files.share(self.files, shard, self.source.shards)),
            **versions(["mwparserfromhell"]),
        }

    def read(self, shard: int) -> Iterator[Found]:
        for file in files.share(self.files, shard, self.source.shards):
            yield from self._read(file, shard)

    def _read(self, file: Path, shard: int) -> Iterator[Found]:
        dump = _Dump()
        pages = files.share_records(_pages(file, dump), self.files, shard, self.source.shards)
        first = list(islice(pages, 1))  # before it comes what the dump says of its wiki
        task = Task(wikitext.page, tuple(sorted(dump.wiki.file_namespaces)))
        contents = ((page, _refusal(page) or page.content) for page in chain(first, pages))
        for page, answer in extract(contents, task):
            yield _found(page, answer, dump.wiki, files.printable(file))


class _Dump:
    """Gathers the pages of a dump: called by the XML parser, emptied by the reader."""

    def __init__(self) -> None:
        self.wiki = _Wiki()
        self.pages = deque[_Page]()
        self._page = _Page()
        self._path: list[str] = []
        self._namespace = ""
        self._parts: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        self._parts.clear()
        match self._path[1:]:
            case []:
                if name != "mediawiki":
                    raise ValueError(f"its root element is {name!r}, not 'mediawiki'")
                self.wiki.language = attributes.get("xml:lang")
            case ["siteinfo", "namespaces", "namespace"]:
                self._namespace = attributes.get("key", "")
            case ["page"]:
                self._page = _Page()
            case ["page", "redirect"]:
                self._page.is_redirect = True

    def text(self, data: str) -> None:
        if self._path[1:2] == ["page"]:
            self._page.characters += len(data)
            if self._page.characters > _MAX_PAGE_CHARACTERS:
                return  # what is more is not even kept: memory stays bounded
        self._parts.append(data)

    def end(self, name: str) -> None:
        text = "".join(self._parts)
        self._parts.clear()
        match self._path[1:]:
            case ["siteinfo", "base"]:
                self.wiki.articles = text.rpartition("/")[0] + "/"
            case ["siteinfo", "namespaces", "namespace"]:
                if self._namespace in _LOCAL_FILE_NAMESPACES:
                    self.wiki.file_namespaces.add(text.lower())
            case ["page", field_name] | ["page", "revision", field_name]:
                # A revision's id has a name of its own here, and the last revision wins.
                key = "revision" if self._path[2:] == ["revision", "id"] else field_name
                if key in {*_PAGE_FIELDS, "revision"} and field_name in _PAGE_FIELDS:
                    self._page.fields[key] = text
            case ["page"]:
                self.pages.append(self._page)
        self._path.pop()


def _pages(file: Path, dump: _Dump) -> Iterator[_Page]:
    stream = XmlStream(dump)
    with whole(files.printable(file)):
        for block in blocks(file):
            stream.feed(block)
            while dump.pages:
                yield dump.pages.popleft()
        stream.close()


def _refusal(page: _Page) -> Refused | None:
    """Return why a page is no article, None if it is one."""
    title = page.fields.get("title", "")
    if page.fields.get("ns", "0") != "0":
        return Refused("not_an_article", title, ordinary=True)
    if page.is_redirect:
        return Refused("redirect", title, ordinary=True)
    if page.characters > _MAX_PAGE_CHARACTERS:
        return Refused("too_long", f"{page.characters:,} characters")
    if _DISAMBIGUATION.search(page.fields.get("text", "")) or title.endswith("(disambiguation)"):
        return Refused("disambiguation", title, ordinary=True)
    return None


def _found(page: _Page, answer: Answer, wiki: _Wiki, file: str) -> Found:
    number, title = page.fields.get("id", ""), page.fields.get("title", "")
    locator = f"{file}:{number}"
    if isinstance(answer, Refused) and answer.ordinary:
        return Skipped(locator, answer.reason)
    if isinstance(answer, Refused):
        return Quarantine(locator, answer.reason, f"{title!r}: {answer.detail}")
    path = quote(title.replace(" ", "_"), safe="/:@!$*(),;'")
    return Record(
        locator,
        f"# {title}\n\n{answer.text}",
        url=f"{wiki.articles}{path}" if wiki.articles else None,
        license=_LICENSE,
        created=page.fields.get("timestamp"),
        language=wiki.language,
        metadata={"title": title, "page": number, "revision": page.fields.get("revision", "")},
    )
