"""HTML files: charsets, main text, formulas, code, tables."""

import gzip
import html as entities
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scripts.collect.documents import Settings, collect
from scripts.collect.extraction import html
from scripts.collect.extraction.task import Extracted
from scripts.collect.extraction.tex import with_tex
from scripts.collect.readers import reader_of
from scripts.collect.records import Quarantine, Skipped
from scripts.common.code import ROOT
from scripts.common.config.collect import HtmlSource

LABELLED = ROOT.parent / "shared/data/html"
PROSE = (
    "This is a paragraph of reasonable length, so that it is taken for main text, "
    "with commas, and with more than a few words to count."
)
BOTH = pytest.mark.parametrize("extractor", sorted(html.EXTRACTORS))


def page_of(body, title="A  title"):
    return (
        f"<html><head><title>{title}</title></head><body><nav><a href=/>Home</a></nav><article>"
        f"<h1>Heading</h1><p>{PROSE}</p>{body}<p>{PROSE}</p></article></body></html>"
    )


def main_text(body, extractor):
    answer = html.page(page_of(body).encode(), extractor)
    assert isinstance(answer, Extracted)
    assert answer.text.count(PROSE) == 2
    assert "Home" not in answer.text
    return answer.text


# --------------------------------------------------------------------------------------- reader


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return {"reader": "html", "domain": "general", "paths": ["pages"]}


def write(name, content):
    path = Path("pages", name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


@BOTH
def test_each_file_is_a_document_in_order(source, extractor):
    for number in range(5):
        write(f"{number}.html", page_of(f"<p>Page number {number}, with words.</p>"))
    write("3.html", "<html><body></body></html>")
    write("4.html", b"\xff\xd8\xff\xe0 a picture")
    write("ignored.txt", "text")
    reader = reader_of(HtmlSource.model_validate(source | {"extractor": extractor}))
    *good, empty, picture = reader.read(0)
    for number, record in enumerate(good):
        assert record.locator == f"pages/{number}.html"
        assert f"Page number {number}" in record.text
        assert record.metadata == {"title": "A title"}
    assert len(good) == 3
    assert empty == Skipped("pages/3.html", "no_main_text")
    assert isinstance(picture, Quarantine)
    assert (picture.reason, picture.detail) == ("not_html", "the content is image/jpeg")


def test_shards_are_disjoint_and_together_whole(source):
    for number in range(5):
        write(f"{number}.htm", page_of(f"<p>Page {number}.</p>"))
    whole = list(reader_of(HtmlSource.model_validate(source)).read(0))
    reader = reader_of(HtmlSource.model_validate(source | {"shards": 3}))
    assert [list(reader.read(shard)) for shard in range(3)] == [whole[n::3] for n in range(3)]


def test_pages_without_text_do_not_fail_the_collection(source):
    write("a.html", page_of("<p>The one with text.</p>"))
    for number in range(5):
        write(f"empty{number}.html", "<html><body><p> </p></body></html>")
    settings = {"source": source | {"max_quarantined": 0}, "heldout": {"fraction": 0}}
    counts = collect("web", 0, Settings.model_validate(settings)).counts
    assert (counts["documents"], counts["quarantined"]) == (1, 0)
    assert counts["skipped_by_reason"] == {"no_main_text": 5}


def test_the_extractors_version_is_an_input(source, monkeypatch):
    write("a.html", page_of(""))
    reader = reader_of(HtmlSource.model_validate(source))
    before = reader.inputs(0)
    assert set(before) == {"pages/a.html", "trafilatura", "lxml", "resiliparse"}
    monkeypatch.setattr("scripts.collect.extraction.found.version", lambda name: "999")
    assert reader.inputs(0)["trafilatura"] == "999" != before["trafilatura"]


# -------------------------------------------------------------------------------------- charsets

RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 5
JAPANESE = "これは日本語のテキストです。文字コードを調べるために書かれました。" * 5
FRENCH = "Portez ce vieux whisky au juge blond qui fume, à l'été déjà très naïf. " * 5


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        (RUSSIAN, "windows-1251"),
        (RUSSIAN, "koi8-r"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc-jp"),
        (JAPANESE, "iso-2022-jp"),
        (FRENCH, "windows-1252"),
        (FRENCH, "utf-8"),
    ],
)
def test_the_charset_is_what_is_said_or_what_the_bytes_look_like(text, charset):
    said, in_meta = f"<p>{text}</p>", f'<meta charset="{charset}"><p>{text}</p>'
    assert html.decoded(said.encode(charset), charset) == said
    assert html.decoded(said.encode(charset), None) == said
    assert html.decoded(said.encode(charset), "utf-8") == said
    assert html.decoded(said.encode(charset), "no-such-charset") == said
    assert html.decoded(in_meta.encode(charset), None) == in_meta


