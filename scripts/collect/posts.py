"""Questions and their answers, joined on the disk: answers stand anywhere in a dump.

Memory stays bounded by what SQLite caches and by the answers kept of one question.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import astuple, dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

_CACHE_KIB = 65_536
_BATCH_ROWS = 1000
_QUESTION, _ANSWER = 1, 2
_CREATE = """
    CREATE TABLE posts (
        question INTEGER, kind INTEGER, id INTEGER, score INTEGER, accepted INTEGER,
        created TEXT, license TEXT, title TEXT, tags TEXT, body TEXT
    )
"""
_IN_ORDER = "SELECT * FROM posts ORDER BY question, kind, score DESC, id"


@dataclass(frozen=True, slots=True)
class Post:
    question: int  # the id of the question that it is or answers
    kind: int
    id: int
    score: int
    accepted: int | None  # the answer that a question's author accepted
    created: str
    license: str
    title: str
    tags: str
    body: str

    @property
    def is_question(self) -> bool:
        return self.kind == _QUESTION


class Thread(NamedTuple):
    """What a dump has of a question: None where there are but answers to it."""

    id: int
    question: Post | None
    answers: list[Post]
    all_answers: int


class Posts:
    """A table of posts in a file that is somebody else's to remove."""

    def __init__(self, file: Path) -> None:
        self._database = sqlite3.connect(file, isolation_level=None)
        self._batch: list[Post] = []
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute(_CREATE)

    def __enter__(self) -> "Posts":
        return self

    def __exit__(self, *error: object) -> None:
        self._database.close()

    def add(self, post: Post) -> None:
        self._batch.append(post)
        if len(self._batch) == _BATCH_ROWS:
            self._write()

    def threads(self, max_answers: int) -> Iterator[Thread]:
        """Yield questions by id with the best answers: the accepted one, then by score, then id."""
        self._write()
        self._database.execute("CREATE INDEX in_order ON posts (question, kind, score DESC, id)")
        with closing(self._database.execute(_IN_ORDER)) as rows:
            for number, posts in groupby((Post(*row) for row in rows), lambda post: post.question):
                yield _thread(number, posts, max_answers)

    def _write(self) -> None:
        self._database.execute("BEGIN")
        marks = ", ".join("?" * len(Post.__slots__))
        self._database.executemany(
            f"INSERT INTO posts VALUES ({marks})", [astuple(post) for post in self._batch]
        )
        self._database.execute("COMMIT")
        self._batch.clear()


def _thread(number: int, posts: Iterator[Post], max_answers: int) -> Thread:
    question: Post | None = None
    accepted: list[Post] = []
    others: list[Post] = []
    count = 0
    for post in posts:
        if post.is_question:
            question = post
            continue
        count += 1
        if question is not None and post.id == question.accepted:
            accepted.append(post)
        elif len(others) < max_answers:
            others.append(post)
    return Thread(number, question, [*accepted, *others][:max_answers], count)
