"""What the configuration may say about attributes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.common.code import ROOT
from scripts.common.config.workflow import load
from scripts.common.errors import UserError


@pytest.fixture
def values() -> dict[str, Any]:
    return yaml.safe_load(Path(ROOT, "config/config.yaml").read_text())


@pytest.mark.parametrize("name", ["gopher_words", "language_score", "pii_key", "quality"])
def test_measures_and_raters_can_be_bounded(values: dict[str, Any], name: str) -> None:
    values["select"]["math"] = {"bounds": {name: [0, None]}}
    load(values)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"gopher_word": [1, 2]}, r"select.math.bounds.gopher_word: .*'gopher_words'"),
        ({"language": [1, 2]}, r"select.math.bounds.language: nothing computes"),
        ({"gopher_words": [3, 2]}, r"select.math.bounds.gopher_words: 3.0 is above 2.0"),
    ],
)
def test_a_bound_that_cannot_hold_is_an_error(
    values: dict[str, Any], bounds: dict[str, list[float]], message: str
) -> None:
    values["select"]["math"] = {"bounds": bounds}
    with pytest.raises(UserError, match=message):
        load(values)


def test_a_rater_cannot_take_a_measures_name(values: dict[str, Any]) -> None:
    for name in ("gopher", "language", "pii_mail", "contamination"):
        values["raters"][name] = values["raters"]["quality"]
        with pytest.raises(UserError, match=rf"raters.{name}: another attribute has this name"):
            load(values)
        del values["raters"][name]


def test_what_is_annotated_for_its_own_sake_must_be_registered(values: dict[str, Any]) -> None:
    values["annotate"] = ["code", "maths"]
    with pytest.raises(UserError, match=r"annotate: no annotator is called 'maths'; known are"):
        load(values)
    values["annotate"] = ["code", "math"]
    assert load(values).annotate == ["code", "math"]


def test_only_known_kinds_are_masked(values: dict[str, Any]) -> None:
    values["select"]["math"] = {"mask": ["mail", "name"]}
    with pytest.raises(UserError, match=r"select.math.mask.1"):
        load(values)


def test_a_source_cannot_be_good_and_bad(values: dict[str, Any]) -> None:
    values["raters"]["quality"]["negative"] = ["topics"]
    with pytest.raises(UserError, match=r"raters.quality: 'topics' is both"):
        load(values)
