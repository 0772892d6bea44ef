"""A small world for a phase to train in: token stores, a tokenizer, orders, settings."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.config.train import Engine

VOCABULARY = 40
CONTEXT = 16
MAKER = "scripts.common.tables"  # any module: only its hash is recorded

Segments = Sequence[tuple[int, str, int, int, int]]


def make_tokens(source: str, documents: Sequence[Sequence[int]]) -> Artifact:
    def build(draft: Draft) -> None:
        ids = np.concatenate([np.asarray(document, "<u2") for document in documents])
        draft.path("ids.bin").write_bytes(ids.tobytes())
        lengths = [0, *(len(document) for document in documents)]
        np.save(draft.path("offsets.npy"), np.cumsum(lengths, dtype=np.int64))
        np.save(draft.path("documents.npy"), np.arange(len(documents), dtype=np.int64))
        np.save(draft.path("repeats.npy"), np.ones(len(documents), dtype=np.int32))
        draft.counts = {"dtype": "uint16", "bos": 0, "eos": 1, "vocabulary": VOCABULARY}

    return make(
        build,
        output=layout.tokens("bpe", source, 0),
        module=MAKER,
        settings=[[int(id) for id in document] for document in documents],
        inputs=[],
    )


def make_order(phase: str, segments: Segments) -> Artifact:
    def build(draft: Draft) -> None:
        names = ["row", "source", "shard", "start", "length"]
        columns = dict(zip(names, zip(*segments, strict=True), strict=True))
        table = pa.table(
            {
                "row": pa.array(columns["row"], pa.int64()),
                "source": pa.array(columns["source"]).dictionary_encode(),
                "shard": pa.array(columns["shard"], pa.int32()),
                "start": pa.array(columns["start"], pa.int64()),
                "length": pa.array(columns["length"], pa.int32()),
            }
        )
        tables.write(table, draft.path("segments.parquet"))

    return make(build, output=layout.order(phase), module=MAKER, settings=list(segments), inputs=[])


def phase_settings(**changes: Any) -> dict[str, Any]:
    return {
        "parent": None,
        "model": {
            "path": None, "hidden_size": 16, "intermediate_size": 32, "layers": 2, "heads": 2,
            "rope_base": 10000.0, "seed": 0,
        },
        "tokenizer": "bpe",
        "tokens": 640,
        "lr": "Warmup(1e-2, 20%) -> Cosine(1e-3)",
        "batch_tokens": 64,
        "context": CONTEXT,
        "rope": None,
        "optimizer": {
            "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95, "clip_norm": 1.0, "z_loss": 1e-4,
        },
        "spikes": {"window": 128, "deviations": 6.0, "in_a_row": 10},
        "precision": None,
        "engine": Engine().model_dump(mode="json"),
        "checkpoint_tokens": 128,
        "heldout_tokens": None,
        "tracking": {},
        **changes,
    }  # fmt: skip


@pytest.fixture
def world(workdir: Path) -> Path:
    """A source of 60 documents, a tokenizer, and the orders of `base` and its child `anneal`."""
    random = np.random.default_rng(0)
    documents = [  # each counts up from somewhere: there is something to learn
        [0, *(2 + (random.integers(38) + np.arange(random.integers(3, 40))) % 38), 1]
        for _ in range(60)
    ]
    make_tokens("web", documents)

    def build_tokenizer(draft: Draft) -> None:
        draft.path("tokenizer.json").write_text(json.dumps({"version": "1.0"}))
        draft.counts = {"bos": 0, "eos": 1, "vocabulary": VOCABULARY}

    make(build_tokenizer, output=layout.tokenizer("bpe"), module=MAKER, settings={}, inputs=[])
    for phase, first in (("base", 0), ("anneal", 640)):
        make_order(phase, [(row, "web", 0, first + row * CONTEXT, CONTEXT) for row in range(40)])
    return workdir


@pytest.fixture
def run_phase(world: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Artifact]:
    """Runs the program in this process, for a phase with changed settings."""

    def run(phase: str = "base", **changes: Any) -> Artifact:
        from scripts.train import phase as program

        command = ["phase", "--phase", phase, "--settings", json.dumps(phase_settings(**changes))]
        monkeypatch.setattr("sys.argv", command)
        program.main()
        return Artifact.load(layout.phase(phase))

    return run
