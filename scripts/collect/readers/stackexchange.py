"""Stack Exchange dumps (Posts.xml, plain or within a site's .7z): a question with its answers.

Questions without an answer are skipped and counted. With fewer files than shards, every shard reads
all files but keeps the questions of its own share, by their ids.
"""

import json
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import py7zr
from py7zr.exceptions import ArchiveError

from scripts.collect import files, posts_html
from scripts.collect.extraction.found import versions
from scripts.collect.extraction.isolation import extract
from scripts.collect.extraction.task import Answer, Refused, Task
from scripts.collect.posts import Post, Posts, Thread
from scripts.collect.records import Found, Quarantine, Record, Skipped
from scripts.collect.xml_stream import BLOCK_BYTES, XmlStream, blocks, whole
from scripts.common.config.collect import StackExchangeSource
from scripts.common.errors import UserError

_POSTS = "Posts.xml"
_SITE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_TAG = re.compile(r"[^<>|]+")
_QUESTION, _ANSWER = "1", "2"
# As Stack Exchange states it for content whose rows do not name their license themselves.
_LICENSES = (("2018-05-02", "CC-BY-SA-4.0"), ("2011-04-08", "CC-BY-SA-3.0"), ("", "CC-BY-SA-2.5"))


class StackExchangeReader:
    def __init__(self, source: StackExchangeSource) -> None:
        self.source = source
        self.files = files.matched(source.paths, source.reader)
        self.sites = {file: _site(file, source.site) for file in self.files}

    def inputs(self, shard: int) -> dict[str, Any]:
        return {
            **files.identities(files.share(self.files, shard, self.source.shards)),
            **versions(["lxml"]),
        }

    def read(self, shard: int) -> Iterator[Found]:
        for file in files.share(self.files, shard, self.source.shards):
            yield from self._read(file, shard)

    def _read(self, file: Path, shard: int) -> Iterator[Found]:
        name = files.printable(file)
        with tempfile.TemporaryDirectory() as folder, Posts(Path(folder) / "posts.db") as posts:
            rows = _Rows(name, posts, self._is_mine(shard), self.source.min_answer_score)
            with whole(name):
                stream = XmlStream(rows)
                _each_block(file, stream.feed)
                stream.close()
            yield from rows.faults
            for reason, count in sorted(rows.skipped.items()):
                yield Skipped(name, reason, count)
            threads = posts.threads(self.source.max_answers)
            contents = ((thread, _refusal(thread) or _content(thread)) for thread in threads)
            for thread, answer in extract(contents, Task(posts_html.thread, sample='["", ""]')):
                yield _found(thread, answer, f"{name}:{thread.id}", self.sites[file])

    def _is_mine(self, shard: int) -> Callable[[int], bool]:
        shards = self.source.shards
        if len(self.files) >= shards:  # then whole files are shared out
            return lambda question: True
        return lambda question: _spread(question) % shards == shard


class _Rows:
    """Puts the shard's rows into the table of posts: called by the XML parser."""

    def __init__(
        self, name: str, posts: Posts, is_mine: Callable[[int], bool], min_answer_score: int
    ) -> None:
        self.name = name
        self.posts = posts
        self.is_mine = is_mine
        self.min_answer_score = min_answer_score
        self.skipped = Counter[str]()
        self.faults: list[Quarantine] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "posts":
            return
        if name != "row":
            raise ValueError(f"an element {name!r}, where {_POSTS} has rows only")
        number = 0  # whoever has question 0 has also the rows that do not say what they are of
        try:
            number = int(attributes["Id"])
            kind = attributes["PostTypeId"]
            question = int(attributes["ParentId"]) if kind == _ANSWER else number
            if not self.is_mine(question):
                return
            if kind in (_QUESTION, _ANSWER):
                self._add(_post(attributes, int(kind), number, question))
            else:  # a tag's description, a moderator's nomination
                self.skipped["neither_question_nor_answer"] += 1
        except (KeyError, ValueError, OverflowError) as error:
            if self.is_mine(number):
                locator = f"{self.name}:{number}"
                detail = f"{type(error).__name__}: {error}"
                self.faults.append(Quarantine(locator, "malformed_row", detail))

    def end(self, name: str) -> None:
        """Rows have all that they have in their attributes."""

    def text(self, data: str) -> None:
        """Between rows there is white space."""

    def _add(self, post: Post) -> None:
        if not post.is_question and post.score < self.min_answer_score:
            self.skipped["answer_below_min_score"] += 1
        else:
            self.posts.add(post)


