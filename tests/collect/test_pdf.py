"""PDF files: real ones, made by reportlab, and what goes wrong in them."""

import io
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import PageBreak, Paragraph, Preformatted, SimpleDocTemplate, Table

from scripts.collect.documents import Settings, collect
from scripts.collect.extraction import pdf
from scripts.collect.extraction.task import Extracted, Refused
from scripts.collect.readers import reader_of
from scripts.collect.records import Quarantine, Record, Skipped
from scripts.common.config.collect import PdfSource

STYLES = getSampleStyleSheet()
PROSE = (
    "The quick brown fox jumps over the lazy dog and goes on to see extraordinary things that "
    "nobody has ever told of, which takes more than the line of a page. "
)


def drawn(pages, **options):
    """Return a file whose pages have just these lines."""
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=A4, invariant=True, **options)
    for lines in pages:
        for number, line in enumerate(lines):
            canvas.drawString(50, 800 - 14 * number, line)
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


def typeset(*parts, head=None, **options):
    stream = io.BytesIO()

    def decorate(canvas, document):
        if head:
            canvas.drawString(50, 810, head)
            canvas.drawString(290, 20, f"- {document.page} -")

    document = SimpleDocTemplate(stream, pagesize=A4, invariant=True, **options)
    document.build(list(parts), onFirstPage=decorate, onLaterPages=decorate)
    return stream.getvalue()


def text_of(content):
    answer = pdf.pages(content)
    assert isinstance(answer, Extracted), answer
    return answer.text


# --------------------------------------------------------------------------------------- reader


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return {"reader": "pdf", "domain": "books", "paths": ["."]}


def test_each_file_is_a_document_and_bad_ones_are_told_apart(source):
    good = typeset(Paragraph(PROSE, STYLES["Normal"]), title="A  book")
    secret = drawn([["secret"]], encrypt=StandardEncryption("password"))
    for name, content in {
        "1-good": good,
        "2-damaged": b"%PDF-1.7 damaged",
        "3-encrypted": secret,
        "4-scan": drawn([[], []]),
        "5-empty": b"",
        "6-good": good,
    }.items():
        Path(f"{name}.pdf").write_bytes(content)
    first, *bad, last = reader_of(PdfSource.model_validate(source)).read(0)
    assert first == Record(
        "1-good.pdf",
        PROSE.strip(),
        created="2000-01-01",
        metadata={"pages": 1, "title": "A book"},
    )
    assert [one if isinstance(one, Skipped) else (type(one), one.reason) for one in bad] == [
        (Quarantine, "damaged_pdf"),
        (Quarantine, "encrypted"),
        Skipped("4-scan.pdf", "no_text_layer"),
        (Quarantine, "damaged_pdf"),
    ]
    assert last.text == first.text
    reader = reader_of(PdfSource.model_validate(source | {"shards": 2}))
    assert [one.locator[0] for one in reader.read(1)] == ["2", "4", "6"]
    assert set(reader.inputs(1)) == {
        "2-damaged.pdf", "4-scan.pdf", "6-good.pdf", "pypdfium2"
    }  # fmt: skip


def test_files_become_documents(source):
    Path("a.pdf").write_bytes(typeset(Paragraph(PROSE, STYLES["Normal"])))
    source = {"source": source, "heldout": {"fraction": 0}}
    assert collect("books", 0, Settings.model_validate(source)).counts["documents"] == 1


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_damaged_files_have_an_answer(randomness: random.Random):
    content = bytearray(typeset(Paragraph(PROSE, STYLES["Normal"])))
    for _ in range(randomness.randint(1, 30)):
        content[randomness.randrange(len(content))] = randomness.randrange(256)
    assert isinstance(pdf.pages(bytes(content)), Extracted | Refused)
    assert isinstance(pdf.pages(bytes(content[: len(content) // 2])), Extracted | Refused)


# --------------------------------------------------------------------------------------- layout


def test_lines_of_a_paragraph_are_put_together():
    content = typeset(
        Paragraph("A Heading", STYLES["Heading1"]),
        Paragraph(PROSE * 4, STYLES["Normal"]),
        Paragraph(PROSE * 7 + "Short end.", STYLES["Normal"]),
        Paragraph(PROSE * 3, STYLES["Normal"]),
    )
    assert text_of(content).split("\n\n") == [
        "A Heading",
        (PROSE * 4).strip(),
        PROSE * 7 + "Short end.",
        (PROSE * 3).strip(),
    ]


def test_a_paragraph_goes_on_over_the_pages_end():
    content = typeset(Paragraph(PROSE * 60, STYLES["Normal"]))
    assert pdf.pages(content).metadata["pages"] > 1
    assert text_of(content) == (PROSE * 60).strip()


def test_running_heads_and_page_numbers_are_dropped():
    words = random.Random(0).choices(PROSE.split(), k=600)
    paragraphs = [" ".join(words[100 * number :][:100]) + "." for number in range(6)]
    parts = [
        part for text in paragraphs for part in (Paragraph(text, STYLES["Normal"]), PageBreak())
    ]
    assert text_of(typeset(*parts, head="Journal of Foxes")) == "\n\n".join(paragraphs)


def test_short_lines_stay():
    code = "def f(x):\n    return x\nprint(f(1))"
    rows = [["name", "size"], ["alpha", "1"], ["beta", "22"]]
    parts = [Paragraph(PROSE * 4, STYLES["Normal"]), Preformatted(code, STYLES["Code"])]
    text = text_of(typeset(*parts, Table(rows), Paragraph(PROSE * 4, STYLES["Normal"])))
    lines = text.splitlines()
    assert [line.strip() for line in lines[2:]][: 3 + len(rows)] == [
        "def f(x):", "return x", "print(f(1))", "name size", "alpha 1", "beta 22"
    ]  # fmt: skip


FILL = "and this line is as long as the others here are,"


@pytest.mark.parametrize(
    ("end", "start", "elsewhere", "wanted"),
    [
        ("an exam-", "ple of it", "", "an example of it"),
        ("a well-", "known word", "", "a wellknown word"),
        ("a well-", "known word", "well-known", "a well-known word"),
        ("a well-", "known word", "well-known wellknown wellknown", "a wellknown word"),
        ("since COVID-", "19 came", "", "since COVID-19 came"),
        ("with Jean-", "Paul there", "", "with Jean-Paul there"),
    ],
)
@pytest.mark.parametrize("on_next_page", [False, True])
def test_words_are_put_together(end, start, elsewhere, wanted, on_next_page):
    first = [FILL, FILL, f"{FILL[:30]} {end}"]
    second = [f"{start} {FILL[:30]},", FILL, elsewhere]
    text = text_of(drawn([first, second] if on_next_page else [first + second]))
    assert wanted in text


def test_scripts_without_spaces_are_put_together_without():
    line = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗い所で"
    assert pdf.joined([f"{line}\r\n{line}\r\n短い。"]) == f"{line}{line}短い。"


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1))))
def test_no_character_is_lost_but_hyphens(pages):
    """True of fewer pages than have running heads."""
    pages = pages[:2]
    text = pdf.joined(["\r\n".join(lines) for lines in pages])

    def characters(value):
        return sorted(one for one in value if not one.isspace() and one not in "-\u2010")

    assert characters(text) == characters("".join(line for lines in pages for line in lines))
