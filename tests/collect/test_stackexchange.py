"""The reader of Stack Exchange dumps, and what becomes of the posts' HTML."""

import functools
import tracemalloc
import xml.etree.ElementTree as ET
from html import escape
from pathlib import Path

import py7zr
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.collect.extraction.task import Limits
from scripts.collect.posts_html import plain_text
from scripts.collect.readers import reader_of, stackexchange
from scripts.collect.records import Quarantine, Record, Skipped
from scripts.common.config.collect import StackExchangeSource
from scripts.common.errors import UserError

POSTS = "maths.stackexchange.com/Posts.xml"


@pytest.fixture(autouse=True)
def _here(workdir: Path) -> None:
    """Tests write their dumps into the working directory."""


def row(number, kind=1, body="<p>body</p>", **attributes):
    values = {
        "Id": number,
        "PostTypeId": kind,
        "CreationDate": "2012-02-03T04:05:06.789",
        "Score": 1,
        "Body": body,
        **attributes,
    }
    cells = (f'{key}="{_quoted(str(it))}"' for key, it in values.items())
    return f"<row {' '.join(cells)} />"


def _quoted(text):
    return escape(text).replace("\n", "&#xA;")  # a bare one in an attribute reads as a space


def question(number, **attributes):
    return row(number, Title=f"Title {number}", Tags="<a-b><c++>", **attributes)


def answer(number, parent, **attributes):
    return row(number, 2, ParentId=parent, **attributes)


def write(*rows, path=POSTS):
    text = (
        '\ufeff<?xml version="1.0" encoding="utf-8"?>\n<posts>\n' + "\n".join(rows) + "\n</posts>"
    )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def read(path=POSTS, shard=0, **source):
    source = {"reader": "stackexchange", "domain": "d", "paths": [path]} | source
    return list(reader_of(StackExchangeSource.model_validate(source)).read(shard))


def test_a_question_and_its_answers_are_one_document():
    write(
        answer(9, 5, body="<p>second</p>", Score=7),  # an answer may come before its question
        question(5, body="<p>How?</p><pre><code>f &lt; g\n</code></pre>", AcceptedAnswerId=8),
        answer(8, 5, body="<p>accepted</p>", Score=0),
        answer(7, 5, body="<p>third</p>", Score=3, CreationDate="2020-01-01T00:00:00.000"),
        answer(6, 5, body="<p>fourth</p>", Score=3),
    )
    (found,) = read()
    assert isinstance(found, Record)
    assert found.text == (
        "# Title 5\n\nHow?\n\n```\nf < g\n```\n\n## Answer\n\naccepted\n\n## Answer\n\nsecond\n\n"
        "## Answer\n\nfourth\n\n## Answer\n\nthird"
    )
    assert (found.locator, found.url) == (
        f"{POSTS}:5",
        "https://maths.stackexchange.com/questions/5",
    )
    assert (found.license, found.created) == ("CC-BY-SA-4.0", "2012-02-03T04:05:06.789")
    assert found.metadata["tags"] == ["a-b", "c++"]
    assert found.metadata["license"] == "CC-BY-SA-3.0"
    assert [(one["id"], one["accepted"]) for one in found.metadata["answers"]] == [
        (8, True), (9, False), (6, False), (7, False),
    ]  # fmt: skip


def test_answers_are_chosen_by_score_and_number():
    write(
        question(1, AcceptedAnswerId=5),
        *(answer(number, 1, body=f"<p>{number}</p>", Score=number - 4) for number in range(2, 9)),
    )
    skipped, found = read(max_answers=3, min_answer_score=1)
    assert skipped == Skipped(POSTS, "answer_below_min_score", 3)
    assert [one["id"] for one in found.metadata["answers"]] == [5, 8, 7]
    assert found.metadata["answer_count"] == 4


def test_what_makes_no_document_is_skipped_and_counted():
    write(
        question(1),
        answer(3, 99),
        row(4, 5),
        row(5, 4),
        question(6),
        answer(7, 6),
    )
    other, unanswered, document, orphan = read()
    assert other == Skipped(POSTS, "neither_question_nor_answer", 2)
    assert unanswered == Skipped(f"{POSTS}:1", "no_answer")
    assert document.metadata["title"] == "Title 6"
    assert orphan == Skipped(f"{POSTS}:99", "no_question")


