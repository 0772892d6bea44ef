"""The tree of phases: what a child takes over of its parent's LR, moments and clock."""

from typing import Any

import pytest
from pydantic import ValidationError

from scripts.common.config.train import Merge, Phase
from scripts.common.errors import UserError
from scripts.train.course import Clock, Course, courses

M = 10**6


def phase(lr: str, parent: str | None = None, tokens: int = 10 * M, **keys: Any) -> Phase:
    return Phase(parent=parent, mixture="all", tokens=tokens, lr=lr, **keys)


def test_a_child_starts_at_its_parents_last_lr_and_anew_in_tokens() -> None:
    tree = courses(
        {  # children before their parents: the order of the file does not matter
            "anneal": phase("Constant(0.5x, 5M) -> Linear(0.1x)", "trunk"),
            "other": phase("Cosine(0)", "trunk", inherit={"lr": 8e-4}),
            "trunk": phase("Warmup(1e-3, 1M) -> Decay(4e-4)"),
        }
    )
    assert list(tree) == ["anneal", "other", "trunk"]
    assert tree["trunk"].end == Clock(lr=4e-4, tokens=10 * M)
    assert tree["anneal"].lr(0) == pytest.approx(2e-4)
    assert tree["anneal"].end.lr == pytest.approx(4e-5)
    assert tree["other"].lr(0) == 8e-4
    assert tree["other"].lr(5 * M) == pytest.approx(4e-4)


def test_phases_on_one_clock_go_through_one_schedule() -> None:
    """The third starts a clock of its own, from the LR that the second ended at."""
    keys = {
        "lr": "Linear(1.5x, 4M) -> Constant -> Linear(0.5x, 9M)",
        "schedule_tokens": "26M",
        "batch_tokens": "Constant(4096, 12M) -> Constant(8192)",
    }
    tree = courses(
        {
            "root": phase("Constant(2e-4)"),
            "one": phase(parent="root", **keys),
            "two": phase(parent="one", tokens=16 * M, inherit={"clock": True}, **keys),
            "three": phase("Constant(2x)", "two"),
        }
    )
    one, two = tree["one"], tree["two"]
    assert one.lr(0) == 2e-4
    assert one.lr(4 * M) == one.end.lr == two.lr(0) == pytest.approx(3e-4)
    assert (two.begin, two.first_lr) == (10 * M, 2e-4)
    assert two.lr(7 * M) == pytest.approx(3e-4)
    assert two.lr(16 * M) == pytest.approx(1e-4)  # half of what the clock began with
    assert [stretch.batch_tokens for stretch in one.plan.stretches] == [4096]
    assert [stretch.batch_tokens for stretch in two.plan.stretches] == [4096, 8192]
    assert two.plan.edges == (2 * M,)
    assert tree["three"].begin == 0
    assert tree["three"].lr(0) == pytest.approx(2e-4)


def test_a_rest_that_is_no_batch_counts_on_the_clock() -> None:
    keys = {"lr": "Linear(0, 3M)", "inherit": {"lr": 1e-3}, "schedule_tokens": "3M"}
    first = phase(tokens=M, batch_tokens=4096, **keys)
    second = phase(
        parent="first", tokens=2 * M, **{**keys, "inherit": {"clock": True}}, batch_tokens=4096
    )
    tree = courses({"first": first, "second": second})
    assert tree["first"].plan.tokens == M // 4096 * 4096
    assert tree["second"].end.lr == 0


def test_decay_is_linear_unless_said_otherwise() -> None:
    linear, cosine = (
        Course.of(phase("Constant(1, 2M) -> Decay(0)", **keys), Clock())
        for keys in ({}, {"decay": "Cosine"})
    )
    assert linear.lr(4 * M) == pytest.approx(0.75)
    assert cosine.lr(4 * M) == pytest.approx((1 + 2**-0.5) / 2)


