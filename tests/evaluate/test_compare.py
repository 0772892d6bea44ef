from pathlib import Path

import numpy as np
import pytest

from scripts.common import layout
from scripts.common.artifact import Artifact, make
from scripts.common.errors import UserError
from scripts.evaluate import compare, scores
from scripts.evaluate.scores import Score

MODULE = "scripts.evaluate.scores"


def evaluation(phase: str, task: str, rows: list[Score]) -> Artifact:
    return make(
        lambda draft: scores.write(rows, draft),
        output=layout.evaluation(phase, task),
        module=MODULE,
        settings=rows,
        inputs=[],
    )


def accuracy(values: list[float]) -> list[Score]:
    return [Score(f"i{i}", i, "quiz", "acc", value) for i, value in enumerate(values)]


def bits(domain: str, values: list[float], weights: list[float]) -> list[Score]:
    return [
        Score(f"{domain}{i}", i, domain, scores.BITS_PER_BYTE, value, weight)
        for i, (value, weight) in enumerate(zip(values, weights, strict=True))
    ]


def settings(tasks: list[str], margin: float = 0.1) -> compare.Settings:
    return compare.Settings(
        tasks=tasks,
        compare={"new": ["old"]},
        retention=compare.Retention(tasks=["bpb"], domains=["general"], margin=margin),
        confidence=0.95,
    )


def rows_of(evaluations: list[tuple[str, str, list[Score]]], tasks: list[str]) -> list[dict]:
    made = {(phase, task): evaluation(phase, task, rows) for phase, task, rows in evaluations}
    artifact = make(
        lambda draft: compare.build(draft, made, settings(tasks)),
        output=layout.comparison(),
        module=MODULE,
        settings={},
        inputs=[],
    )
    table = compare.tables.read(artifact.member("comparison.parquet"))
    assert table.schema.equals(compare.SCHEMA)
    return table.to_pylist()


def test_better_and_worse_follow_the_direction_of_the_metric(workdir: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, 40)
    found = rows_of(
        [
            ("new", "quiz", accuracy([1.0] * 35 + [0.0] * 5)),
            ("old", "quiz", accuracy([0.0] * 40)),
            ("new", "bpb", bits("code", (1.5 + noise).tolist(), [1.0] * 40)),
            ("old", "bpb", bits("code", [1.0] * 40, [1.0] * 40)),
        ],
        ["quiz", "bpb"],
    )
    quiz, code = found
    assert (quiz["better"], quiz["worse"], quiz["delta"]) == (True, False, 35 / 40)
    assert (code["better"], code["worse"]) == (False, True)
    assert quiz["retained"] is None and code["margin"] is None
    assert quiz["n"] == 40 and quiz["low"] < quiz["delta"] < quiz["high"]


@pytest.mark.parametrize(("rise", "retained"), [(0.0, True), (0.05, True), (0.2, False)])
def test_retention_is_decided_by_the_bad_end_of_the_interval(
    workdir: Path, rise: float, retained: bool
) -> None:
    before = [1.0 + i / 50 for i in range(50)]
    after = [value + rise for value in before]
    weights = [10.0] * 50
    (row,) = rows_of(
        [
            ("new", "bpb", bits("general", after, weights)),
            ("old", "bpb", bits("general", before, weights)),
        ],
        ["bpb"],
    )
    assert row["retained"] is retained
    assert row["margin"] == 0.1


def test_an_uncertain_domain_is_not_retained(workdir: Path) -> None:
    values = np.random.default_rng(0).normal(1.0, 2.0, 20).tolist()
    (row,) = rows_of(
        [
            ("new", "bpb", bits("general", values, [1.0] * 20)),
            ("old", "bpb", bits("general", [1.0] * 20, [1.0] * 20)),
        ],
        ["bpb"],
    )
    assert row["retained"] is False and not row["worse"]


def test_means_are_weighted(workdir: Path) -> None:
    (row,) = rows_of(
        [
            ("new", "bpb", bits("general", [2.0, 1.0], [1.0, 3.0])),
            ("old", "bpb", bits("general", [1.0, 1.0], [1.0, 3.0])),
        ],
        ["bpb"],
    )
    assert (row["mean_phase"], row["mean_against"], row["delta"]) == (1.25, 1.0, 0.25)


def test_few_documents_never_give_a_verdict(workdir: Path) -> None:
    few = compare.MINIMUM_DOCUMENTS - 1
    (row,) = rows_of(
        [("new", "quiz", accuracy([1.0] * few)), ("old", "quiz", accuracy([0.0] * few))], ["quiz"]
    )
    assert row["p_holm"] < 0.05 and not row["better"]


def test_items_are_joined_by_name_not_by_place(workdir: Path) -> None:
    ours = accuracy([float(i % 2) for i in range(30)])
    (row,) = rows_of([("new", "quiz", ours), ("old", "quiz", ours[::-1])], ["quiz"])
    assert (row["delta"], row["low"], row["high"]) == (0.0, 0.0, 0.0)


def test_different_items_are_an_error(workdir: Path) -> None:
    with pytest.raises(UserError, match="different items of quiz/acc"):
        rows_of(
            [("new", "quiz", accuracy([1.0] * 20)), ("old", "quiz", accuracy([1.0] * 21))], ["quiz"]
        )