@pytest.mark.parametrize(
    ("created", "stated", "license"),
    [
        ("2011-04-07T23:59:59.999", None, "CC-BY-SA-2.5"),
        ("2011-04-08T00:00:00.000", None, "CC-BY-SA-3.0"),
        ("2018-05-01T23:59:59.999", None, "CC-BY-SA-3.0"),
        ("2018-05-02T00:00:00.000", None, "CC-BY-SA-4.0"),
        ("2009-01-01T00:00:00.000", "CC BY-SA 4.0", "CC-BY-SA-4.0"),  # edited since
    ],
)
def test_the_license_goes_by_the_date_unless_the_row_states_it(created, stated, license):
    about = {"CreationDate": created} | ({"ContentLicense": stated} if stated else {})
    write(question(1, **about), answer(2, 1, **about))
    (found,) = read()
    assert found.license == license


def test_a_malformed_row_is_quarantined_alone_and_once():
    write(row("x"), question(1), answer(2, 1), row(3, Score="many"), "<row />")
    parts = [read(shards=3, shard=shard) for shard in range(3)]
    found = [one for part in parts for one in part]
    bad = [one for one in found if isinstance(one, Quarantine)]
    assert {one.locator for one in bad} == {f"{POSTS}:0", f"{POSTS}:3"}
    assert [one.reason for one in bad] == ["malformed_row"] * 3
    assert sum(isinstance(one, Record) for one in found) == 1


def archive(path, rows, names=("Badges.xml", "Posts.xml", "Votes.xml")):
    write(*rows)
    with py7zr.SevenZipFile(path, "w") as made:
        for name in names:
            content = Path(POSTS).read_text("utf-8") if name == "Posts.xml" else "<x>no posts</x>"
            made.writestr(content, name)


def test_an_archive_is_read_like_the_file_in_it():
    rows = [one for n in range(1, 4000, 2) for one in (question(n), answer(n + 1, n))]
    archive("maths.stackexchange.com.7z", rows)
    plain, packed = read(), read("maths.stackexchange.com.7z")
    assert [(one.url, one.text) for one in packed] == [(one.url, one.text) for one in plain]
    assert len(packed) == 2000


def test_an_archive_without_posts_is_an_error():
    archive("maths.stackexchange.com.7z", [question(1)], names=["Badges.xml"])
    with pytest.raises(UserError, match=r"com\.7z .*has no Posts\.xml: \['Badges\.xml'\]"):
        read("maths.stackexchange.com.7z")


def test_what_is_truncated_or_no_dump_is_an_error_that_names_it():
    archive("maths.stackexchange.com.7z", [question(n) for n in range(1, 500)])
    whole = Path("maths.stackexchange.com.7z").read_bytes()
    for content in (whole[:-40], whole[:200] + b"\0" * 50 + whole[250:], b"hello"):
        Path("maths.stackexchange.com.7z").write_bytes(content)
        with pytest.raises(UserError, match=r"com\.7z cannot be read to its end .*restore"):
            read("maths.stackexchange.com.7z")
    Path(POSTS).write_bytes(Path(POSTS).read_bytes()[:-20])
    with pytest.raises(UserError, match=r"Posts\.xml cannot be read to its end"):
        read()
    write("<page/>")
    with pytest.raises(UserError, match=r"an element 'page', where Posts\.xml has rows only"):
        read()


@pytest.mark.parametrize(
    ("path", "site"),
    [
        ("stackoverflow.com/Posts.xml", "stackoverflow.com"),
        ("stackoverflow.com-Posts.7z", "stackoverflow.com"),
        ("math.stackexchange.com.7z", "math.stackexchange.com"),
    ],
)
def test_the_site_is_told_by_the_name(path, site):
    if path.endswith(".xml"):
        write(question(1), answer(2, 1), path=path)
    else:
        archive(path, [question(1), answer(2, 1)])
    (found,) = read(path)
    assert found.url == f"https://{site}/questions/1"


def test_a_name_that_does_not_tell_the_site_is_an_error_unless_the_configuration_does():
    write(question(1), answer(2, 1), path="data/Posts.xml")
    with pytest.raises(UserError, match=r"data/Posts\.xml: .*set `site`"):
        read("data/Posts.xml")
    (found,) = read("data/Posts.xml", site="superuser.com")
    assert found.url == "https://superuser.com/questions/1"


@st.composite
def threads(draw):
    """Rows of questions and answers in any order, as the numbers of parents (0: a question)."""
    kinds = draw(st.lists(st.integers(0, 6), min_size=1, max_size=25))
    rows = []
    for number, parent in enumerate(kinds, start=1):
        score = draw(st.integers(-2, 3))
        if parent == 0:
            accepted = draw(st.integers(1, 25))
            rows.append(question(number, AcceptedAnswerId=accepted, Score=score))
        else:
            rows.append(answer(number, parent, Score=score))
    return draw(st.permutations(rows))


