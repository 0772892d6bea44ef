"""`python -m scripts.train.plan`, run as its users do, and the estimates behind it."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import LlamaConfig

from scripts.common.batch_plan import BatchPlan
from scripts.common.code import ROOT
from scripts.common.config import workflow
from scripts.common.config.train import Engine
from scripts.common.errors import UserError
from scripts.train import gpus
from scripts.train.cost import Shape
from scripts.train.plan.estimate import Cluster, Estimate
from scripts.train.plan.inputs import document_lengths, read_config
from scripts.train.plan.phases import planned_phases
from scripts.train.plan.remedies import largest_micro_batch, remedies

DEMO = ROOT / "config/config.yaml"
EIGHT_BILLION = {
    "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256,
}  # fmt: skip
SHAPE = Shape(
    parameters=8_030_261_248, matrices=7_504_658_432, block_parameters=218_112_000,
    vocabulary=128_256, tied=False, hidden=4096, heads=32, key_heads=8, head_size=128, mlp=14_336,
    gated=True, norms=2, head_norms=False, closing_norm=False, windows=(None,) * 32,
)  # fmt: skip


def command(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.train.plan", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=check,
    )  # fmt: skip


def demo(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(DEMO.read_text())
    return {**values, **changes}


def large_config(folder: Path, **engine: Any) -> Path:
    """Write a configuration that goes on from a checkpoint of 8B, but for its weights."""
    LlamaConfig(**EIGHT_BILLION).save_pretrained(folder / "base")
    phase = {
        "parent": None, "mixture": "anneal", "tokens": "2B", "lr": "Linear(0)",
        "inherit": {"lr": 1e-4}, "batch_tokens": "4M", "context": 4000, "engine": engine,
    }  # fmt: skip
    values = demo(model={"path": str(folder / "base")}, phases={"anneal": phase})
    values["evaluate"] = {**values["evaluate"], "phases": ["anneal"], "compare": {}}
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def estimate(plan: BatchPlan | None = None, nodes: int = 1, **engine: Any) -> Estimate:
    plan = plan or BatchPlan.of(2 * 10**9, 4096 * 1000, 4096)
    contexts = {context for _, context in plan.row_lengths()}
    cluster = Cluster(gpus.named("H100"), nodes, 0.5)
    lengths = {context: [context / 2] for context in contexts}
    return Estimate(plan, SHAPE, Engine(processes=8, **engine), "bf16", cluster, lengths)


def test_it_tells_the_demo_as_a_table() -> None:
    done = command("--gpu", "H100")
    cells = [re.split(r"\s{2,}", line.strip()) for line in done.stdout.splitlines()]
    rows = {label: values for label, *values in cells}
    assert rows["tokens"] == ["1,196,032", "397,312", "598,016", "598,016", "196,608"]
    assert rows["context [tokens]"] == ["256"] * 4 + ["1,024"]
    assert rows["documents [tokens]"] == ["128"] * 4 + ["512"]
    assert rows["which are"] == ["assumed"] * 5
    assert rows["fits"] == ["yes"] * 5
    assert "1,852,544 parameters" in done.stdout
    assert "H100: 989 TFLOP/s in bf16, 80 GB (74.5 GiB); nodes: 1; assumed MFU: 45%" in done.stdout
    assert "documents are assumed to be half their context" in done.stdout
    assert done.stderr == ""


def test_it_tells_a_large_model_as_json_without_its_weights(tmp_path: Path) -> None:
    file = large_config(tmp_path, processes=8, zero=1, micro_batch_tokens=16_000)
    done = command(
        "--config", str(file), "--gpu", "A100 40GB", "--nodes", "4", "--mfu", "0.4",
        "--document-length", "800", "--json",
    )  # fmt: skip
    (record,) = json.loads(done.stdout)
    assert record["parameters"] == SHAPE.parameters
    flops = 6 * SHAPE.matrices + 6 * 32 * 4096 * 800
    assert record["flops_per_token"] == flops
    assert record["tokens_per_gpu_hour"] == pytest.approx(0.4 * 312e12 * 3600 / flops)
    assert (record["document_tokens"], record["document_tokens_are"]) == (800, "given")
    assert (record["gpus"], record["steps"], record["rows"]) == (32, 500, [1000, 1000])
    full_rows = 32 * 32  # a thousand leave some processes idle
    hours = record["tokens"] * full_rows / 1000 / record["tokens_per_gpu_hour"]
    assert record["gpu_hours"] == pytest.approx(hours)
    assert record["days"] == pytest.approx(hours / 32 / 24)
    assert not record["fits"]
    assert record["largest_micro_batch_tokens"] is None
    assert sum(record["memory"].values()) == 2 * record["memory"]["total"]


def test_what_does_not_fit_is_told_with_what_would(tmp_path: Path) -> None:
    file = large_config(tmp_path, processes=8, micro_batch_tokens="64K")
    done = command("--config", str(file), "--gpu", "H100")
    assert "phases.anneal needs" in done.stdout
    assert "set `engine` to {micro_batch_tokens: " in done.stdout
    file = large_config(tmp_path)
    done = command("--config", str(file), "--gpu", "L4")
    assert "nothing in `engine` makes it fit; take more GPUs, or larger ones" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--gpu", "V100"), "--gpu V100: no figures for it; known are A100"),
        (("--gpu", "H100", "--config", "absent.yaml"), "--config absent.yaml cannot be read"),
        (("--gpu", "H100", "--mfu", "45"), "45 is no share: give 0.45 for 45%"),
        (("--gpu", "H100", "--nodes", "0"), "0 is not at least 1"),
    ],
)
def test_faults_are_told_without_a_traceback(arguments: tuple[str, ...], named: str) -> None:
    done = command(*arguments, check=False)
    assert done.returncode != 0
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_without_a_configuration_is_told(tmp_path: Path) -> None:
    config = workflow.load(demo(model={"path": str(tmp_path)}))
    with pytest.raises(UserError, match=r"has no usable config\.json: name a Hugging Face"):
        planned_phases(config, Cluster(gpus.named("H100"), 1, 0.5), None)
    with pytest.raises(UserError, match=r"the configuration is not valid:\n  title"):
        read_config_of(tmp_path, demo(title=3))


def read_config_of(folder: Path, values: dict[str, Any]) -> None:
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(values))
    read_config(file)


@pytest.mark.parametrize(
    "engine",
    [
        {"micro_batch_tokens": 65_536},
        {"zero": 2, "micro_batch_tokens": 65_536},
        {"zero": 0},
        {"zero": 1, "micro_batch_tokens": 500_000, "recompute": "cheap"},
    ],
)
def test_every_remedy_fits(engine: dict[str, Any]) -> None:
    found = estimate(**engine)
    assert not found.fits_with()
    ways = remedies(found)
    assert ways
    assert all(found.fits_with(**way) for way in ways)


def test_if_no_single_change_helps_all_of_them_are_one() -> None:
    found = replace(estimate(), cluster=Cluster(gpus.Gpu("small", 1e15, 60e9), 1, 0.5))
    assert remedies(found) == [
        {"micro_batch_tokens": 4096, "recompute": "blocks", "zero": 3, "offload": True}
    ]


def test_the_largest_micro_batch_is_the_largest() -> None:
    found = estimate(zero=2, recompute="cheap")
    largest = largest_micro_batch(found)
    assert largest is not None
    assert largest % 4096 == 0
    assert found.fits_with(micro_batch_tokens=largest)
    assert not found.fits_with(micro_batch_tokens=largest + 4096)
    shared = largest_micro_batch(estimate(zero=2, recompute="cheap", sequence_ranks=8))
    assert shared is not None
    assert abs(shared - largest) < 4096  # of rows that are divided: the same but for whole rows


def test_recomputing_blocks_takes_time() -> None:
    plain, again = estimate(), estimate(recompute="blocks")
    assert again.flops_per_token == plain.flops_per_token
    share = plain.tokens_per_gpu_hour / again.tokens_per_gpu_hour
    assert share == pytest.approx(1 + (1 - SHAPE.head / SHAPE.matrices) / 3, rel=0.02)


def test_a_ramp_is_as_full_as_its_largest_batch() -> None:
    ramp = BatchPlan.of(
        10**9, "Warmup(8M, 500M) -> Constant(8M)", "Constant(4K, 600M) -> Constant(16K)"
    )
    whole, last = estimate(ramp), estimate(BatchPlan.of(10**9, 500 * 16_000, 16_000))
    assert whole.memory == last.memory
    assert whole.flops_per_token < last.flops_per_token
    assert whole.micro_batch_tokens == 16_000


def test_documents_are_those_of_the_order(world: Path) -> None:
    values = demo()
    values["tokenizer"] = {**values["tokenizer"], "name": "bpe"}
    config = workflow.load(values)
    plan = BatchPlan.of(640, 64, 16)
    lengths = document_lengths(config, "base", plan)
    assert lengths is not None
    assert list(lengths) == [16]
    assert sum(lengths[16]) == 640  # all of its ten batches
    assert 3 < max(lengths[16]) <= 16
    assert document_lengths(config, "absent", plan) is None
    assert document_lengths(config, "base", BatchPlan.of(640, 64, 32)) is None
