"""A small finished run, made of synthetic artifacts."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from scripts.common import layout, tables
from scripts.common.artifact import Draft, make
from scripts.decontaminate.planted import FALSE_POSITIVES, RECALL
from scripts.decontaminate.scan import HITS
from scripts.report.page import Settings

DOMAINS = {"web": "general", "code": "code", "sums": "math"}
PHASES: dict[str, dict[str, Any]] = {
    name: {"parent": parent, "mixture": mixture, "tokens": tokens, "context": context, "lr": lr}
    for name, parent, mixture, tokens, context, lr in (
        ("base", None, "base", 40_000, 256, "Constant(1e-3)"),
        ("anneal", "base", "anneal", 20_000, 256, "Linear(0)"),
        ("control", "base", "base", 20_000, 256, "Linear(0)"),
        ("long", "soup", "anneal", 8_192, 1024, "Cosine(1e-5)"),
    )
}
MERGES = {"soup": {"merge": {"control": 1, "anneal": 3}}}
EVALUATED = ["base", "anneal", "control", "soup", "long"]
SETTINGS = {
    "title": "A small run",
    "sources": {
        name: {
            "domain": domain,
            "shards": 1,
            "raters": {"edu": (0.5, None), "likes": None} if name == "web" else {},
        }
        for name, domain in DOMAINS.items()
    },
    "phases": {**PHASES, **MERGES},
    "evaluate": {
        "phases": EVALUATED,
        "tasks": {
            "bits": {"kind": "bits-per-byte"},
            "sums": {"kind": "lm-eval", "items": "problems", "sources": ["sums"], "count": 9},
            "position": {"kind": "position-loss", "context": 1024},
        },
        "compare": {"anneal": ["base", "control"], "soup": ["anneal"], "long": ["soup"]},
        "retention_domains": ["general"],
        "retention_margin": 0.1,
    },
}


def artifact(
    output: Path,
    program: str,
    inputs: list[Path] | None = None,
    counts: Mapping[str, Any] | None = None,
    members: Mapping[str, str | bytes | pa.Table] | None = None,
) -> Path:
    """Make an artifact as the named program would have."""

    def build(draft: Draft) -> None:
        draft.counts = dict(counts or {})
        for name, content in (members or {}).items():
            if isinstance(content, pa.Table):
                tables.write(content, draft.path(name))
            else:
                data = content.encode() if isinstance(content, str) else content
                draft.path(name).write_bytes(data)

    module = "scripts.common.layout"  # whose code stands in for the program's
    make(build, output=output, module=module, settings=program, inputs=inputs or [])
    manifest = output.with_name(layout.MANIFEST)
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "module": program}))
    return output


def make_source(source: str, license: str | None) -> list[Path]:
    row = {"id": 1, "text": "x", "source": source, "url": "u", "metadata": "{}"}
    documents = artifact(
        layout.documents(source, 0),
        "scripts.collect.documents",
        counts={"documents": 90, "heldout": 6, "quarantined": 4, "bytes": 1_250_000},
        members={
            "documents.parquet": pa.Table.from_pylist(
                [{**row, "license": license}] * 80 + [{**row, "license": None}] * 10,
                schema=tables.DOCUMENTS,
            )
        },
    )
    hits = [
        {"id": 7, "item": "one", "score": 0.25, "start": 0, "end": 5, "excerpt": "seven"},
        {"id": 7, "item": "two", "score": 1.0, "start": 8, "end": 12, "excerpt": "two & two"},
        {"id": 8, "item": "two", "score": 0.5, "start": 0, "end": 3, "excerpt": "two"},
    ]
    hits = [{"benchmark": "sums", "rule": "gpt3", "ngrams": 1, **hit} for hit in hits]
    scan = artifact(
        layout.attributes(source, "contamination", 0),
        "scripts.decontaminate.scan",
        [documents],
        members={
            "hits.parquet": pa.Table.from_pylist(hits if source == "sums" else [], schema=HITS)
        },
    )
    scores = make_scores(source, documents) if source == "web" else []
    selection = artifact(
        layout.selection(source, 0),
        "scripts.select.documents",
        [documents, scan, *scores],
        counts={
            "documents": 90, "kept": 66,
            "dropped": {"exact_duplicate": 4, "fuzzy_duplicate": 11, "language": 0, "quality": 9},
        },
    )  # fmt: skip
    return [documents, selection, scan]


def make_scores(source: str, documents: Path) -> list[Path]:
    """Make scores of two raters that agree in all but the last of ten documents."""
    edu = [place / 10 for place in range(10)]
    likes = [*edu[:9], -1.0]
    return [
        artifact(
            layout.attributes(source, rater, 0),
            "scripts.annotate.raters.score",
            [documents],
            members={"attributes.parquet": pa.table({"id": list(range(10)), rater: scores})},
        )
        for rater, scores in (("edu", edu), ("likes", likes))
    ]


def make_planted() -> list[Path]:
    """Make the measurement of one rule: of 10 copies fewer are found the higher the threshold."""
    thresholds = [None, 0.2, 0.6, 1.0]
    found = zip(thresholds, [8, 10, 8, 3], [0, 2, 0, 0], strict=True)
    recall, negatives = [], []
    for threshold, copies, texts in found:
        row = {"rule": "gpt3", "threshold": threshold}
        recall.append({**row, "kind": "re-cased", "copies": 10, "found": copies})
        negatives.append({**row, "negatives": "corpus", "texts": 20, "found": texts})
    scans = [layout.attributes(source, "contamination", 0) for source in DOMAINS]
    return [
        artifact(layout.contamination_items(), "scripts.decontaminate.flagged", scans),
        artifact(
            layout.contamination_planted(),
            "scripts.decontaminate.planted",
            [layout.documents(source, 0) for source in DOMAINS],
            counts={
                "recall": {"gpt3": {"re-cased": 0.8}}, "false_positives": {"gpt3": {"corpus": 0.0}},
            },
            members={
                "recall.parquet": pa.Table.from_pylist(recall, RECALL),
                "false_positives.parquet": pa.Table.from_pylist(negatives, FALSE_POSITIVES),
            },
        ),
    ]  # fmt: skip


_HEADER = json.dumps({"w": {"dtype": "F32", "shape": [30, 40], "data_offsets": [0, 4800]}})
WEIGHTS = len(_HEADER).to_bytes(8, "little") + _HEADER.encode() + b"\0" * 4800


def make_merge(name: str, merged: Mapping[str, float]) -> Path:
    return artifact(
        layout.phase(name),
        "scripts.train.merge",
        [layout.phase(phase) for phase in merged],
        members={"model.safetensors": WEIGHTS},
    )


def make_phase(name: str, settings: Mapping[str, Any]) -> list[Path]:
    order = artifact(
        layout.order(name),
        "scripts.mix.order",
        [layout.selection(source, 0) for source in DOMAINS],
        counts={
            "tokens": {"web": 12_000, "code": 6_000, "sums": 2_000},
            "epochs": {"web": 0.4, "code": 1.25},
        },
    )
    steps = [
        {"tokens": 512 * step, "lr": 1e-3 / step, "loss": 6 / step**0.2, "grad_norm": 1.0}
        for step in range(1, settings["tokens"] // 512 + 1)
    ]
    if settings["parent"]:
        steps[0]["heldout_before"] = {"code": 2.5, "math": 2.0}
    for step in steps[4::5]:
        step["heldout"] = {"code": 2 + 1 / step["tokens"], "math": None}
    steps[2].update(loss=None, grad_norm=None, skipped="loss is nan")
    steps[3].update(skipped="grad_norm 9.1 is above 3.2")
    parent = [layout.phase(settings["parent"])] if settings["parent"] else []
    phase = artifact(
        layout.phase(name),
        "scripts.train.phase",
        [order, *parent],
        members={
            "model.safetensors": WEIGHTS,
            "metrics.jsonl": "".join(json.dumps(step) + "\n" for step in steps),
        },
    )
    return [order, phase]


def make_evaluations(phase: str, skill: float) -> list[Path]:
    def cell(mean: float) -> dict[str, float]:
        return {"mean": mean, "n": 9}

    counts = {
        "bits": {
            domain: {"bits_per_byte": cell(2.1 - skill)} for domain in ("general", "code", "math")
        },
        "sums": {"sums": {"exact_match": cell(0.2 + skill)}},
        "position": {
            "position": {f"loss_{end:04d}": cell(3 - end / 900) for end in range(128, 1025, 128)}
        },
    }
    return [
        artifact(layout.evaluation(phase, task), f"scripts.evaluate.{task}",
                 [layout.phase(phase)], counts=told)
        for task, told in counts.items()
    ]  # fmt: skip


def difference(
    phase: str, against: str, task: str, group: str, delta: float, spread: float, **more: Any
) -> dict[str, Any]:
    """Return a row of the comparison; bits per byte unless ``metric`` says otherwise."""
    row = {
        "phase": phase, "against": against, "task": task, "group": group,
        "metric": "bits_per_byte", "higher_is_better": False, "delta": delta,
        "low": delta - spread, "high": delta + spread, "margin": None, "retained": None, **more,
    }  # fmt: skip
    decided = abs(delta) > spread
    row["better"] = decided and (delta > 0) == row["higher_is_better"]
    row["worse"] = decided and not row["better"]
    return row


def differences() -> list[dict[str, Any]]:
    exact = {"metric": "exact_match", "higher_is_better": True}
    return [
        row
        for phase, against in (
            ("anneal", "base"),
            ("anneal", "control"),
            ("soup", "anneal"),
            ("long", "soup"),
        )
        for row in (
            difference(phase, against, "bits", "general", 0.02, 0.03, margin=0.1, retained=True),
            difference(phase, against, "bits", "code", -0.31, 0.04),
            difference(phase, against, "bits", "math", 0.12, 0.05),
            difference(phase, against, "sums", "sums", 0.04, 0.06, **exact),
            difference(phase, against, "position", "position", -0.5, 0.1, metric="loss_0128"),
        )
    ]


@pytest.fixture
def finished(workdir: Path) -> Callable[..., Settings]:
    """Make every input of the report; ``license`` and ``title`` are as hostile as one likes."""

    def finish(license: str = "MIT", title: str = "A small run") -> Settings:
        for source in DOMAINS:
            make_source(source, license)
        make_planted()
        for name, settings in PHASES.items():
            if settings["parent"] in MERGES:
                make_merge("soup", MERGES["soup"]["merge"])
            make_phase(name, settings)
        evaluations = [
            path
            for index, phase in enumerate(EVALUATED)
            for path in make_evaluations(phase, 0.05 * index)
        ]
        artifact(
            layout.comparison(),
            "scripts.evaluate.compare",
            evaluations,
            members={"comparison.parquet": pa.Table.from_pylist(differences())},
        )
        return Settings.model_validate({**SETTINGS, "title": title})

    return finish