def by_hand(rows, max_answers, min_score):
    """The ids of the answers of each answered question, from a plain look at all rows."""
    posts = [ET.fromstring(one).attrib for one in rows]
    expected = {}
    for post in posts:
        if post["PostTypeId"] == "1":
            mine = [
                one for one in posts
                if one.get("ParentId") == post["Id"] and int(one["Score"]) >= min_score
            ]  # fmt: skip
            mine.sort(
                key=lambda one, post=post: (
                    one["Id"] != post["AcceptedAnswerId"], -int(one["Score"]), int(one["Id"])
                )
            )  # fmt: skip
            if mine:
                expected[int(post["Id"])] = [int(one["Id"]) for one in mine[:max_answers]]
    return expected


@settings(max_examples=25)
@given(rows=threads(), shards=st.integers(1, 4), max_answers=st.integers(1, 3))
def test_the_join_is_that_of_a_plain_look_whatever_the_shards(
    tmp_path_factory, rows, shards, max_answers
):
    path = str(tmp_path_factory.mktemp("dump") / "a.b/Posts.xml")
    write(*rows, path=path)
    found = {}
    for shard in range(shards):
        for one in read(path, shard, shards=shards, max_answers=max_answers):
            if isinstance(one, Record):
                number = int(one.locator.rpartition(":")[2])
                assert number not in found
                found[number] = [it["id"] for it in one.metadata["answers"]]
    assert found == by_hand(rows, max_answers, 0)


def test_memory_does_not_grow_with_the_dump():
    def peak(questions):
        body = "word " * 200
        write(
            *(question(n, body=body) for n in range(questions)),
            *(answer(questions + n, n, body=body) for n in range(questions)),
        )
        source = {"reader": "stackexchange", "domain": "d", "paths": [POSTS]}
        reader = reader_of(StackExchangeSource.model_validate(source))
        tracemalloc.start()
        assert sum(1 for _ in reader.read(0)) == questions
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(10)
    small = peak(600)
    assert peak(3000) < 1.5 * small


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p>a\n  b <em>c</em></p>\n<p>d</p>", "a b c\n\nd"),
        ("<p>use <code>x &lt;  y</code> or <code>`z`</code></p>", "use `x < y` or `` `z` ``"),
        (
            '<pre class="lang-py s"><code>def f():\n    return "``` "\n</code></pre>',
            '````py\ndef f():\n    return "``` "\n````',
        ),
        ("<pre><code>\n  indented\n</code></pre>", "```\n  indented\n```"),
        ("<ul>\n<li>a</li>\n<li><p>b</p><pre><code>c\n d</code></pre></li></ul>",
         "- a\n- b\n\n  ```\n  c\n   d\n  ```"),
        ("<ol><li>a<ul><li>b</li></ul></li><li>c</li></ol>", "1. a\n   - b\n2. c"),
        ("<blockquote><p>a</p><p>b</p></blockquote>", "> a\n>\n> b"),
        ("<h2>T</h2>text<hr>more", "## T\n\ntext\n\nmore"),
        ("a<br>b<br/>\n c", "a\nb\nc"),
        ('<p><a href="https://x.org">link</a> <img src="i.png" alt="a plot"></p>', "link a plot"),
        ("<p>$x &lt; y$ and 10<sup>6</sup></p>", "$x < y$ and 10⁶"),
        ("<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>",
         "a | b\n1 | 2"),
        ("<p>a <!-- no --><script>no()</script> b", "a b"),
        ("", ""),
        ("plain &amp; simple", "plain & simple"),
        ("<p>un<b>closed <i>tags</p></div><p>go on", "unclosed tags\n\ngo on"),
    ],
)  # fmt: skip
def test_html(body, text):
    assert plain_text(body) == text


@given(st.lists(st.sampled_from(
    ["<p>", "</p>", "<pre>", "</pre>", "<code>", "</code>", "<ul>", "<li>", "</li>", "</ul>", "x",
     "<blockquote>", "</blockquote>", "<br>", "&lt;", "<", ">", "`", "\n", "<table><td>", "<!--"]
), max_size=30))  # fmt: skip
def test_no_broken_html_breaks_the_conversion(parts):
    assert isinstance(plain_text("".join(parts)), str)


def test_what_the_parser_cannot_stand_costs_that_question_only(monkeypatch):
    quick = functools.partial(stackexchange.Task, limits=Limits(processor_seconds=0.3))
    monkeypatch.setattr(stackexchange, "Task", quick)
    write(question(1, body="<p>x</p>" * 500_000), answer(2, 1), question(3), answer(4, 3))
    lost, found = read()
    assert isinstance(lost, Quarantine)
    assert (lost.locator, lost.reason) == (f"{POSTS}:1", "extraction_timeout")
    assert found.metadata["title"] == "Title 3"