def merged(**branches: Phase) -> dict[str, Phase | Merge]:
    """A trunk, branches of it, and their merge."""
    trunk = phase("Warmup(1e-3, 1M) -> Constant")
    soup = Merge(merge=dict.fromkeys(branches, 1))
    return {"soup": soup, "trunk": trunk, **branches}


def test_a_child_of_a_merge_inherits_what_the_merged_agree_on() -> None:
    branch = phase("Linear(0.1x)", "trunk")
    keys = {"lr": "Linear(0.1x) -> Constant(5e-4, 4M)", "inherit": {"clock": True}}
    child = phase(parent="soup", tokens=4 * M, **keys)
    tree = courses(
        merged(one=branch, two=branch) | {"child": child, "other": phase("Constant(2x)", "soup")}
    )
    assert list(tree) == ["trunk", "one", "two", "child", "other"]
    assert tree["child"].begin == 10 * M
    assert tree["child"].first_lr == 1e-3
    assert tree["other"].begin == 0
    assert tree["other"].lr(0) == pytest.approx(2e-4)


@pytest.mark.parametrize(
    ("two", "child", "named"),
    [
        ({"lr": "Linear(0)"}, {"lr": "Constant"}, r"child\.lr 'Constant'.* no inherited lr"),
        ({"lr": "Linear(0)"}, {"lr": "Constant(2x)"}, r"child\.lr .*'2x' needs .* absolute LR"),
        ({"tokens": 9 * M}, {"inherit": {"clock": True}}, r"child\.inherit\.clock: .*leave it out"),
        ({"inherit": {"lr": 2e-3}}, {"inherit": {"clock": True}}, r"child\.inherit\.clock: "),
    ],
)
def test_what_the_merged_do_not_agree_on_is_not_inherited(
    two: dict[str, Any], child: dict[str, Any], named: str
) -> None:
    branch = {"lr": "Constant", "parent": "trunk"}
    tree = merged(one=phase(**branch), two=phase(**{**branch, **two}))
    with pytest.raises(UserError, match=rf"phases\.{named}"):
        courses(tree | {"child": phase(**{"lr": "Constant(1e-3)", **child}, parent="soup")})
    courses(tree | {"child": phase("Constant(1e-3)", "soup")})


def test_a_merge_of_merges_stands_where_all_of_them_do() -> None:
    branch = phase("Constant", "trunk")
    tree = merged(one=branch, two=branch) | {
        "outer": Merge(merge={"soup": 2, "one": 1}),
        "child": phase("Constant", "outer", inherit={"clock": True}),
    }
    assert courses(tree)["child"].begin == 10 * M
    assert courses(tree)["child"].first_lr == 1e-3


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"lr": "Linear(0)"}, r"phases\.base\.lr 'Linear.0.'.* no inherited lr"),
        ({"batch_tokens": "Cosine(64)"}, r"phases\.base\.batch_tokens .*write one of"),
        ({"context": "Constant(64, 99M)"}, r"phases\.base\.context .*schedule_tokens"),
        ({"schedule_tokens": "9M"}, r"phases\.base\.schedule_tokens: 9,000,000 end before"),
        ({"tokens": 4095}, r"phases\.base\.tokens: 4095 is less than one batch"),
    ],
)
def test_faults_name_the_phase_and_the_key(keys: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        courses({"base": phase(**{"lr": "Constant(1e-3)", **keys})})


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"inherit": {"clock": True}}, "no parent whose clock"),
        ({"parent": "base", "inherit": {"clock": True, "lr": 1}}, "has its schedule's LR"),
        ({"context": 1}, "nothing to predict"),
        ({"batch_tokens": 100, "context": 64}, "no multiple of context 64"),
        ({"batch_tokens": "many"}, "'many' is not a token count"),
        ({"inherit": {"moments": False}}, "moments"),
    ],
)
def test_what_a_phase_alone_shows_to_be_wrong(keys: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        phase("Constant(1e-3)", **keys)
