"""Faults of the configuration, each told by key, value and remedy."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from scripts.common.code import ROOT
from scripts.common.config.phases import trained_origins
from scripts.common.config.train import Merge
from scripts.common.config.workflow import Config, load
from scripts.common.errors import UserError

DEMO = yaml.safe_load((ROOT / "config/config.yaml").read_text())


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    values = copy.deepcopy(DEMO)
    change(values)
    return values


def test_the_demo_is_valid() -> None:
    assert isinstance(load(DEMO), Config)


def soup(child: dict[str, Any] | None = None, **weights: float) -> Callable[[dict[str, Any]], None]:
    """A change that adds a merge, and a phase that starts from it."""
    phase = {"parent": "soup", "mixture": "anneal", "tokens": "1M", "lr": "Constant(1e-3)"}
    inherit = {"inherit": {"optimizer": False}}

    def change(config: dict[str, Any]) -> None:
        config["phases"].update(
            soup={"merge": weights}, child={**phase, **inherit, **(child or {})}
        )

    return change


def test_a_merge_is_the_same_however_its_weights_are_ordered_and_scaled() -> None:
    one, other = (
        load(changed(soup(**weights)))
        for weights in ({"control": 3, "anneal": 1}, {"anneal": 0.5, "control": 1.5})
    )
    assert one == other
    merge = one.phases["soup"]
    assert isinstance(merge, Merge)
    assert list(merge.merge.items()) == [("anneal", 0.25), ("control", 0.75)]
    assert list(one.merges()) == ["soup"]
    assert list(one.trained()) == ["base", "stable", "anneal", "control", "long", "child"]
    assert trained_origins(one.phases, "child") == ["anneal", "control"]
    assert trained_origins(one.phases, "anneal") == ["stable"]


def test_a_merge_of_merges_goes_back_to_what_was_trained() -> None:
    config = changed(soup(control=1, anneal=1))
    config["phases"]["outer"] = {"merge": {"soup": 1, "stable": 1}}
    config["phases"]["child"]["parent"] = "outer"
    assert trained_origins(load(config).phases, "child") == ["anneal", "control", "stable"]


FAULTS = {
    "unknown key": (lambda c: c["phases"]["base"].update(tokns=1), r"phases\.base\.tokns"),
    "weights": (lambda c: c["mixtures"]["stable"].update(general=0.9), r"mixtures\.stable: .*sum"),
    "unknown parent": (lambda c: c["phases"]["stable"].update(parent="basis"), "'basis'.*known"),
    "cycle": (lambda c: c["phases"]["base"].update(parent="anneal"), "cycle, base -> anneal"),
    "unknown mixture": (lambda c: c["phases"]["base"].update(mixture="x"), "mixture is called 'x'"),
    "unknown source": (lambda c: c["mixtures"]["stable"].update(books=0.0), "books"),
    "unknown reader": (lambda c: c["sources"]["code"].update(reader="ftp"), "sources.code.*ftp"),
    "tokens": (lambda c: c["phases"]["base"].update(tokens="many"), "'many' is not a token count"),
    "preference": (lambda c: c["deduplicate"]["preference"].pop(), "must list every source"),
    "domain without rule": (lambda c: c["select"].pop("math"), "no entry for domain 'math'"),
    "batch": (lambda c: c["phases"]["base"].update(context=300), "no multiple of context 300"),
    "compare": (lambda c: c["evaluate"]["compare"].update(anneal=["base"]), "'base' is not among"),
    "benchmark": (
        lambda c: c.update(
            decontaminate={
                "rules": [{"kind": "hybrid", "thresholds": {"gsm": 0.5}}],
                "benchmarks": {"gsm8k": {"paths": ["a"], "fields": ["b"]}},
            }
        ),
        r"rules\.hybrid\.thresholds\.gsm: no benchmark.*'gsm8k'",
    ),
    "rules of one name": (
        lambda c: c.update(decontaminate={"rules": ["gpt3", "gpt3"]}),
        "two rules are called 'gpt3'",
    ),
    "tokenizer": (lambda c: c["tokenizer"].update(path="x"), "either `vocabulary`"),
    "merge of one": (soup(anneal=1), r"phases\.soup\.merge: .*at least 2"),
    "weight": (soup(anneal=1, control=0), r"phases\.soup\.merge\.control: .*greater than 0"),
    "unknown merged": (soup(anneal=1, aneal=1), r"phases\.soup\.merge: .*'aneal'; known are"),
    "merge that trains": (
        lambda c: c["phases"].update(soup={"merge": {"anneal": 1, "control": 1}, "tokens": 1}),
        r"phases\.soup\.tokens: Extra",
    ),
    "cycle by a merge": (
        lambda c: (
            soup(anneal=1, control=1)(c),
            c["phases"]["base"].update(parent="soup", inherit={"optimizer": False}),
        ),
        r"base\.parent: a cycle, base -> soup -> (anneal|control) -> stable -> base; one must",
    ),
    "merge of itself": (soup(anneal=1, soup=1), r"phases\.soup\.merge: a cycle, soup -> soup"),
    "moments of a merge": (
        soup(child={"inherit": {}}, anneal=1, control=1),
        r"phases\.child\.inherit\.optimizer: 'soup' is a merge, .*set it to false",
    ),
    "RoPE bases": (soup(anneal=1, long=1), r"phases\.soup\.merge: .*'anneal': 10000.*'long': 5"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named(fault: str) -> None:
    change, message = FAULTS[fault]
    with pytest.raises(UserError, match=message):
        load(changed(change))


def test_a_small_error_of_rounding_is_no_fault() -> None:
    load(changed(lambda c: c["mixtures"].update(stable={"general": 0.7, "code": 0.1 + 0.2})))


def test_the_schema_on_disk_is_the_models() -> None:
    on_disk = json.loads((ROOT / "config/schema.json").read_text())
    assert on_disk == Config.model_json_schema(), "run `make schema`"
