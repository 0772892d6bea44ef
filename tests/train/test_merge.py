"""Merges of real phases, by the program's own command line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from scripts.common import layout
from scripts.common.artifact import Artifact
from scripts.common.errors import UserError
from scripts.train import mean, merge
from tests.train.conftest import CONTEXT, make_order, phase_settings

Run = Callable[..., Artifact]

CHILD = {"model": None, "parent": "soup", "inherit": {"optimizer": False}}


@pytest.fixture
def run_merge(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the program in this process, for the weights of phases that are there."""

    def run(name: str = "soup", **weights: float) -> Artifact:
        settings = json.dumps({"merge": weights, "tokenizer": "bpe"})
        monkeypatch.setattr("sys.argv", ["merge", "--phase", name, "--settings", settings])
        merge.main()
        return Artifact.load(layout.phase(name))

    return run


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test leaves the branches that it trained to the others."""
    return tmp_path_factory.mktemp("shelf") / layout.RESULTS


@pytest.fixture
def branches(run_phase: Run, shelf: Path) -> dict[str, Artifact]:
    """Two children of one trunk that read other rows."""
    if shelf.exists():
        shutil.copytree(shelf, layout.RESULTS, dirs_exist_ok=True)
    else:
        run_phase("base", lr="Warmup(1e-2, 20%) -> Constant")
        make_order("other", [(row, "web", 0, 200 + row * CONTEXT, CONTEXT) for row in range(40)])
        for name in ("anneal", "other"):
            run_phase(name, model=None, parent="base", lr="Linear(1e-3)")
        shutil.copytree(layout.RESULTS, shelf)
    return {name: Artifact.load(layout.phase(name)) for name in ("anneal", "other")}


def test_a_merge_is_the_weighted_mean_and_a_checkpoint(
    branches: dict[str, Artifact], run_merge: Run
) -> None:
    made = run_merge(anneal=1, other=3)
    weights = load_file(made.member("model.safetensors"))
    one, other = (load_file(branch.member("model.safetensors")) for branch in branches.values())
    assert weights.keys() == one.keys()
    for name in weights:
        expected = one[name].double() * 0.25 + other[name].double() * 0.75
        assert torch.equal(weights[name], expected.float())
        assert not torch.equal(one[name], other[name])
    model = AutoModelForCausalLM.from_pretrained(made.folder, use_safetensors=True)
    assert torch.equal(model.model.norm.weight, weights["model.norm.weight"])
    assert made.counts["parameters"] == branches["anneal"].counts["parameters"]


def test_it_leaves_what_a_phase_does_but_for_moments_and_metrics(
    branches: dict[str, Artifact], run_merge: Run
) -> None:
    made = run_merge(anneal=1, other=1)
    of_a_phase = branches["anneal"].content["members"].keys()
    assert of_a_phase - made.content["members"].keys() == {"optimizer.safetensors", "metrics.jsonl"}
    for name in ("config.json", "tokenizer.json"):
        assert made.content["members"][name] == branches["anneal"].content["members"][name]
    record = json.loads(made.member("trainer.json").read_bytes())
    assert record == {
        "clock": json.loads(branches["anneal"].member("trainer.json").read_bytes())["clock"],
        "last_lr": 1e-3, "steps": 0, "tokens": 0, "total_steps": 20, "total_tokens": 1280,
    }  # fmt: skip


def test_the_same_phases_and_weights_give_the_same_bytes(
    branches: dict[str, Artifact], run_merge: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the weights are ordered and scaled, and however little is read at a time."""
    first = run_merge(anneal=1, other=3).content
    shutil.rmtree(layout.phase("soup").parent)
    monkeypatch.setattr(mean, "_SLICE_NUMBERS", 40)
    assert run_merge(other=6, anneal=2).content == first
    assert run_merge(anneal=1, other=1).content != first


def test_a_merge_that_is_there_is_kept(
    branches: dict[str, Artifact], run_merge: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = run_merge(anneal=1, other=3)
    monkeypatch.setattr(merge, "build", None)  # would fail, were the artifact not kept
    assert run_merge(other=6, anneal=2).content == made.content


def test_a_phase_trains_from_a_merge(
    branches: dict[str, Artifact], run_phase: Run, run_merge: Run
) -> None:
    """It ends with the bits of one that starts from the merge's folder as a base checkpoint."""
    soup = run_merge(anneal=1, other=1)
    make_order("child", [(row, "web", 0, row * CONTEXT, CONTEXT) for row in range(40)])
    child = run_phase("child", **CHILD, lr="Linear(0.1x)")
    assert child.counts["last_lr"] == pytest.approx(1e-4)  # of the 1e-3 that both branches end at
    assert child.counts["total_tokens"] == 1920
    shutil.copytree(soup.folder, "checkpoint")
    architecture = {**phase_settings()["model"], "path": "checkpoint"}
    alone = run_phase("child", model=architecture, lr="Linear(1e-4)", inherit={"lr": 1e-3})
    members = (one.content["members"]["model.safetensors"] for one in (child, alone))
    assert len({member["sha256"] for member in members}) == 1


def test_merges_of_merges(branches: dict[str, Artifact], run_merge: Run) -> None:
    run_merge("inner", anneal=1, other=1)
    made = run_merge("outer", inner=2, base=1)
    assert made.counts["total_tokens"] == 1280
    clock = json.loads(made.member("trainer.json").read_bytes())["clock"]
    assert clock == {"lr": None, "tokens": None, "first_lr": None}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rope": {"method": "abf", "base": 5e5}}, "'base' have different rope_parameters.*RoPE"),
        (
            {"model": {"hidden_size": 32}},
            "different head_dim, hidden_size in config.json: merge .* model",
        ),
        ({"model": {"layers": 1}}, r"different num_hidden_layers in config.json"),
    ],
)
def test_phases_of_different_models_are_not_merged(
    run_phase: Run, run_merge: Run, change: dict[str, Any], told: str
) -> None:
    if "model" in change:
        change = {"model": {**phase_settings()["model"], **change["model"]}}
    run_phase("base")
    run_phase("anneal", **change)
    with pytest.raises(UserError, match=told):
        run_merge(base=1, anneal=1)
    assert not layout.phase("soup").exists()


def test_of_different_contexts_a_merge_has_the_shorter(run_phase: Run, run_merge: Run) -> None:
    run_phase("base")
    make_order("anneal", [(row, "web", 0, row * 32, 32) for row in range(20)])
    run_phase("anneal", model=None, parent="base", context=32, lr="Constant")
    made = run_merge(base=1, anneal=1)
    assert json.loads(made.member("config.json").read_bytes())["max_position_embeddings"] == 16


def test_a_changed_phase_makes_another_merge(
    branches: dict[str, Artifact], run_phase: Run, run_merge: Run
) -> None:
    first = run_merge(anneal=1, other=1).content
    run_phase("other", model=None, parent="base", lr="Linear(0)")
    assert run_merge(anneal=1, other=1).content != first


def test_moments_are_not_inherited_from_a_merge(
    branches: dict[str, Artifact], run_phase: Run, run_merge: Run
) -> None:
    """The configuration's check tells it before any job; a program run by hand does, too."""
    run_merge(anneal=1, other=1)
    make_order("child", [(row, "web", 0, row * CONTEXT, CONTEXT) for row in range(40)])
    with pytest.raises(UserError, match=r"no member 'optimizer\.safetensors'"):
        run_phase("child", **{**CHILD, "inherit": {}}, lr="Constant")
