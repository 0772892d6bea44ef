"""The graph of stages against a slow search over all paths."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from scripts.common import layout
from scripts.report.lineage import Stages, read_stages
from tests.report.conftest import artifact, make_merge


@st.composite
def acyclic(draw: st.DrawFn) -> Stages:
    names = [f"stage.{index}" for index in range(draw(st.integers(1, 7)))]
    feeding = {
        name: frozenset(draw(st.sets(st.sampled_from(names[:index]))) if index else ())
        for index, name in enumerate(names)
    }
    return Stages(dict.fromkeys(names, 1), feeding)


def longest(stages: Stages, name: str, goal: str) -> int:
    """Return the length of the longest path from ``goal`` up to ``name``, 0 if there is none."""
    lengths = [
        1 if origin == goal else 1 + length
        for origin in stages.feeding[name]
        if (length := longest(stages, origin, goal)) or origin == goal
    ]
    return max(lengths, default=0)


@given(acyclic())
def test_an_edge_is_drawn_where_no_longer_path_is(stages: Stages) -> None:
    assert stages.direct_edges() == sorted(
        (origin, name)
        for name, origins in stages.feeding.items()
        for origin in origins
        if longest(stages, name, origin) == 1
    )


@given(acyclic())
def test_a_layer_is_below_all_that_feeds_it(stages: Stages) -> None:
    layers = stages.layers()
    depth = {name: level for level, names in enumerate(layers) for name in names}
    assert sorted(depth) == sorted(stages.artifacts)
    assert all(depth[origin] < depth[name] for name in depth for origin in stages.feeding[name])
    assert all(
        any(depth[origin] == depth[name] - 1 for origin in stages.feeding[name])
        for name in depth
        if depth[name]
    )


def test_phases_feed_a_merge_and_a_merge_a_phase_without_a_cycle(workdir: Path) -> None:
    order = artifact(layout.order("one"), "scripts.mix.order")
    for name in ("one", "two"):
        artifact(layout.phase(name), "scripts.train.phase", [order])
    merge = make_merge("soup", {"one": 1, "two": 1})
    child = artifact(layout.phase("child"), "scripts.train.phase", [merge])
    stages = read_stages([make_merge("outer", {"soup": 1, "child": 1}), child])
    assert stages.artifacts == {"mix.order": 1, "train.merge": 2, "train.phase": 3}
    assert stages.layers() == [["mix.order"], ["train.phase"], ["train.merge"]]
    assert stages.direct_edges() == [("mix.order", "train.phase"), ("train.phase", "train.merge")]
