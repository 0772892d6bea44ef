import json
import math
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from transformers import AutoModelForCausalLM

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.tokenize.heldout import SCHEMA
from scripts.train import phase
from scripts.train.heldout import HeldOut, packed
from scripts.train.loss import IGNORED
from tests.train.conftest import CONTEXT, MAKER, VOCABULARY
from tests.train.test_phase import FOLDER, RESULT, members, metrics, run_killed

Run = Callable[..., Artifact]

EVERY = 192  # tokens: three steps


@pytest.fixture
def documents(world: object) -> list[dict[str, Any]]:
    """Held-out documents of two domains, from one token to several rows, as an artifact."""
    random = np.random.default_rng(1)
    rows = [
        {
            "domain": domain,
            "id": id,
            "bytes": 4 * length,
            "tokens": [0, *random.integers(2, VOCABULARY, length).tolist()],
        }
        for domain, lengths in (("code", (1, 3, 15, 16, 40)), ("math", (5, 6, 70)))
        for id, length in enumerate(lengths)
    ]

    def build(draft: Draft) -> None:
        tables.write(pa.Table.from_pylist(rows, SCHEMA), draft.path("heldout.parquet"))

    output = layout.heldout_tokens("bpe")
    make(build, output=output, module=MAKER, settings=rows, inputs=[])
    return rows


def reference(folder: object, documents: list[dict[str, Any]], domain: str) -> float:
    """Bits per byte by transformers, a document and a window at a time."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    model.requires_grad_(False)
    nats = 0.0
    chosen = [row for row in documents if row["domain"] == domain]
    for row in chosen:
        tokens = row["tokens"]
        for start in range(0, len(tokens) - 1, CONTEXT - 1):
            window = torch.tensor([tokens[start : start + CONTEXT]])
            logits = model(window).logits[0, :-1]
            nats += float(functional.cross_entropy(logits, window[0, 1:], reduction="sum"))
    return nats / math.log(2) / sum(row["bytes"] for row in chosen)


def test_it_is_what_transformers_says_of_one_document_at_a_time(
    run_phase: Run, documents: list[dict[str, Any]]
) -> None:
    made = run_phase(heldout_tokens=EVERY)
    last = metrics(made)[-1]["heldout"]
    expected = {name: reference(made.folder, documents, name) for name in ("code", "math")}
    assert last == pytest.approx(expected, rel=1e-5)


def test_it_is_measured_before_the_first_step_every_so_many_tokens_and_at_the_end(
    run_phase: Run, documents: list[dict[str, Any]]
) -> None:
    base = metrics(run_phase(heldout_tokens=EVERY))
    child = metrics(run_phase("anneal", parent="base", model=None, heldout_tokens=EVERY))
    for steps in (base, child):
        assert [step["step"] for step in steps if "heldout" in step] == [3, 6, 9, 10]
    # Weights that were drawn at random know nothing that would be worth a look.
    assert not any("heldout_before" in step for step in base)
    assert [step["step"] for step in child if "heldout_before" in step] == [1]
    assert child[0]["heldout_before"] == base[-1]["heldout"]


def test_training_is_the_same_with_and_without(
    run_phase: Run, documents: list[dict[str, Any]]
) -> None:
    without = run_phase()
    steps = metrics(without)
    shutil.rmtree(FOLDER)
    measured = run_phase(heldout_tokens=EVERY)
    names = ("model.safetensors", "optimizer.safetensors", "trainer.json")
    assert members(measured, names) == members(without, names)
    own = [
        {key: value for key, value in step.items() if not key.startswith("heldout")}
        for step in metrics(measured)
    ]
    assert own == steps


def test_a_killed_run_measures_where_one_that_was_not_does(
    run_phase: Run, documents: list[dict[str, Any]]
) -> None:
    straight = run_phase(heldout_tokens=EVERY)
    shutil.rmtree(FOLDER)
    run_killed(4, "step", heldout_tokens=EVERY)  # goes on from step 2: step 3 is measured again
    run_killed(9, "step", heldout_tokens=EVERY)  # goes on from step 8
    assert members(run_phase(heldout_tokens=EVERY), RESULT) == members(straight, RESULT)


def test_to_measure_otherwise_is_no_reason_to_train_again(
    run_phase: Run,
    documents: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = run_phase(heldout_tokens=EVERY)
    manifest = json.loads((FOLDER / layout.MANIFEST).read_bytes())
    assert manifest["observing"]["settings"] == {"heldout_tokens": EVERY}
    assert list(manifest["observing"]["inputs"]) == ["results/heldout_tokens/bpe/content.json"]
    monkeypatch.setattr(phase, "build", None)
    with caplog.at_level("INFO"):
        assert run_phase(heldout_tokens=64).content == made.content
    assert "what is measured while it is made has changed" in caplog.text


def test_micro_batches_and_the_row_that_is_filled_up_change_nothing(
    run_phase: Run, documents: list[dict[str, Any]]
) -> None:
    whole = metrics(run_phase(heldout_tokens=EVERY, lr="Constant(0)"))[-1]["heldout"]
    shutil.rmtree(FOLDER)
    engine = {"micro_batch_tokens": CONTEXT}
    parts = metrics(run_phase(heldout_tokens=EVERY, lr="Constant(0)", engine=engine))
    assert parts[-1]["heldout"] == pytest.approx(whole, rel=1e-6)


@given(st.lists(st.integers(2, 9), min_size=1, max_size=40))
def test_pieces_are_packed_whole_each_apart_and_rows_are_few(lengths: list[int]) -> None:
    starts = np.cumsum([1, *lengths[:-1]])
    pieces = [
        list(range(start, start + length)) for start, length in zip(starts, lengths, strict=True)
    ]
    batch = packed(pieces, 9)
    predicted = batch.labels_BT[batch.labels_BT != IGNORED].tolist()
    assert sorted(predicted) == [token for piece in pieces for token in piece[1:]]
    assert batch.targets == len(predicted)
    rows = zip(batch.input_ids_BT.tolist(), batch.position_ids_BT.tolist(), strict=True)
    for ids, positions in rows:
        assert positions[0] == 0
        for token, place, before in zip(ids[1:], positions[1:], ids, strict=False):
            assert place == 0 or token == 0 or token == before + 1
    assert len(batch.input_ids_BT) <= 1 + 2 * sum(lengths) // 9


def test_it_is_due_wherever_a_multiple_is_reached(documents: list[dict[str, Any]]) -> None:
    heldout = HeldOut(Artifact.load(layout.heldout_tokens("bpe")), CONTEXT, 100, at_start=False)
    spans = [(0, 64), (64, 128), (128, 192), (192, 200), (200, 264), (264, 464)]
    assert [heldout.is_due(*span) for span in spans] == [False, True, False, True, False, True]
