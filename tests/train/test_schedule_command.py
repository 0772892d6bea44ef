"""`python -m scripts.train.schedule`, run as its users do."""

import csv
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.common.code import ROOT
from scripts.common.errors import UserError
from scripts.train.schedule import Schedule, curve


def command(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.train.schedule", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=check,
    )  # fmt: skip


def test_it_prints_tokens_and_lr_as_csv() -> None:
    done = command("Linear(0.1x)", "--tokens", "8M", "--inherit", "1e-3", "--at", "0", "4M", "8M")
    assert done.stdout == "tokens,lr\n0,0.001\n4000000,0.00055\n8000000,0.0001\n"


def test_it_needs_no_tokens_where_all_lengths_are_absolute() -> None:
    done = command("Warmup(1e-3, 1B) -> Constant(1e-3, 1T)", "--at", "0", "500M", "2T")
    assert done.stdout == "tokens,lr\n0,0\n500000000,0.0005\n2000000000000,0.001\n"


def test_without_places_it_prints_the_edges() -> None:
    done = command("WSD(4e-4, 10%, 20%)", "--tokens", "10", "--decay", "Cosine")
    assert done.stdout == "tokens,lr\n0,0\n1,0.0004\n8,0.0004\n10,0\n"
    middle = command("WSD(4e-4, 10%, 20%)", "--tokens", "8M", "--decay", "Exponential", check=False)
    assert middle.returncode == 1
    assert "an Exponential cannot start or end at 0" in middle.stderr


def test_a_recipe_is_told_with_its_batches_and_contexts() -> None:
    rows = list(csv.DictReader(command("--recipe", "llama-3-405b").stdout.splitlines()))
    told = {(row["phase"], int(row["tokens"])): row for row in rows}
    for tokens, batch, context in (
        (0, 4194304, 4096),
        (252 * 10**6, 8388608, 8192),
        (2870 * 10**9, 16777216, 8192),
    ):
        row = told["pretrain", tokens]
        assert (int(row["batch_tokens"]), int(row["context"])) == (batch, context)
    end = told["anneal", 16_400_040_000_000]
    assert (float(end["lr"]), int(end["context"])) == (0, 131072)
    row = csv.DictReader(command("--recipe", "llama-3-405b", "--at", "16T").stdout.splitlines())
    assert [(one["phase"], float(one["lr"])) for one in row] == [("long", 8e-7)]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "either a notation or --recipe"),
        (("Constant(1)", "--recipe", "phi-4"), "either a notation or --recipe"),
        (("--recipe", "phi4"), "did you mean one of ['phi-4'"),
        (("Linear(0)", "--tokens", "1M"), "no inherited lr"),
        (("Constant(1e-3, 1M)", "--plot", "curve.pdf"), ".svg or .png"),
    ],
)
def test_faults_are_told_without_a_traceback(arguments: tuple[str, ...], named: str) -> None:
    done = command(*arguments, check=False)
    assert done.returncode == 1
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_it_draws_by_the_suffix(tmp_path: Path) -> None:
    command("WSD(4e-4, 10%, 20%)", "--tokens", "8M", "--plot", str(tmp_path / "lr.svg"))
    texts = {
        "".join(node.itertext()) for node in ElementTree.parse(tmp_path / "lr.svg").iter()
        if node.tag.endswith("}text")
    }  # fmt: skip
    assert {"learning rate", "tokens"} <= texts
    command("--recipe", "olmo2-32b", "--plot", str(tmp_path / "run.png"))
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


def test_a_curve_has_both_sides_of_a_jump_and_exact_edges() -> None:
    schedule = Schedule.parse("Constant(2e-3, 333) -> Constant(1e-3, 667)", tokens=None)
    points = curve.sample(schedule, 0, 1000, shift=10)
    assert [lr for tokens, lr in points if tokens == 343] == [2e-3, 1e-3]
    assert points[0] == (10, 2e-3)
    assert points[-1] == (1010, 1e-3)
    assert points == sorted(points, key=lambda point: point[0])
    with pytest.raises(UserError, match=r"\.svg or \.png"):
        curve.draw([("lr", points)], "", Path("curve.jpg"))
