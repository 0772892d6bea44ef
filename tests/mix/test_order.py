"""The order of real tokens artifacts, made by the program's own command line."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from scripts.common import layout
from scripts.common.artifact import Artifact
from scripts.common.code import ROOT
from scripts.common.errors import UserError
from scripts.mix import order
from tests.mix.data import write_tokens

CONTEXT = 16
SIZES = {"web": 3000, "books": 1000, "python": 1200}


@pytest.fixture
def tokens(workdir: Path) -> Path:
    write_tokens("web", [7, 13, 30, 50] * 15)
    write_tokens("web", [7, 13, 30, 50] * 15, shard=1, first_id=100)
    write_tokens("books", [500, 500], first_id=500)
    write_tokens("python", [3] * 400, first_id=1000)
    return workdir


def settings(**changes: Any) -> dict[str, Any]:
    """Settings of a phase that follows its parent, unless told that this is a merge of others."""
    parent = changes.get("parent")
    return {
        "follows": [] if parent is None else [parent],
        "tokenizer": "small", "parent": None, "mixture": {"general": 0.75, "python": 0.25},
        "sources": {
            "web": {"domain": "general", "shards": 2},
            "books": {"domain": "general", "shards": 1},
            "python": {"domain": "code", "shards": 1},
        },
        "tokens": 1500, "context": CONTEXT, "batch_tokens": 64, "max_epochs": 1.0, "seed": 0,
    } | changes  # fmt: skip


def run(monkeypatch: pytest.MonkeyPatch, phase: str, **changes: Any) -> Artifact:
    values = json.dumps(settings(**changes))
    monkeypatch.setattr(sys, "argv", ["order", "--phase", phase, "--settings", values])
    order.main()
    return Artifact.load(layout.order(phase))


def read(artifact: Artifact) -> list[dict[str, Any]]:
    return pq.read_table(artifact.member("segments.parquet")).to_pylist()


def test_rows_are_full_and_weights_exact(tokens: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = run(monkeypatch, "base")
    segments, counts = read(artifact), artifact.counts
    assert counts["rows"] * CONTEXT == 1500 // 64 * 64 == counts["batches"] * 64
    assert counts["tokens_left_out"] == 1500 - 1500 // 64 * 64
    filled: Counter[int] = Counter()
    by_source: Counter[str] = Counter()
    for segment in segments:
        filled[segment["row"]] += segment["length"]
        by_source[segment["source"]] += segment["length"]
    assert filled == dict.fromkeys(range(counts["rows"]), CONTEXT)
    assert [s["row"] for s in segments] == sorted(s["row"] for s in segments)
    assert by_source == counts["tokens"]
    for source, share in {"web": 0.5625, "books": 0.1875, "python": 0.25}.items():
        assert abs(by_source[source] - share * counts["rows"] * CONTEXT) < 1
        assert counts["epochs"][source] == pytest.approx(by_source[source] / SIZES[source])


def test_no_token_twice_before_its_source_runs_out(
    tokens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three generations, of other seeds, contexts and mixtures: read counts differ by one."""
    chain = [
        run(monkeypatch, "base"),
        run(monkeypatch, "middle", parent="base", mixture={"python": 1.0}, seed=5, max_epochs=3),
        run(monkeypatch, "last", parent="middle", context=32, tokens=4800, seed=9, max_epochs=3),
    ]
    times: dict[str, Counter[tuple[int, int]]] = {source: Counter() for source in SIZES}
    for artifact in chain:
        for segment in read(artifact):
            tokens_read = range(segment["start"], segment["start"] + segment["length"])
            times[segment["source"]].update((segment["shard"], token) for token in tokens_read)
    for source, size in SIZES.items():
        epochs = chain[-1].counts["epochs"][source]
        assert sum(times[source].values()) == round(epochs * size)
        assert max(times[source].values()) == -int(-epochs // 1)
        assert len(times[source]) == min(size, round(epochs * size))
        if epochs > 1:
            assert min(times[source].values()) == int(epochs)


def test_an_epoch_is_of_what_selection_repeats(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Books are read three times an epoch, so they have the weight of three in their domain."""
    for source, size, repeats in (("web", 40, [1]), ("books", 40, [3]), ("python", 32, [1])):
        write_tokens(source, [size] * 16, first_id=ord(source[0]) * 100, repeats=repeats * 16)
    write_tokens("web", [40] * 16, shard=1, first_id=5)
    artifact = run(monkeypatch, "base", tokens=2048, mixture={"general": 1.0})
    assert artifact.counts["tokens"] == {"books": 1229, "web": 819}
    times = Counter[tuple[str, int, int]]()
    for one in read(artifact):
        times.update(
            (one["source"], one["shard"], one["start"] + token) for token in range(one["length"])
        )
    assert max(count for (source, *_), count in times.items() if source == "books") == 3
    assert max(count for (source, *_), count in times.items() if source == "web") == 1
    assert artifact.counts["epochs"]["books"] == pytest.approx(1229 / 1920)


def test_a_ramp_makes_whole_batches_and_goes_on_with_the_parents_clock(
    tokens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """256 tokens in batches of 64, then 96 in rows of 16, then rows of 32 from 736 tokens on."""
    ramp = {
        "batch_tokens": "Constant(64, 256) -> Constant(96)",
        "context": "Constant(16, 736) -> Constant(32)",
        "schedule_tokens": 2000,
    }
    parent = run(monkeypatch, "base", tokens=600, **ramp)
    child = run(monkeypatch, "child", parent="base", tokens=500, inherit={"clock": True}, **ramp)
    assert (parent.counts["batches"], parent.counts["tokens_left_out"]) == (4 + 3, 600 - 544)
    assert (parent.counts["clock"], child.counts["clock"]) == (600, 1100)
    lengths: list[list[int]] = []
    for artifact in (parent, child):
        filled: Counter[int] = Counter()
        for segment in read(artifact):
            filled[segment["row"]] += segment["length"]
        assert list(filled) == list(range(artifact.counts["rows"]))
        assert sum(artifact.counts["tokens"].values()) == filled.total()
        lengths.append(list(filled.values()))
    assert lengths == [[16] * (544 // 16), [16] * 12 + [32] * 9]
    alone = run(monkeypatch, "alone", parent="base", tokens=500, **ramp)
    assert (alone.counts["batches"], alone.counts["clock"]) == (4 + 2, 500)


def test_siblings_go_on_from_the_same_place(tokens: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "base", tokens=512)
    one, other = (run(monkeypatch, name, parent="base", tokens=512) for name in ("one", "other"))
    assert one.content == other.content
    assert read(one) != read(Artifact.load(layout.order("base")))


def read_tokens(artifact: Artifact) -> Counter[tuple[str, int, int]]:
    """How often an order reads each token: by source, shard and place."""
    return Counter(
        (one["source"], one["shard"], token)
        for one in read(artifact)
        for token in range(one["start"], one["start"] + one["length"])
    )


def test_a_child_of_a_merge_goes_on_from_all_that_its_branches_read(
    tokens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Branches begin the same source with different seeds, and others that the child leaves."""
    run(monkeypatch, "base", tokens=512, mixture={"web": 1.0})
    code = {"parent": "base", "tokens": 512, "mixture": {"python": 1.0}}
    run(monkeypatch, "one", **code, seed=1)
    run(monkeypatch, "two", **code | {"mixture": {"python": 0.5, "books": 0.5}}, seed=2)
    branches = [Artifact.load(layout.order(name)) for name in ("base", "one", "two")]
    before = sum(map(read_tokens, branches), Counter[tuple[str, int, int]]())
    left = 1200 - sum(source == "python" for source, *_ in before)  # each token counts once
    assert 1200 - 512 - 256 < left < 1200 - 512  # the branches have some in common, not all
    child = {"parent": "soup", "follows": ["one", "two"], "mixture": {"python": 1.0}, "seed": 3}
    wanted = left // 64 * 64
    made = run(monkeypatch, "child", **child, tokens=wanted)
    assert max(read_tokens(made).values()) == 1
    assert not before.keys() & read_tokens(made).keys()
    assert made.counts["epochs"] == {
        "web": pytest.approx(512 / 3000), "books": 0.256,
        "python": pytest.approx(1 - (left - wanted) / 1200),
    }  # fmt: skip
    with pytest.raises(UserError, match="max_epochs"):
        run(monkeypatch, "more", **child, tokens=wanted + 64)
    turned = run(monkeypatch, "turned", **child | {"follows": ["two", "one"]}, tokens=wanted)
    assert read(turned) == read(made)


def test_a_clock_goes_on_behind_a_merge_where_its_branches_are_at_one_place(
    tokens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, count in (("one", 512), ("two", 512), ("three", 640)):
        run(monkeypatch, name, tokens=count)
    child = {"parent": "soup", "tokens": 128, "inherit": {"clock": True}}
    made = run(monkeypatch, "child", **child, follows=["one", "two"])
    assert made.counts["clock"] == 640
    with pytest.raises(UserError, match=r"phases\.child\.inherit\.clock: .*\[512, 640\]"):
        run(monkeypatch, "child", **child, follows=["one", "three"])


def test_orders_that_knew_other_sizes_of_a_source_are_not_joined(
    tokens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, "one", tokens=512)
    write_tokens("books", [500, 499], first_id=500)
    run(monkeypatch, "two", tokens=512)
    with pytest.raises(UserError, match="'books' had 999 and 1000 tokens in the orders"):
        run(monkeypatch, "child", parent="soup", follows=["one", "two"], tokens=64)


def test_too_many_epochs_is_an_error(tokens: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "base", mixture={"python": 1.0}, tokens=1152)
    with pytest.raises(UserError) as raised:
        run(monkeypatch, "child", parent="base", mixture={"python": 1.0}, tokens=64)
    for part in ("'child'", "'python'", "1,200", " 64 ", "1,152", "weight", "max_epochs"):
        assert part in str(raised.value)
    assert not layout.order("child").exists()


def test_less_than_a_batch_is_an_error(tokens: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"phases\.base\.tokens.*batch_tokens"):
        run(monkeypatch, "base", tokens=63)


def test_a_changed_source_is_an_error(tokens: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "base", tokens=640)
    write_tokens("web", [9], shard=1)
    with pytest.raises(UserError, match=r"'web' had 3000 tokens .* 1509 now"):
        run(monkeypatch, "child", parent="base", tokens=640)


def test_the_command_tells_errors_without_a_traceback(workdir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.mix.order", "--phase", "base",
         "--settings", json.dumps(settings())],
        cwd=workdir, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "results/tokens/small/" in done.stderr
    assert "Traceback" not in done.stderr
