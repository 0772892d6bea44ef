"""Web archives: real ones, written by warcio, and what goes wrong in them."""

import gzip
import io
import zlib
from pathlib import Path

import brotli
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from warcio.warcwriter import WARCWriter

from scripts.collect.documents import Settings, collect
from scripts.collect.extraction import html, http
from scripts.collect.extraction.task import Extracted, Limits, Refused, Task
from scripts.collect.readers import reader_of
from scripts.collect.records import Quarantine, Record, Skipped
from scripts.common import layout
from scripts.common.code import ROOT
from scripts.common.config.collect import WarcSource
from scripts.common.errors import UserError

LABELLED = ROOT.parent / "shared/data/html/html"
PROSE = (
    "This is a paragraph of reasonable length, so that it is taken for main text, "
    "with commas, and with more than a few words to count."
)
DATE = "2024-05-06T07:08:09Z"


def page(words="Some words.", title="Title"):
    return (
        f"<html><head><title>{title}</title></head><body><article><p>{PROSE}</p><p>{words}</p>"
        f"<p>{PROSE}</p></article></body></html>"
    ).encode()


def message(content=b"", *headers, status="200 OK", kind="text/html"):
    lines = [f"HTTP/1.1 {status}", *([f"Content-Type: {kind}"] if kind else []), *headers]
    return "\r\n".join([*lines, "", ""]).encode() + content


class Archive:
    """Writes an archive with warcio; a response is given as its raw HTTP message."""

    def __init__(self, compress=True):
        self.stream = io.BytesIO()
        self.writer = WARCWriter(self.stream, gzip=compress)
        info = {"software": "tests"}
        self.writer.write_record(self.writer.create_warcinfo_record("a.warc", info))

    def add(self, content, url="https://example.org/", kind="response", **headers):
        content_type = {"response": "application/http; msgtype=response"}.get(kind, "text/plain")
        headers = {"WARC-Date": DATE, "Content-Type": content_type} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        record = self.writer.create_warc_record(
            url,
            kind,
            payload=io.BytesIO(content),
            length=len(content),
            warc_content_type=headers["Content-Type"],
            warc_headers_dict=headers,
        )
        self.writer.write_record(record)
        return self

    def add_malformed(self, content):
        """Add a response that warcio would not write."""
        header = f"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: {len(content)}\r\n"
        header += "Content-Type: application/http\r\n\r\n"
        self.stream.write(gzip.compress(header.encode() + content + b"\r\n\r\n"))
        return self

    @property
    def content(self):
        return self.stream.getvalue()


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def reader(*paths, **source):
    source = {"reader": "warc", "domain": "web", "paths": list(paths or ["a.warc.gz"])} | source
    return reader_of(WarcSource.model_validate({"extractor": "resiliparse"} | source))


def read(archive, name="a.warc.gz", **source):
    Path(name).write_bytes(archive.content)
    return list(reader(name, **source).read(0))


# ---------------------------------------------------------------------------------------- pages


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
def test_a_page_carries_what_the_archive_says_of_it(extractor):
    archive = Archive().add(message(page("The first."), "X: y"), "https://example.org/a")
    (found,) = read(archive, extractor=extractor)
    assert isinstance(found, Record)
    assert "The first." in found.text
    assert (found.url, found.created) == ("https://example.org/a", DATE)
    assert found.metadata["title"] == "Title"
    assert found.metadata["record"].startswith("<urn:uuid:")
    assert found.locator.startswith("a.warc.gz:")


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz", "a.warc.zst"])
def test_compressions_are_read_alike(name):
    archive = Archive(compress=name.endswith(".gz"))
    for number in range(10):
        archive.add(message(page(f"Page {number}.")), f"https://example.org/{number}")
    content = archive.content
    Path(name).write_bytes(zstandard.compress(content) if name.endswith(".zst") else content)
    found = list(reader(name).read(0))
    assert [record.url[-1] for record in found] == list("0123456789")
    with pa.input_stream(name, compression="detect") as stream:
        plain = stream.read()
    for record in found:  # the locator is a place that can be looked up
        place = int(record.locator.removeprefix(f"{name}:"))
        assert plain[place:].startswith(b"WARC/1.0\r\n")
        assert record.url.encode() in plain[place : place + 500]


