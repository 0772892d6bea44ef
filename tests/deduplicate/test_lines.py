"""Repeated lines and paragraphs: the programs in a row, against a set of what was seen."""

import random
import shutil
import sys
from typing import NamedTuple

import pytest

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.errors import UserError
from scripts.deduplicate import clusters, lines, repeated_lines, signatures, spill

SOURCES = ["good", "bad"]  # in the order of the preference
LINES = [
    "Alpha beta",
    "alpha beta",
    "Alpha  beta ",
    "Γάμμα δέλτα 漢字",
    "}",
    "",
    " ",
    "Epsilon zeta eta",
]
MIN_CHARACTERS = 3


class Document(NamedTuple):
    id: int
    source: str
    heldout: bool
    text: str


def run_program(monkeypatch: pytest.MonkeyPatch, module, settings, *options: str) -> None:
    name = module.__name__.rpartition(".")[2]
    monkeypatch.setattr(sys, "argv", [name, *options, "--settings", settings.model_dump_json()])
    module.main()


def deduplicate(
    monkeypatch: pytest.MonkeyPatch,
    write_documents,
    documents: list[Document],
    shards: dict[str, int],
    unit: str,
) -> dict[int, list[tuple[int, int]]]:
    """Run all programs; return the spans to cut by document. Dropped documents have none."""
    for source, count in shards.items():
        for shard in range(count):
            mine = [d for d in documents if d.source == source and d.id % count == shard]
            rows = [[(d.id, d.text) for d in mine if d.heldout == held] for held in (False, True)]
            write_documents(source, shard, *rows)
            place = ("--source", source, "--shard", str(shard))
            signing = signatures.Settings(shingle_words=2, permutations=8, seed=1)
            run_program(monkeypatch, signatures, signing, *place)
            hashing = lines.Settings(unit=unit, min_characters=MIN_CHARACTERS)
            run_program(monkeypatch, lines, hashing, *place)
    shared = {"preference": SOURCES, "shards": shards}
    clustering = clusters.Settings(
        bands=1, rows=8, permutations=8, threshold=1, semantic=False, **shared
    )
    run_program(monkeypatch, clusters, clustering)
    run_program(monkeypatch, repeated_lines, repeated_lines.Settings(unit=unit, **shared))
    artifact = Artifact.load(layout.duplicate_lines())
    found = {}
    for source in SOURCES:
        table = tables.read(artifact.member(f"{source}.parquet"))
        assert table.schema.equals(repeated_lines.SCHEMA)
        spans = {}
        for row in table.to_pylist():
            assert {span["kind"] for span in row["spans"]} <= {f"duplicate_{unit}"}
            spans[row["id"]] = [(span["start"], span["end"]) for span in row["spans"]]
        every = [span for one in spans.values() for span in one]
        assert artifact.counts[source] == {
            "documents": len(spans),
            "spans": len(every),
            "characters": sum(end - start for start, end in every),
        }
        found |= spans
    return found


def dropped_documents() -> set[int]:
    artifact = Artifact.load(layout.duplicates())
    rows = [
        row
        for source in SOURCES
        for row in tables.read(artifact.member(f"{source}.parquet")).to_pylist()
    ]
    return {row["id"] for row in rows if row["kind"]}


def reference_spans(
    documents: list[Document], dropped: set[int], unit: str
) -> dict[int, list[tuple[int, int]]]:
    spans: dict[int, list[tuple[int, int]]] = {}
    seen = set()
    for document in sorted(documents, key=lambda d: (not d.heldout, SOURCES.index(d.source), d.id)):
        cut = []
        at = 0
        pieces = document.text.split("\n\n" if unit == "paragraph" else "\n")
        for number, piece in enumerate(pieces):
            separator = 0 if number == len(pieces) - 1 else 2 if unit == "paragraph" else 1
            end = at + len(piece) + separator
            key = " ".join(piece.split())
            if len(key) >= MIN_CHARACTERS and document.id not in dropped:
                if key in seen:
                    cut.append((at, end))
                seen.add(key)
            at = end
        if not document.heldout:
            spans[document.id] = cut
    return spans


def random_documents(seed: int, unit: str) -> list[Document]:
    chosen = random.Random(seed)
    solid = [line for line in LINES if line.strip()]
    documents = []
    for one in chosen.sample(range(1000), 40):
        if unit == "line":
            text = "\n".join(chosen.choices(LINES, k=chosen.randrange(5)))
        else:
            blocks = ["\n".join(chosen.choices(solid, k=chosen.randrange(1, 3))) for _ in range(3)]
            text = "\n\n".join(blocks[: chosen.randrange(4)])
        text += chosen.choice(["", f" {one}"])  # else many are copies of each other
        heldout = chosen.random() < 0.2
        documents.append(Document(one, chosen.choice(SOURCES), heldout, text))
    return documents


@pytest.mark.parametrize("unit", ["line", "paragraph"])
@pytest.mark.parametrize("seed", range(3))
def test_spans_are_what_was_seen_before_however_sharded(
    write_documents, monkeypatch: pytest.MonkeyPatch, seed: int, unit: str
) -> None:
    documents = random_documents(seed, unit)
    whole = deduplicate(monkeypatch, write_documents, documents, {"good": 1, "bad": 1}, unit)
    dropped = dropped_documents()
    assert whole == reference_spans(documents, dropped, unit)
    assert any(whole.values()) and dropped
    monkeypatch.setattr(spill, "PART_RECORDS", 7)
    assert (
        deduplicate(monkeypatch, write_documents, documents, {"good": 3, "bad": 2}, unit) == whole
    )


def test_text_that_repeats_a_held_out_paragraph_loses_it(
    write_documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = "What is the answer\nto it all?"
    documents = [
        Document(1, "good", False, f"Mine alone.\n\n{question}\n\nAnd more of mine."),
        Document(2, "bad", True, f"Held out.\n\n{question}"),
    ]
    spans = deduplicate(monkeypatch, write_documents, documents, {"good": 1, "bad": 1}, "paragraph")
    ((start, end),) = spans[1]
    text = documents[0].text
    assert text[:start] + text[end:] == "Mine alone.\n\nAnd more of mine."


def test_empty_shards(write_documents, monkeypatch: pytest.MonkeyPatch) -> None:
    assert deduplicate(monkeypatch, write_documents, [], {"good": 2, "bad": 1}, "line") == {}


def test_duplicates_of_other_documents_are_refused(
    write_documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [Document(1, "good", False, "one two"), Document(2, "bad", False, "three four")]
    shards = {"good": 1, "bad": 1}
    deduplicate(monkeypatch, write_documents, documents, shards, "line")
    duplicates = Artifact.load(layout.duplicates())
    verdicts = tables.read(duplicates.member("good.parquet"))
    others = verdicts.set_column(1, clusters.SCHEMA.field("id"), [[7]])

    def build(draft: Draft) -> None:
        tables.write(others, draft.path("good.parquet"))
        shutil.copy(duplicates.member("bad.parquet"), draft.folder)

    make(build, output=layout.duplicates(), module="scripts.common.files", settings={}, inputs=[])
    settings = repeated_lines.Settings(unit="line", preference=SOURCES, shards=shards)
    with pytest.raises(UserError, match="not aligned with its documents"):
        run_program(monkeypatch, repeated_lines, settings)