@given(st.text(), st.sampled_from([None, "iso-8859-1", "windows-1251", "shift_jis", "utf-8", "x"]))
def test_utf8_is_read_as_utf8_whatever_the_server_says(text, said):
    text = text.replace("\x1b", "").removeprefix("\ufeff")
    assert html.decoded(text.encode(), said) == text
    assert html.decoded(b"\xef\xbb\xbf" + text.encode(), said) == text


@given(st.text())
def test_utf16_has_a_mark(text):
    for name, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        assert html.decoded(mark + text.encode(name), "utf-8") == text


def test_a_page_that_is_cut_within_a_character_loses_that_one():
    whole = f"<p>{JAPANESE}</p>"
    assert html.decoded(whole.encode()[:-6], "utf-8") == f"{whole[:-5]}\ufffd"


@given(st.binary())
@example(bytes(range(256)) * 8)
def test_any_bytes_are_read_or_refused(content):
    text = html.decoded(content, "utf-8")
    assert text is None or text.count("\ufffd") <= max(1, len(text))


# ----------------------------------------------------------------------------------- extraction


@BOTH
def test_code_keeps_its_lines_and_characters(extractor):
    code = "def f(x_1):\n    if x_1 &lt; 1:\n        return [0] * 2\n    return f(x_1 - 1)"
    text = main_text(f'<pre><code class="language-python">{code}</code></pre>', extractor)
    assert entities.unescape(code) in text
    if extractor == "trafilatura":
        assert f"```\n{entities.unescape(code)}\n```" in text


@BOTH
def test_tables_keep_their_cells(extractor):
    rows = "".join(f"<tr><td>row {n}</td><td>{n * 11}</td></tr>" for n in range(1, 4))
    text = main_text(f"<table><tr><th>Name</th><th>Size</th></tr>{rows}</table>", extractor)
    cells = [re.split(r"\s*\|\s*|\t+", line.strip("| ")) for line in text.splitlines()]
    assert [cell for cell in cells if len(cell) == 2 and cell[0].startswith(("Name", "row"))] == [
        ["Name", "Size"],
        ["row 1", "11"],
        ["row 2", "22"],
        ["row 3", "33"],
    ]


MATHML = "<semantics><mrow><mi>x</mi></mrow>{}</semantics>"
ANNOTATION = '<annotation encoding="application/x-tex">x^2 &lt; a_1</annotation>'
WIKIPEDIA = (
    '<span class="mwe-math-element"><span class="mwe-math-mathml-inline" style="display: none;">'
    r'<math alttext="{\displaystyle x^2 &lt; a_1}">'
    + MATHML.format(ANNOTATION.replace("x^2 &lt; a_1", r"{\displaystyle x^2 &lt; a_1}"))
    + '</math></span><img class="mwe-math-fallback-image-inline" alt="x" aria-hidden="true"></span>'
)
KATEX = (
    '<span class="katex"><span class="katex-mathml">'
    f"<math>{MATHML.format(ANNOTATION)}</math></span>"
    '<span class="katex-html" aria-hidden="true"><span>x</span><span>2</span></span></span>'
)
LATEXML = f'<math alttext="x^2 &lt; a_1" display="inline">{MATHML.format("")}</math>'
MATHJAX = '<span class="MathJax_Preview">x2 a1</span><script type="math/tex">x^2 < a_1</script>'


