"""Published benchmarks as their authors ship them."""

import gzip
import json
from pathlib import Path

import pytest

from scripts.common import tables
from scripts.common.code import ROOT
from tests.decontaminate.conftest import Stage, contaminated, hits, write_documents

DATA = ROOT.parent / "shared/data/benchmarks"
BENCHMARKS = {
    "gsm8k": {"paths": ["gsm8k/test.jsonl.gz"], "fields": ["question", "answer"]},
    "humaneval": {
        "paths": ["humaneval"], "id_field": "task_id", "fields": ["prompt", "canonical_solution"],
    },
    "mbpp": {
        "paths": ["mbpp/*.jsonl.gz"], "id_field": "task_id",
        "fields": ["text", "code", "test_list"],
    },
    "cruxeval": {"paths": ["cruxeval"], "id_field": "id", "fields": ["code", "input", "output"]},
    "bbh": {"paths": ["bbh/*.json.gz"], "fields": ["input", "target"], "records": "examples"},
}  # fmt: skip
ITEMS = {"gsm8k": 1319, "humaneval": 164, "mbpp": 974, "cruxeval": 800, "bbh": 6511}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no benchmarks in {DATA}")


def test_items_of_all_are_found_and_their_templates_are_not(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmarks = {
        name: {**one, "paths": [str(DATA / path) for path in one["paths"]]}
        for name, one in BENCHMARKS.items()
    }
    stage = Stage(monkeypatch, benchmarks=benchmarks)
    built = stage.index()
    assert {name: counts["items"] for name, counts in built.counts.items()} == ITEMS
    assert built.counts["bbh"]["template_ngrams"] > 1000
    items = tables.read(built.member("items.parquet")).to_pylist()
    texts = {(row["benchmark"], row["item"]): row["text"] for row in items}
    # What every item of a task of BIG-Bench Hard says, and one item of it.
    template = "Evaluate the result of a random Boolean expression. Options are True and False."
    boolean = next(text for (_, name), text in texts.items() if name.startswith("web_of_lies-"))
    planted = {name: [key for key in texts if key[0] == name][7] for name in ITEMS}
    write_documents([template, boolean, *(f"x\n{texts[key].upper()}" for key in planted.values())])
    artifact = stage.scan()
    assert contaminated(artifact)[0] == 0
    assert all(contaminated(artifact)[1:])
    found = {(hit["id"], hit["benchmark"], hit["item"]) for hit in hits(artifact)}
    assert {(102 + place, *key) for place, key in enumerate(planted.values())} <= found


def test_hybrid_tells_copies_from_other_questions_of_their_kind(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = {"paths": [str(DATA / "gsm8k/test.jsonl.gz")], "fields": ["question"]}
    stage = Stage(
        monkeypatch,
        rules=["gpt3", {"kind": "hybrid"}],
        benchmarks={"gsm8k": questions},
        planted={
            "items": 300,
            "negatives": {
                "train": {**questions, "paths": [str(DATA / "gsm8k/train.jsonl.gz")]}
            },
        },
    )  # fmt: skip
    stage.index()
    with gzip.open(DATA / "humaneval/HumanEval.jsonl.gz", "rt") as lines:
        write_documents([json.loads(line)["prompt"] for line in lines])
    counts = stage.planted().counts
    assert counts["recall"]["gpt3"]["reworded by rule"] == 0
    assert counts["recall"]["hybrid"]["reworded by rule"] > 0.95
    assert counts["recall"]["hybrid"]["digits changed"] > 0.95
    assert counts["false_positives"]["hybrid"]["train"] < 0.01
