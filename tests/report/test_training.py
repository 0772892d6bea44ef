"""The phases' graph as the page tells it."""

from scripts.common.config.train import Merge
from scripts.report.training import Phases, ReportedPhase, contexts_of, start_of, with_ancestors
from tests.report.conftest import MERGES, PHASES


def phases() -> Phases:
    longer = {"control": {**PHASES["control"], "tokens": 30_000, "context": 512}}
    return {
        **{name: ReportedPhase(**told) for name, told in {**PHASES, **longer}.items()},
        **{name: Merge(**told) for name, told in MERGES.items()},
    }


def test_ancestors_come_before_what_comes_of_them() -> None:
    assert with_ancestors(["long"], phases()) == ["base", "anneal", "control", "soup", "long"]
    assert with_ancestors(["control", "anneal"], phases()) == ["base", "control", "anneal"]


def test_a_phase_begins_behind_the_longest_line_of_its_ancestors() -> None:
    begins = {name: start_of(name, phases()) for name in ("base", "anneal", "soup", "long")}
    assert begins == {"base": 0, "anneal": 40_000, "soup": 70_000, "long": 70_000}


def test_a_merge_has_the_contexts_of_what_it_is_made_of() -> None:
    assert contexts_of("soup", phases()) == {256, 512}
    assert contexts_of("long", phases()) == {1024}