def test_what_is_about_pages_is_no_loss():
    archive = Archive()
    archive.add(b"GET / HTTP/1.1\r\n\r\n", kind="request")
    archive.add(message(), kind="revisit")
    archive.add(b"about a page", kind="metadata").add(page(), kind="resource")
    archive.add(message(page()))
    assert [type(found) for found in read(archive)] == [Record]


def test_texts_that_are_extracted_already_are_taken_as_they_are():
    archive = Archive()
    archive.add("Titel\nEin Text ä".encode(), "https://example.org/de", "conversion")
    archive.add(b"caf\xe9", kind="conversion")
    good, bad = read(archive, "a.warc.wet.gz")
    assert (good.text, good.url, good.created) == (
        "Titel\nEin Text ä",
        "https://example.org/de",
        DATE,
    )
    assert (type(bad), bad.reason) == (Quarantine, "not_utf8")


@pytest.mark.skipif(not LABELLED.exists(), reason=f"no real pages at {LABELLED}")
def test_real_pages_are_read_as_from_files():
    archive, pages = Archive(), {}
    for file in sorted(LABELLED.glob("*.gz"))[:20]:
        pages[f"https://example.org/{file.stem}"] = content = gzip.decompress(file.read_bytes())
        archive.add(message(content), f"https://example.org/{file.stem}")
    found = {record.url: record.text for record in read(archive, extractor="trafilatura")}
    assert found == {url: html.page(content, "trafilatura").text for url, content in pages.items()}


# --------------------------------------------------------------------------- what is not a page

SKIPPED = {
    "http_status": message(page(), status="404 Not Found"),
    "not_html": message(b"\x89PNG", kind="image/png"),
    "no_main_text": message(),
}
QUARANTINED = {
    "not_html": message(b"%PDF-1.4"),
    "undecodable": message(page(), "Content-Encoding: secret"),
}


@pytest.mark.parametrize("reason", SKIPPED)
def test_what_every_crawl_has_is_skipped(reason):
    archive = Archive().add(SKIPPED[reason]).add(message(page()))
    skipped, good = read(archive)
    assert (type(skipped), skipped.reason) == (Skipped, reason)
    assert isinstance(good, Record)


@pytest.mark.parametrize("reason", QUARANTINED)
def test_faults_are_quarantined(reason):
    archive = Archive().add(QUARANTINED[reason]).add(message(page()))
    fault, good = read(archive)
    assert (type(fault), fault.reason) == (Quarantine, reason)
    assert fault.detail
    assert isinstance(good, Record)


def test_responses_that_are_no_http_are_quarantined():
    contents = [b"", b"\0\1\2" * 100, page(), b"HTTP/1.1 yes\r\n\r\n"]
    archive = Archive()
    for content in contents:
        archive.add_malformed(content)
    assert [(type(found), found.reason) for found in read(archive)] == [
        (Quarantine, "malformed_http")
    ] * len(contents)


def test_a_record_of_no_known_type_may_have_been_a_page():
    archive = Archive(compress=False).add(message(page("One."))).add(message(page("Two.")))
    damaged = archive.content.replace(b"WARC-Type: response", b"WARC-Type: resp0nse", 1)
    Path("a.warc").write_bytes(damaged)
    lost, good = reader("a.warc").read(0)
    assert (lost.reason, lost.detail) == ("unknown_record", "its type is 'resp0nse'")
    assert "Two." in good.text


def test_records_that_hold_no_whole_page_are_skipped():
    archive = Archive()
    archive.add(message(page()), WARC_Truncated="length")
    archive.add(b"20240506 dns", "dns:example.org", Content_Type="text/dns")
    assert [(type(found), found.reason) for found in read(archive)] == [
        (Skipped, "truncated"),
        (Skipped, "not_a_page"),
    ]


def test_a_huge_record_is_not_read_into_memory(monkeypatch):
    monkeypatch.setattr("scripts.collect.extraction.found.MAX_BYTES", 10_000)
    archive = Archive().add(message(page("x" * 10_000))).add(message(page()))
    huge, good = read(archive)
    assert (type(huge), huge.reason) == (Quarantine, "too_large")
    assert isinstance(good, Record)


