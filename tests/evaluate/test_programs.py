"""The three evaluating programs, from artifacts to artifacts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from scripts.common import canonical, layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.code import ROOT
from scripts.common.config.evaluate import BitsPerByteTask, PositionLossTask
from scripts.common.errors import UserError
from scripts.evaluate import bits_per_byte, checkpoint, harness, position_loss, scores

MODULE = "scripts.evaluate.harness"
TASK_FILES = ROOT / "config" / "tasks"


def evaluate(build: Callable[[Draft], None], task: str) -> Artifact:
    output = layout.evaluation("tiny", task)
    return make(build, output=output, module=MODULE, settings=None, inputs=[])


def rows(artifact: Artifact) -> list[dict[str, Any]]:
    table = tables.read(artifact.member(scores.MEMBER))
    assert table.schema.equals(scores.SCHEMA)
    return table.to_pylist()


def items(rows_: list[dict[str, Any]]) -> Artifact:
    def build(draft: Draft) -> None:
        text = "".join(canonical.dumps(row) + "\n" for row in rows_)
        draft.path("items.jsonl").write_text(text, encoding="utf-8")
        draft.counts = {"items": len(rows_)}

    return make(build, output=layout.task_items("t"), module=MODULE, settings=rows_, inputs=[])


def choice(id: int, query: str, choices: list[str], gold: int) -> dict[str, Any]:
    return {"id": f"{id}-0", "query": query, "choices": choices, "gold": gold, "document": id}


def definition(task: str) -> dict[str, Any]:
    return harness.read_definition(TASK_FILES / f"{task}.yaml", task)


@pytest.mark.parametrize(("task", "delimiter"), [("continuation", " "), ("completion", "\n")])
def test_choices_are_scored_as_their_likelihoods_say(
    add_phase: Callable[..., Artifact], task: str, delimiter: str
) -> None:
    phase = add_phase()
    asked = [
        choice(1, "One two", ["three.", "    flour", "fix", "dog"], 0),
        choice(2, "def f(x):", ["    return x", "    pass", "    yield", "    x += 1"], 2),
        choice(3, "A", ["bb", "cc", "dd", "ee"], 3),
    ]
    artifact = evaluate(
        lambda draft: harness.build(
            draft, phase, items(asked), definition(task), harness.Settings(batch_size=2)
        ),
        task,
    )
    found = {(row["item"], row["metric"]): row for row in rows(artifact)}
    loaded = checkpoint.load(phase)
    for item in asked:
        texts = [delimiter + one for one in item["choices"]]
        sequences = [loaded.encode(item["query"] + text) for text in texts]
        losses = checkpoint.token_losses(loaded.model, sequences)
        sums = [
            float(loss[-len(text.encode()) :].sum())
            for loss, text in zip(losses, texts, strict=True)
        ]
        gold = item["gold"]
        size = len(item["choices"][gold].encode())
        assert found[item["id"], "acc"]["value"] == (np.argmin(sums) == gold)
        bits = found[item["id"], "bits_per_byte"]
        assert bits["value"] == pytest.approx(sums[gold] / np.log(2) / size, rel=1e-4)
        assert (bits["weight"], bits["document"], bits["group"]) == (size, item["document"], task)
    assert {metric for _, metric in found} == {"acc", "acc_norm", "bits_per_byte"}


def test_an_answer_matches_what_is_generated_greedily(add_phase: Callable[..., Artifact]) -> None:
    phase = add_phase()
    loaded = checkpoint.load(phase)
    queries = ["Question: 1 + 1?\nAnswer:", "Question: long one, 23 + 45?\nAnswer:"]
    asked = []
    for id, query in enumerate(queries):
        ids = loaded.encode(query)
        for _ in range(8):
            logits = loaded.model(checkpoint.torch.tensor([ids])).logits[0, -1]
            ids.append(int(logits.argmax()))
        text = loaded.tokenizer.decode(ids[-8:], skip_special_tokens=True)
        answer = text.split("\n")[0].lstrip()
        asked += [
            {"id": f"{id}-right", "query": query, "answer": answer, "document": id},
            {"id": f"{id}-wrong", "query": query, "answer": answer + "?", "document": id},
        ]
    artifact = evaluate(
        lambda draft: harness.build(
            draft, phase, items(asked), definition("arithmetic"), harness.Settings()
        ),
        "arithmetic",
    )
    assert {row["item"]: row["value"] for row in rows(artifact)} == {
        "0-right": 1.0,
        "0-wrong": 0.0,
        "1-right": 1.0,
        "1-wrong": 0.0,
    }
    assert artifact.counts == {"arithmetic": {"exact_match": {"mean": 0.5, "n": 4}}}


@pytest.mark.parametrize("task", ["continuation", "arithmetic"])
def test_an_input_that_does_not_fit_is_an_error(
    add_phase: Callable[..., Artifact], task: str
) -> None:
    phase = add_phase(context=32)
    asked = [
        choice(1, "x" * 40, ["a", "b"], 0)
        if task == "continuation"
        else {"id": "1-0", "query": "x" * 40, "answer": "a", "document": 1}
    ]
    with pytest.raises(UserError, match="tokens and the context"):
        evaluate(
            lambda draft: harness.build(
                draft, phase, items(asked), definition(task), harness.Settings()
            ),
            task,
        )


def test_bos_is_added_for_a_tokenizer_that_does_not(add_phase: Callable[..., Artifact]) -> None:
    asked = [choice(1, "One two", ["three", "four"], 0)]
    phases = {name: add_phase(name, bos=bos) for name, bos in [("adds", True), ("omits", False)]}
    values = [
        rows(
            evaluate(
                lambda draft, phase=phase: harness.build(
                    draft, phase, items(asked), definition("continuation"), harness.Settings()
                ),
                name,
            )
        )
        for name, phase in phases.items()
    ]
    assert values[0] == values[1]


def test_a_lost_bos_is_an_error(
    add_phase: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "lm_eval.models.huggingface._add_special_kwargs", lambda *_: {"add_special_tokens": False}
    )
    phase = add_phase()
    asked = [choice(1, "One two", ["a", "b"], 0)]
    with pytest.raises(UserError, match="bos token"):
        evaluate(
            lambda draft: harness.build(
                draft, phase, items(asked), definition("continuation"), harness.Settings()
            ),
            "continuation",
        )


def test_a_bos_lost_to_a_neighbour_in_the_batch_is_an_error(
    add_phase: Callable[..., Artifact],
) -> None:
    """lm-eval adds no bos to a batch if the text of its first query begins with one."""
    phase = add_phase()
    asked = [
        {"id": query, "query": query, "answer": "a", "document": 1}
        for query in ("<|bos|>a long question", "short")
    ]
    with pytest.raises(UserError, match=r"'short'.* bos token"):
        evaluate(
            lambda draft: harness.build(
                draft, phase, items(asked), definition("arithmetic"), harness.Settings()
            ),
            "arithmetic",
        )


def test_the_task_file_must_name_its_task(workdir: Path) -> None:
    file = workdir / "t.yaml"
    with pytest.raises(UserError, match="is missing"):
        harness.read_definition(file, "t")
    file.write_text(yaml.safe_dump({"task": "other"}))
    with pytest.raises(UserError, match="write `task: t`"):
        harness.read_definition(file, "t")
    file.write_text("doc_to_text: !function utils.text")
    with pytest.raises(UserError, match="not plain YAML"):
        harness.read_definition(file, "t")


def test_bits_per_byte_by_domain(
    add_documents: Callable[..., Artifact], add_phase: Callable[..., Artifact]
) -> None:
    phase = add_phase()
    add_documents("web", {1: "Some text.", 2: "Some more of it, é."})
    add_documents("code", {3: "x = 1"})
    settings = bits_per_byte.Settings(
        task=BitsPerByteTask(kind="bits-per-byte", documents_per_source=5),
        domains={"web": "general", "code": "code"},
        shards={"web": 1, "code": 1},
    )
    artifact = evaluate(lambda draft: bits_per_byte.build(draft, phase, settings), "bpb")
    found = rows(artifact)
    assert [(row["item"], row["group"], row["weight"]) for row in found] == [
        ("3", "code", 5.0),
        ("1", "general", 10.0),
        ("2", "general", 20.0),
    ]
    (one, two) = (row["value"] for row in found[1:])
    mean = artifact.counts["general"]["bits_per_byte"]["mean"]
    assert mean == pytest.approx((10 * one + 20 * two) / 30)


def test_a_domain_without_documents_is_an_error(
    add_documents: Callable[..., Artifact], add_phase: Callable[..., Artifact]
) -> None:
    add_documents("web", {1: "Some text."})
    add_documents("code", {})
    settings = bits_per_byte.Settings(
        task=BitsPerByteTask(kind="bits-per-byte"),
        domains={"web": "general", "code": "code"},
        shards={"web": 1, "code": 1},
    )
    phase = add_phase()
    with pytest.raises(UserError, match="code"):
        evaluate(lambda draft: bits_per_byte.build(draft, phase, settings), "bpb")


def test_position_loss_beyond_the_context(
    add_documents: Callable[..., Artifact], add_phase: Callable[..., Artifact]
) -> None:
    add_documents("web", {id: chr(97 + id) * 200 for id in range(4)})
    settings = position_loss.Settings(
        task=PositionLossTask(kind="position-loss", context=128, documents=3), shards={"web": 1}
    )
    phase = add_phase(context=64)
    artifact = evaluate(lambda draft: position_loss.build(draft, phase, settings), "positions")
    assert list(artifact.counts["position"]) == [f"loss_{end:04d}" for end in range(16, 129, 16)]
    assert {row["item"] for row in rows(artifact)} == {"0", "1", "2"}


def test_the_same_checkpoint_gives_the_same_bytes(add_phase: Callable[..., Artifact]) -> None:
    phase = add_phase()
    asked = items([choice(id, f"Query {id}", ["ab", "cd", "ef"], 1) for id in range(5)])
    digests = {
        evaluate(
            lambda draft: harness.build(
                draft, phase, asked, definition("continuation"), harness.Settings()
            ),
            name,
        ).content["members"][scores.MEMBER]["sha256"]
        for name in ("first", "second")
    }
    assert len(digests) == 1
