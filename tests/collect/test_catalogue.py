"""The catalogue of data sets: each entry by itself, and how a configuration uses it."""

import copy

import pytest
import yaml
from pydantic import TypeAdapter

from scripts.common.code import ROOT
from scripts.common.config.catalogue import entry, names
from scripts.common.config.collect import AnySource
from scripts.common.config.workflow import Config, load
from scripts.common.errors import UserError

DEMO = yaml.safe_load((ROOT / "config/config.yaml").read_text())
SOURCE = TypeAdapter(AnySource)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
# Section 3.1 of the survey, and what it names elsewhere.
SURVEY = {
    "common-crawl", "wikipedia", "c4", "pile", "dolma", "redpajama", "matrix", "stack-exchange",
    "redstone", "megamath", "fineweb-edu",
}  # fmt: skip


def config(**source):
    """The demo's configuration with one more source, of the demo's domain `general`."""
    values = copy.deepcopy(DEMO)
    values["sources"]["more"] = {"domain": "general", **source}
    values["deduplicate"]["preference"].append("more")
    return values


def test_all_that_the_survey_names_is_there():
    assert set(names()) >= SURVEY


@pytest.mark.parametrize("name", names())
def test_an_entry_is_a_source_but_for_what_only_the_user_knows(name):
    known = entry(name)
    missing = {}
    if known.download is not None:
        missing["paths"] = ["data/*"]
    if known.source.get("revision", COMMIT) is None:
        missing["revision"] = COMMIT
    assert not set(missing) - {"revision"} & set(known.source), "`paths` is the user's"
    source = SOURCE.validate_python({**known.source, **missing})
    assert load(config(catalogue=name, **missing)).sources["more"].reader == source.reader
    if known.source["reader"] == "huggingface":
        assert known.home == f"https://huggingface.co/datasets/{known.source['dataset']}"


def test_a_source_overrides_what_the_entry_says():
    more = load(config(catalogue="c4", name="realnewslike", shards=64, license="X")).sources["more"]
    assert (more.dataset, more.name, more.shards, more.license) == (
        "allenai/c4", "realnewslike", 64, "X",
    )  # fmt: skip
    assert more.fields == {"url": "url", "created": "timestamp"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"catalogue": "fineweb_edu"}, r"more\.catalogue: .*'fineweb_edu'.*\['fineweb-edu'"),
        ({"catalogue": ["c4"]}, r"more\.catalogue: .*no entry \['c4'\]"),
        ({"catalogue": "../config"}, r"more\.catalogue: .*no entry"),
        ({"catalogue": "dolma"}, r"more\.paths: name the files; dolma is downloaded from https"),
        ({"catalogue": "matrix"}, "m-a-p/Matrix needs `revision`, the 40 digits of a commit"),
        ({"catalogue": "c4", "paths": ["x"]}, r"sources\.more\.huggingface\.paths"),
    ],
)
def test_what_is_wrong_with_a_use_is_told(source, message):
    with pytest.raises(UserError, match=message):
        load(config(**source))


@pytest.mark.parametrize("sources", [None, ["x"], {"more": None}, {"more": "c4"}, {1: {}}])
def test_what_is_no_source_at_all_is_told_by_validation(sources):
    with pytest.raises(UserError, match="sources"):
        load({**DEMO, "sources": sources})


def test_editors_know_of_the_catalogue():
    schema = Config.model_json_schema()
    assert "CatalogueSource" in schema["$defs"]
    assert schema["$defs"]["CatalogueSource"]["required"] == ["catalogue"]