def test_a_page_that_hangs_the_parser_costs_itself(monkeypatch):
    limits = Limits(processor_seconds=0.5)
    task = Task(http.response, ("resiliparse",), limits=limits)
    monkeypatch.setattr(http, "task", lambda extractor: task)
    slow = "<div " + " ".join(f"a{number}=1" for number in range(200_000)) + ">"
    archive = Archive().add(message(page("before"))).add(message(page(slow)))
    before, lost, after = read(archive.add(message(page("after"))))
    assert "before" in before.text and "after" in after.text
    assert (type(lost), lost.reason) == (Quarantine, "extraction_timeout")


# ------------------------------------------------------------------------------------------ HTTP


def text_of(raw):
    answer = http.response(raw, "resiliparse")
    assert isinstance(answer, Extracted), answer
    return answer.text


def chunked(content, *sizes, extension=""):
    parts, position = [], 0
    for size in (*sizes, len(content)):
        if chunk := content[position : position + size]:
            parts.append(b"%x%s\r\n%s\r\n" % (len(chunk), extension.encode(), chunk))
        position += size
    return b"".join(parts) + b"0\r\n\r\n"


def raw_deflate(content):
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(content) + stream.flush()


CODED = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    " deflate ": raw_deflate,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "gzip, br": lambda content: brotli.compress(gzip.compress(content, mtime=0)),
    "identity": bytes,
}


@pytest.mark.parametrize("coding", CODED)
def test_codings_are_undone(coding):
    content = CODED[coding](page("Größe".encode().decode()))
    raw = message(content, f"Content-Encoding: {coding}")
    assert "Größe" in text_of(raw)
    both = message(
        chunked(content, 7, 100), f"Content-Encoding: {coding}", "Transfer-Encoding: chunked"
    )
    assert text_of(both) == text_of(raw)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_content_that_is_cut_off_is_no_page(coding):
    raw = message(CODED[coding](page("a word " * 1000))[:-12], f"Content-Encoding: {coding}")
    answer = http.response(raw, "resiliparse")
    assert isinstance(answer, Refused)
    assert (answer.reason, answer.ordinary) == ("undecodable", False)


def test_content_that_grows_without_bound_is_no_page(monkeypatch):
    monkeypatch.setattr(http, "_MAX_PAGE_BYTES", 100_000)
    for coding in ("gzip", "deflate", "br", "zstd"):
        bomb = message(CODED[coding](b"\0" * 1_000_000), f"Content-Encoding: {coding}")
        assert http.response(bomb, "resiliparse").reason == "undecodable"


@given(st.binary(), st.lists(st.integers(1, 20)))
def test_chunks_are_put_together(content, sizes):
    assert http.dechunked(chunked(content, *sizes)) == content
    assert http.dechunked(chunked(content, *sizes, extension=";name=value")) == content


