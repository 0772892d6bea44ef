"""What the configuration may say of raters, and which of them score a source."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from scripts.common.code import ROOT
from scripts.common.config.annotate import FasttextRater
from scripts.common.config.workflow import Config, load
from scripts.common.errors import UserError

DEMO = yaml.safe_load((ROOT / "config/config.yaml").read_text())
RATERS: dict[str, Any] = {
    "quality": {"positive": ["topics"], "negative": ["code"]},
    "edu": {"kind": "encoder", "path": "model"},
    "likes": {"kind": "pairwise", "pairs": ["pairs.jsonl"]},
    "both": {"kind": "combined", "raters": ["quality", "edu"]},
}


def changed(change: Callable[[dict[str, Any]], object]) -> Config:
    values = copy.deepcopy(DEMO)
    values["raters"] = copy.deepcopy(RATERS)
    values["select"]["general"]["bounds"] = {"both": [0.5, None]}
    change(values)
    return load(values)


def test_a_rater_without_a_kind_is_fasttext() -> None:
    assert isinstance(changed(lambda c: None).raters["quality"], FasttextRater)


def test_a_source_is_scored_by_what_bounds_it_and_what_that_needs() -> None:
    config = changed(lambda c: c["select"].update(code={"bounds": {"likes": [None, None]}}))
    assert config.raters_of("topics") == ["quality", "edu", "both"]
    assert config.raters_of("code") == ["likes"]
    assert config.raters_of("problems") == []


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "kind": (lambda r: r["edu"].update(kind="oracle"), "'oracle'"),
    "no origin": (lambda r: r["quality"].pop("positive"), "either `positive` and `negative`"),
    "two origins": (lambda r: r["quality"].update(path="x", label="y"), "either `positive`"),
    "no label": (lambda r: r.update(own={"path": "x.bin"}), "`path` needs `label`"),
    "label twice": (lambda r: r["edu"].update(label="a", labels=["b"]), "give one"),
    "no pairs": (lambda r: r["likes"].update(pairs=[]), "give `pairs`"),
    "unknown": (lambda r: r["both"]["raters"].append("good"), "'good' is none of the raters"),
    "nested": (
        lambda r: r.update(more={"kind": "combined", "raters": ["both", "edu"]}),
        "raters.more.raters: 'both' is none of the raters to combine",
    ),
    "twice": (lambda r: r["both"].update(raters=["edu", "edu"]), "names one twice"),
    "alone": (lambda r: r["both"].update(raters=["edu"]), "at least 2 items"),
    "weights": (lambda r: r["both"].update(weights={"edu": 1}), "one for each of `raters`"),
    "weights of union": (
        lambda r: r["both"].update(weights={"edu": 1, "quality": 1}, method="union"),
        "`weights` belong to method mean",
    ),
    "nothing to learn": (lambda r: r["both"].update(method="learned"), "method learned, and no"),
    "stray labels": (lambda r: r["both"].update(labels=["x"]), "method learned, and no other"),
    "domains": (
        lambda r: r["both"].update(method="learned", positive=["topics"], negative=["code"]),
        r"`positive` has the domains \['general'\], `negative` \['code'\]",
    ),
    "source": (
        lambda r: r["both"].update(method="learned", positive=["topics"], negative=["x"]),
        "no source is called 'x'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named(fault: str) -> None:
    change, message = FAULTS[fault]
    with pytest.raises(UserError, match=message):
        changed(lambda config: change(config["raters"]))


def test_sampling_is_checked() -> None:
    with pytest.raises(UserError, match=r"select\.math\.sampling\.0\.rate"):
        changed(lambda c: c["select"].update(math={"sampling": [{"rate": -1}]}))