@BOTH
@pytest.mark.parametrize("formula", [WIKIPEDIA, KATEX, LATEXML, MATHJAX])
def test_formulas_are_tex(extractor, formula):
    text = main_text(f"<p>It is known that {formula} holds, for all of them.</p>", extractor)
    assert "It is known that $x^2 < a_1$ holds" in text


def test_displayed_formulas_and_those_without_tex():
    script = '<script type="math/tex; mode=display">\\sum</script>'
    assert with_tex(script) == "<span>$$\\sum$$</span>"
    block = '<math display="block" alttext="y"><mi>y</mi></math>'
    assert with_tex(block) == "<span>$$y$$</span>"
    for other in ("<math><mi>q</mi></math>", "<math alttext=''><mi>q</mi></math>", "<math><mi>"):
        assert with_tex(other) == other


@given(st.lists(st.sampled_from(["<math", " ", "</math>", "<script", "</script>", ">", "x"])))
def test_what_carries_no_tex_stays_as_it_is(parts):
    assert with_tex("".join(parts)) == "".join(parts)
    assert with_tex("".join(parts) + f"<p>{LATEXML}</p>").endswith(
        "<p><span>$x^2 &lt; a_1$</span></p>"
    )


def test_many_unclosed_formulas_take_linear_time():
    assert len(with_tex("<math>" * 200_000)) == 1_200_000


WORDS = st.text(st.sampled_from("ab1 _*`~[]<\\#>+-.)("), min_size=1, max_size=30)


@settings(max_examples=300, deadline=None)
@given(WORDS)
@example(r"snake_case [1] *x* a < b \_ \\* $a_1$ C:\dir")
@example("1. one")
@example("# head")
def test_what_could_be_markdown_reads_as_on_the_page(words):
    line = " ".join(f"Begin {words} end".split())
    if line.count("`") >= 2 or r"\(" in line or r"\[" in line:
        return  # code and formulas on purpose
    assert line in main_text(f"<p>{entities.escape(line)}</p>", "trafilatura")


# ------------------------------------------------------------------------------ on labelled pages


def shingles(text):
    words = re.findall(r"\w+", text)
    return Counter(zip(*(words[start:] for start in range(4)), strict=False))


def f1(found, wanted):
    """Return the F1 of mean precision and mean recall, as the benchmark's own program does."""
    precision, recall = 0.0, 0.0
    for one, other in zip(map(shingles, found), map(shingles, wanted), strict=True):
        common = (one & other).total()
        precision += common / one.total() if one else float(not other)
        recall += common / other.total() if other else 1.0
    precision, recall = precision / len(wanted), recall / len(wanted)
    return 2 * precision * recall / (precision + recall)


@pytest.mark.skipif(not LABELLED.exists(), reason=f"no labelled pages at {LABELLED}")
@pytest.mark.parametrize(("extractor", "floor"), [("trafilatura", 0.95), ("resiliparse", 0.92)])
def test_the_main_text_is_what_people_say_it_is(extractor, floor, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels = json.loads((LABELLED / "ground-truth.json").read_bytes())
    for name in labels:
        write(f"{name}.html", gzip.decompress((LABELLED / f"html/{name}.html.gz").read_bytes()))
    reader = reader_of(
        HtmlSource(reader="html", domain="web", paths=["pages"], extractor=extractor)
    )
    texts = {Path(record.locator).stem: record.text for record in reader.read(0)}
    score = f1([texts[name] for name in labels], [page["articleBody"] for page in labels.values()])
    print(f"{extractor}: F1 {score:.4f}")
    assert score >= floor