@given(st.binary(min_size=2), st.data())
def test_chunks_that_end_early_are_an_error(content, data):
    whole = chunked(content, len(content) // 2)
    first_content = whole.index(b"\n") + 1
    end_of_content = len(whole) - len(b"\r\n0\r\n\r\n")
    end = data.draw(st.integers(first_content, end_of_content))
    with pytest.raises(ValueError, match="where the size of a chunk should be"):
        http.dechunked(whole[:end])


@pytest.mark.parametrize("size", [b"-5", b"+5", b"0x5", b"1_0", b""])
def test_sizes_of_chunks_are_hexadecimal(size):
    with pytest.raises(ValueError, match="where the size of a chunk should be"):
        http.dechunked(b"3\r\nabc\r\n" + size + b"\r\n0123456789\r\n0\r\n\r\n")


def test_crawlers_that_decode_but_keep_the_headers_are_understood():
    raw = message(page("Plain."), "Content-Encoding: gzip", "Transfer-Encoding: chunked")
    assert "Plain." in text_of(raw)


def test_headers_as_servers_write_them():
    russian = "Съешь же ещё этих мягких французских булок, да выпей чаю."
    content = page(russian).decode().encode("koi8-r")
    assert russian in text_of(message(content, kind="Text/HTML; Charset=KOI8-R"))
    assert russian in text_of(message(content, kind='text/html;charset="koi8-r"'))
    assert russian in text_of(message(page(russian), kind="text/html; charset=iso-8859-1"))
    assert PROSE in text_of(message(page(), kind="application/xhtml+xml"))
    assert PROSE in text_of(message(page()).replace(b"\r\n", b"\n"))
    assert PROSE in text_of(message(page(), "Cookie: " + "x" * 200_000))
    assert http.response(message(page(), "X: " + "x" * (1 << 20)), "resiliparse").reason == (
        "malformed_http"
    )


@settings(max_examples=100, deadline=None)
@given(st.binary())
def test_any_bytes_have_an_answer(content):
    assert isinstance(http.response(content, "resiliparse"), Refused)
    http.response(message(content), "resiliparse")


# ----------------------------------------------------------------------------------------- files


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 5))
def test_shards_are_disjoint_and_together_whole(tmp_path_factory, counts, shards):
    folder = tmp_path_factory.mktemp("archives")
    for number, count in enumerate(counts):
        archive = Archive()
        for one in range(count):
            archive.add(message(page(f"Page {one}.")), f"https://example.org/{number}/{one}")
            archive.add(b"about it", kind="metadata")
        (folder / f"{number}.warc.gz").write_bytes(archive.content)
    whole = {(found.url, found.text) for found in reader(str(folder)).read(0)}
    sharded = reader(str(folder), shards=shards)
    parts = [(found.url, found.text) for shard in range(shards) for found in sharded.read(shard)]
    assert len(whole) == sum(counts)
    assert sorted(parts) == sorted(whole)


def cuts(compress):
    """Return an archive of three pages, and where the last one begins."""
    archive = Archive(compress)
    for number in range(3):
        last = len(archive.content)
        archive.add(message(page(f"Page {number}.")), f"https://example.org/{number}")
    return archive.content, last


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_a_file_that_is_cut_off_anywhere_is_an_error_that_names_it(name):
    content, last = cuts(compress=name.endswith(".gz"))
    ends = len(content) - (1 if name.endswith(".gz") else 5)  # without the blank lines it is whole
    for end in {*range(last + 1, ends, 67), ends}:
        Path(name).write_bytes(content[:end])
        with pytest.raises(UserError, match=rf"{name} cannot be read to its end"):
            list(reader(name).read(0))


def test_a_file_that_is_cut_off_within_a_record_of_no_interest_is_an_error():
    archive = Archive(compress=False).add(message(page())).add(b"about it: " * 100, kind="metadata")
    Path("a.warc").write_bytes(archive.content[:-200])
    with pytest.raises(UserError, match=r"has \d+ of 1,000 bytes"):
        list(reader("a.warc").read(0))


@pytest.mark.parametrize(
    "content", [b"hello world", gzip.compress(b"hello", mtime=0), b"\0" * 1000]
)
def test_a_file_that_is_no_archive_is_an_error(content):
    name = "a.warc.gz" if content.startswith(b"\x1f") else "a.warc"
    Path(name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} cannot be read"):
        list(reader(name).read(0))


def test_damage_within_a_file_is_an_error():
    content = bytearray(cuts(compress=True)[0])
    content[len(content) // 2] ^= 0xFF
    Path("a.warc.gz").write_bytes(bytes(content))
    with pytest.raises(UserError, match="cannot be read to its end"):
        list(reader().read(0))


def test_a_collection_has_the_same_bytes_again():
    archive = Archive()
    for number in range(30):
        archive.add(message(page(f"Page {number}.")), f"https://example.org/{number}")
    archive.add(SKIPPED["not_html"]).add(QUARANTINED["not_html"])
    Path("a.warc.gz").write_bytes(archive.content)
    source = {"reader": "warc", "domain": "web", "paths": ["."], "max_quarantined": 0.1}
    settings = Settings.model_validate({"source": source, "heldout": {"fraction": 0.1}})
    first = collect("crawl", 0, settings)
    assert first.counts["documents"] + first.counts["heldout"] == 30
    assert first.counts["quarantined_by_reason"] == {"not_html": 1}
    assert first.counts["skipped_by_reason"] == {"not_html": 1}
    layout.documents("crawl", 0).with_name(layout.MANIFEST).unlink()
    assert collect("crawl", 0, settings).digest == first.digest
