"""The reader of MediaWiki dumps, and what becomes of wikitext."""

import bz2
import functools
import gzip
import tracemalloc
from html import escape
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.collect.extraction.task import Limits
from scripts.collect.readers import reader_of, wikipedia
from scripts.collect.records import Quarantine, Record, Skipped
from scripts.collect.wikitext import plain_text
from scripts.common.config.collect import WikipediaSource
from scripts.common.errors import UserError

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="de">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <base>https://de.wikipedia.org/wiki/Wikipedia:Hauptseite</base>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="6" case="first-letter">Datei</namespace>
      <namespace key="14" case="first-letter">Kategorie</namespace>
    </namespaces>
  </siteinfo>
"""


def page(number, text, title=None, namespace=0, head=""):
    return f"""  <page>
    <title>{escape(title or f"Seite {number}")}</title><ns>{namespace}</ns><id>{number}</id>{head}
    <revision>
      <id>{1000 + number}</id><parentid>7</parentid>
      <timestamp>2024-03-0{number % 9 + 1}T12:00:00Z</timestamp>
      <contributor><username>Jemand</username><id>42</id></contributor>
      <text bytes="{len(text)}" xml:space="preserve">{escape(text)}</text>
    </revision>
  </page>
"""


def dump(*pages):
    return (HEAD + "".join(pages) + "</mediawiki>\n").encode()


def read(path="dump.xml", shards=1, shard=0):
    source = {"reader": "wikipedia", "domain": "d", "paths": [path], "shards": shards}
    return list(reader_of(WikipediaSource.model_validate(source)).read(shard))


@pytest.fixture(autouse=True)
def _here(workdir: Path) -> None:
    """Tests write their dumps into the working directory."""


def test_an_article_carries_what_the_dump_says_of_it():
    text = "'''Käse''' ist [[Milch]].\n[[Datei:k.jpg|mini|Ein ''Bild'']][[Kategorie:Essen]]"
    Path("dump.xml").write_bytes(dump(page(7, text, title="Käse & Co?")))
    (found,) = read()
    assert found == Record(
        "dump.xml:7",
        "# Käse & Co?\n\nKäse ist Milch.",
        url="https://de.wikipedia.org/wiki/K%C3%A4se_%26_Co%3F",
        license="CC-BY-SA-4.0",
        created="2024-03-08T12:00:00Z",
        language="de",
        metadata={"title": "Käse & Co?", "page": "7", "revision": "1007"},
    )


def test_what_is_no_article_is_skipped_with_its_reason():
    pages = [
        page(1, "prose"),
        page(2, "#WEITERLEITUNG [[Ziel]]", head='<redirect title="Ziel" />'),
        page(3, "'''A''' kann sein:\n* [[A1]]\n{{Begriffsklärung}}"),
        page(4, "B may be\n* [[B1]]", title="B (disambiguation)"),
        page(5, "talk", namespace=1),
        page(6, "{{Infobox|x=1}}"),
        page(7, "No {{disambiguation needed|date=May}} here."),
    ]
    Path("dump.xml").write_bytes(dump(*pages))
    found = read()
    reasons = [one.reason if isinstance(one, Skipped) else one.text for one in found]
    assert reasons == [
        "# Seite 1\n\nprose", "redirect", "disambiguation", "disambiguation", "not_an_article",
        "no_prose", "# Seite 7\n\nNo here.",
    ]  # fmt: skip


@pytest.mark.parametrize(("suffix", "compress"), [("bz2", bz2.compress), ("gz", gzip.compress)])
def test_a_compressed_dump_is_read_alike_even_in_several_streams(suffix, compress):
    content = dump(*(page(number, f"text {number}") for number in range(1, 40)))
    Path("dump.xml").write_bytes(content)
    Path(f"dump.xml.{suffix}").write_bytes(compress(content[:3000]) + compress(content[3000:]))
    plain, compressed = read(), read(f"dump.xml.{suffix}")
    assert [one.text for one in compressed] == [one.text for one in plain]
    assert len(plain) == 39


@pytest.mark.parametrize("suffix", ["", ".bz2", ".gz"])
def test_a_truncated_dump_is_an_error_that_names_it(suffix):
    content = dump(*(page(number, "text " * 50) for number in range(1, 9)))
    compress = {"": bytes, ".bz2": bz2.compress, ".gz": gzip.compress}[suffix]
    Path(f"dump.xml{suffix}").write_bytes(compress(content)[:-30])
    with pytest.raises(UserError, match=rf"dump\.xml{suffix} cannot be read to its end .*restore"):
        read(f"dump.xml{suffix}")


def test_entities_that_a_file_defines_are_refused():
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    Path("dump.xml").write_bytes(bomb.encode() + dump(page(1, "text")))
    with pytest.raises(UserError, match=r"dump\.xml .*document type"):
        read()


def test_another_kind_of_xml_is_an_error():
    Path("dump.xml").write_text("<posts></posts>")
    with pytest.raises(UserError, match="root element is 'posts', not 'mediawiki'"):
        read()


def test_a_page_of_absurd_length_is_quarantined_and_the_next_read():
    Path("dump.xml").write_bytes(dump(page(1, "x" * 10_000_001), page(2, "good")))
    bad, good = read()
    assert isinstance(bad, Quarantine)
    assert (bad.locator, bad.reason) == ("dump.xml:1", "too_long")
    assert good.text == "# Seite 2\n\ngood"


def test_a_page_that_the_parser_cannot_stand_is_quarantined_and_the_next_read(monkeypatch):
    """Nested templates take mwparserfromhell time that is quadratic in their number."""
    quick = functools.partial(wikipedia.Task, limits=Limits(processor_seconds=0.5))
    monkeypatch.setattr(wikipedia, "Task", quick)
    Path("dump.xml").write_bytes(dump(page(1, "{{a|" * 40_000), page(2, "good")))
    bad, good = read()
    assert (bad.locator, bad.reason) == ("dump.xml:1", "extraction_timeout")
    assert good.text == "# Seite 2\n\ngood"


def test_memory_does_not_grow_with_the_dump():
    def peak(pages):
        Path("dump.xml.gz").write_bytes(gzip.compress(dump(*[page(1, "word " * 2000)] * pages), 1))
        source = {"reader": "wikipedia", "domain": "d", "paths": ["dump.xml.gz"]}
        reader = reader_of(WikipediaSource.model_validate(source))
        tracemalloc.start()
        assert sum(1 for _ in reader.read(0)) == pages
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(5)
    small = peak(50)
    assert peak(500) < 1.5 * small  # of a text that is ten times as long


@settings(max_examples=20)
@given(pages=st.integers(0, 12), shards=st.integers(1, 5))
def test_shards_are_disjoint_and_together_whole(tmp_path_factory, pages, shards):
    file = tmp_path_factory.mktemp("dump") / "dump.xml"
    file.write_bytes(dump(*(page(number, f"text {number}") for number in range(pages))))
    parts = [read(str(file), shards, shard) for shard in range(shards)]
    assert sorted(one.locator for part in parts for one in part) == sorted(
        one.locator for one in read(str(file))
    )
    assert sum(map(len, parts)) == pages


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("''It'' is '''bold''' and '''''both'''''.", "It is bold and both."),
        ("[[a b|shown]] and [[plain]]s, [[#x|y]]", "shown and plains, y"),
        ("see [https://x.org the site] or [https://y.org] now", "see the site or now"),
        ("a<ref>note {{cite|x}}</ref> b<ref name=x/> c<!-- no -->.", "a b c."),
        ("{| class=x\n! h\n|-\n| a || b\n|}\nafter", "after"),
        ("{| class=x\n| [[broken\nafter", "after"),
        ("Energy <math>E =\n mc^2</math>.", "Energy $E = mc^2$."),
        ('<math display="block">a < b</math>', "$$a < b$$"),
        ("use <code>f()</code> (; )", "use `f()`"),
        (
            '<syntaxhighlight lang="python">\nif x:\n    y = ""\n</syntaxhighlight>',
            '```python\nif x:\n    y = ""\n```',
        ),
        ("<source lang=md>\n```\n</source>", "````md\n```\n````"),
        ("<nowiki>''raw'' [[x]]</nowiki>", "''raw'' [[x]]"),
        ("10<sup>-6</sup> H<sub>2</sub>O the 1<sup>st</sup>", "10⁻⁶ H₂O the 1st"),
        ("* a\n** b\n# c\n; term: what\n:: deep", "- a\n  - b\n1. c\nterm: what\ndeep"),
        ("== A ==\nx\n== B ==\n=== C ===\n== D ==\ny\n== E ==", "## A\n\nx\n\n## D\n\ny"),
        ("== A ==\n=== B ===\nx", "## A\n\n### B\n\nx"),
        ("{{lang|fr|mot}} {{lang-de|Wort}} {{nowrap|a b}}", "mot Wort a b"),
        ("{{convert|5|km|mi|0}} and {{convert|5|to|6|kg}}", "5 km and 5 to 6 kg"),
        ("{{Infobox\n| a = {{x|y}}\n}}\nText{{ndash}}more", "Text\u2013more"),
        ("a&nbsp;b &lt; &mdash; c", "a b < \u2014 c"),
        ("__NOTOC__The ''Iliad'''s end", "The Iliad's end"),
        ("<gallery>\nFile:a.jpg|b\n</gallery>end</div>", "end"),
        ("x [[fr:Titre]]\n[[:fr:Titre|y]]", "x\ny"),
        ("mark \ue0000\ue001 <math>x</math>", "mark 0 $x$"),
    ],
)
def test_wikitext(wikitext, text):
    assert plain_text(wikitext, {"file"}) == text


MARKUP = ["{{", "}}", "[[", "]]", "|", "''", "'''", "\n", "=", "==", "* ", ":", "#", "File:", " "]
MARKUP += ["<ref>", "</ref>", "{|", "|}", "<math>", "</math>", "<nowiki>", "<!--", "-->", "&amp;"]


@given(st.lists(st.sampled_from([*MARKUP, "text"]), max_size=40))
def test_no_broken_markup_breaks_the_conversion(parts):
    text = plain_text("".join(parts), {"file"})
    assert text == text.strip()
    assert "\ue000" not in text
