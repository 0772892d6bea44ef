"""Faults of the configuration, each told by key, value and remedy."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from scripts.common.code import ROOT
from scripts.common.config.workflow import Config, load
from scripts.common.errors import UserError

DEMO = yaml.safe_load((ROOT / "config/config.yaml").read_text())


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    values = copy.deepcopy(DEMO)
    change(values)
    return values


def test_the_demo_is_valid() -> None:
    assert isinstance(load(DEMO), Config)


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