class _Blocks(py7zr.Py7zIO):
    """Takes what py7zr decompresses, which it would else write to a file, and hands it on."""

    def __init__(self, feed: Callable[[bytes], None]) -> None:
        self._feed = feed
        self._size = 0

    def write(self, s: bytes | bytearray) -> int:
        for start in range(0, len(s), BLOCK_BYTES):
            self._feed(bytes(s[start : start + BLOCK_BYTES]))
        self._size += len(s)
        return len(s)

    def read(self, size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._size

    def flush(self) -> None:
        """Nothing is held back."""

    def size(self) -> int:
        return self._size


class _Factory(py7zr.WriterFactory):
    def __init__(self, feed: Callable[[bytes], None]) -> None:
        self._feed = feed

    def create(self, filename: str) -> py7zr.Py7zIO:
        return _Blocks(self._feed)


def _each_block(file: Path, feed: Callable[[bytes], None]) -> None:
    if file.suffix != ".7z":
        for block in blocks(file):
            feed(block)
        return
    try:
        with py7zr.SevenZipFile(file) as archive:
            if _POSTS not in archive.namelist():
                raise ValueError(f"the archive has no {_POSTS}: {archive.namelist()[:10]}")
            archive.extract(targets=[_POSTS], factory=_Factory(feed))
    except ArchiveError as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _post(attributes: dict[str, str], kind: int, number: int, question: int) -> Post:
    accepted = attributes.get("AcceptedAnswerId")
    created = attributes["CreationDate"]
    return Post(
        question,
        kind,
        number,
        int(attributes["Score"]),
        int(accepted) if accepted else None,
        created,
        _license(attributes.get("ContentLicense"), created),
        attributes.get("Title", ""),
        attributes.get("Tags", ""),
        attributes["Body"],
    )


def _license(stated: str | None, created: str) -> str:
    if stated:
        return stated.replace("CC BY-SA", "CC-BY-SA").replace(" ", "-")
    return next(name for since, name in _LICENSES if created >= since)


def _refusal(thread: Thread) -> Refused | None:
    """Return why a thread is no document, None if it is one."""
    if thread.question is None:
        return Refused("no_question", f"{thread.all_answers} answers", ordinary=True)
    if not thread.answers:
        return Refused("no_answer", thread.question.title, ordinary=True)
    return None


def _content(thread: Thread) -> bytes:
    assert thread.question is not None  # else it is refused
    posts = (thread.question, *thread.answers)
    return json.dumps([thread.question.title, *(post.body for post in posts)]).encode()


def _found(thread: Thread, answer: Answer, locator: str, site: str) -> Found:
    if isinstance(answer, Refused) and answer.ordinary:
        return Skipped(locator, answer.reason, max(1, thread.all_answers))
    if isinstance(answer, Refused):
        return Quarantine(locator, answer.reason, answer.detail)
    question = thread.question
    assert question is not None  # else it is refused
    return Record(
        locator,
        answer.text,
        url=f"https://{site}/questions/{thread.id}",
        # An adaptation may be under the license of its parts or a later version of it.
        license=max(post.license for post in (question, *thread.answers)),
        created=question.created,
        metadata={
            "title": question.title,
            "tags": _TAG.findall(question.tags),
            "score": question.score,
            "license": question.license,
            "answer_count": thread.all_answers,
            "answers": [
                {
                    "id": post.id,
                    "score": post.score,
                    "accepted": post.id == question.accepted,
                    "license": post.license,
                }
                for post in thread.answers
            ],
        },
    )


def _site(file: Path, stated: str | None) -> str:
    """Return the site's host, by the names that the dumps have: site.7z, site-Posts.7z, a folder.

    Raises UserError where neither the name nor the configuration tells.
    """
    if stated is not None:
        return stated
    guess = file.resolve().parent.name if file.name == _POSTS else file.stem.removesuffix("-Posts")
    if not _SITE.fullmatch(guess):
        raise UserError(
            f"{files.printable(file)}: its name does not tell the site as, say, "
            "math.stackexchange.com.7z would: set `site` of this stackexchange source"
        )
    return guess


def _spread(question: int) -> int:
    """Return an even hash of a question's id (Knuth's multiplicative one)."""
    return (question * 0x9E3779B97F4A7C15 & 0xFFFF_FFFF_FFFF_FFFF) >> 32
