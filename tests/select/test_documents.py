"""Selection: the first failing reason, for every document, from attributes alone."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, make
from scripts.common.attributes import BOUNDABLE
from scripts.common.config.select import SelectDomain
from scripts.common.errors import UserError
from scripts.select import documents, rulesets
from scripts.select.inputs import Inputs

SHARD = 1


def put(
    output: Path, member: str, columns: dict[str, Any], schema: pa.Schema | None = None
) -> None:
    make(
        lambda draft: tables.write(pa.table(columns, schema=schema), draft.path(member)),
        output=output,
        module="scripts.common.tables",
        settings=repr(columns),
        inputs=[],
    )


def put_shard(size: int, **changes: dict[int, Any]) -> None:
    """Make what a selection of ``size`` sound documents reads, but for ``column={row: value}``."""

    def column(name: str, default: Any) -> list[Any]:
        return [changes.get(name, {}).get(row, default) for row in range(size)]

    ids = list(range(100, 100 + size))
    texts = {"id": pa.array(ids, pa.int64()), "text": column("text", "Some text.\n")}
    put(layout.documents("s", SHARD), "documents.parquet", texts)
    other_shard = {"shard": [0], "id": [7], "kind": ["exact"], "keeper": [8]}
    kinds = column("kind", None)
    duplicates = {
        "shard": pa.array([*other_shard["shard"], *[SHARD] * size], pa.int32()),
        "id": pa.array([*other_shard["id"], *ids], pa.int64()),
        "kind": pa.array([*other_shard["kind"], *kinds], pa.string()),
    }
    put(layout.duplicates(), "s.parquet", duplicates)
    put(
        layout.attributes("s", "contamination", SHARD),
        "attributes.parquet",
        {"id": ids, "contaminated": pa.array(column("contaminated", 0), pa.int32())},
    )
    for artifact, name, default, kind in (
        ("gopher", "gopher_words", 100.0, pa.float64()),
        ("language", "language", "en", pa.string()),
        ("quality", "quality", 0.9, pa.float64()),
        ("pii", "pii_spans", [], tables.SPANS),
    ):
        values = {"id": ids, name: pa.array(column(name, default), kind)}
        put(layout.attributes("s", artifact, SHARD), "attributes.parquet", values)
    lines = {
        "shard": pa.array([0, *[SHARD] * size], pa.int32()),
        "id": pa.array([7, *ids], pa.int64()),
        "spans": pa.array([[span(0, 3, "duplicate_line")], *column("lines", [])], tables.SPANS),
    }
    put(layout.duplicate_lines(), "s.parquet", lines)


def span(start: int, end: int, kind: str) -> dict[str, Any]:
    return {"start": start, "end": end, "kind": kind}


def select(cut_lines: bool = False, **settings: Any) -> Artifact:
    inputs = Inputs("s", SHARD, SelectDomain(**settings), cut_lines)
    return make(
        lambda draft: documents.build(draft, inputs),
        output=layout.selection("s", SHARD),
        module="scripts.select.documents",
        settings={"cut_lines": cut_lines, **settings},
        inputs=inputs.paths(),
    )


def reasons(artifact: Artifact) -> list[str | None]:
    table = tables.read(artifact.member("selection.parquet"))
    assert table.schema == tables.SELECTION
    found = table.column("reason").to_pylist()
    assert table.column("kept").to_pylist() == [reason is None for reason in found]
    return found


@pytest.mark.usefixtures("workdir")
def test_each_reason_and_its_count() -> None:
    put_shard(
        8,
        kind={0: "exact", 1: "fuzzy", 2: "heldout"},
        contaminated={3: 2},
        language={4: "de"},
        gopher_words={5: 19.0},
        quality={6: 0.01},
    )
    bounds = {"gopher_words": [20, None], "quality": [0.05, None]}
    artifact = select(bounds=bounds, languages=["en"])
    assert reasons(artifact) == [
        "exact_duplicate",
        "fuzzy_duplicate",
        "heldout_duplicate",
        "contaminated",
        "language",
        "gopher_words",
        "quality",
        None,
    ]
    assert artifact.counts["kept"] == 1
    assert artifact.counts["dropped"] == {
        **dict.fromkeys(filter(None, reasons(artifact)), 1),
        "semantic_duplicate": 0,
        "empty_after_edits": 0,
        "sample": 0,
    }


@pytest.mark.usefixtures("workdir")
def test_the_first_reason_is_the_one_told() -> None:
    everything = {
        "kind": "fuzzy",
        "contaminated": 1,
        "language": "de",
        "gopher_words": 0.0,
        "quality": 0.0,
    }
    order = list(everything)
    put_shard(
        len(order),
        **{
            name: dict.fromkeys(range(place + 1), everything[name])
            for place, name in enumerate(order)
        },
    )
    bounds = {"quality": [0.5, None], "gopher_words": [20, None]}
    assert reasons(select(bounds=bounds, languages=["en"], sample=0.0)) == [
        "fuzzy_duplicate",
        "contaminated",
        "language",
        "gopher_words",
        "quality",
    ]


@pytest.mark.usefixtures("workdir")
def test_without_settings_only_duplicates_and_contamination_go() -> None:
    put_shard(3, kind={0: "exact"}, language={1: "de"}, gopher_words={2: 0.0}, quality={2: 0.0})
    assert reasons(select()) == ["exact_duplicate", None, None]


@pytest.mark.usefixtures("workdir")
def test_both_ends_of_a_bound_are_inside_and_nan_is_outside() -> None:
    put_shard(5, quality={0: 0.2, 1: 0.4, 2: 0.1999, 3: 0.4001, 4: float("nan")})
    found = reasons(select(bounds={"quality": [0.2, 0.4]}))
    assert found == [None, None, "quality", "quality", "quality"]


@pytest.mark.usefixtures("workdir")
def test_an_empty_shard_is_selected_as_empty() -> None:
    put_shard(0)
    artifact = select(bounds={"quality": [0.5, None]}, languages=["en"], sample=0.5)
    assert reasons(artifact) == []
    assert artifact.counts["kept"] == 0


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"bounds": {"quality": [0.95, None]}}, r"the bound \[0.95, None\] on quality"),
        ({"languages": ["fr"]}, r"languages \['fr'\]"),
    ],
)
def test_a_rule_that_drops_everything_is_an_error(settings: dict[str, Any], named: str) -> None:
    put_shard(100)
    with pytest.raises(UserError, match=named + " drops all 100 documents of s/1"):
        select(**settings)


@pytest.mark.usefixtures("workdir")
def test_other_total_losses_are_loud(caplog: pytest.LogCaptureFixture) -> None:
    put_shard(2, kind={0: "exact", 1: "exact"})
    with caplog.at_level(logging.WARNING):
        documents.report("s/1", select().counts)
    assert "s/1: nothing is kept" in caplog.text


@pytest.mark.usefixtures("workdir")
def test_misaligned_attributes_are_an_error() -> None:
    put_shard(3)
    put(
        layout.attributes("s", "contamination", SHARD),
        "attributes.parquet",
        {"id": [102, 101, 100], "contaminated": [0, 0, 0]},
    )
    with pytest.raises(UserError, match=r"contamination.*not aligned"):
        select()


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_larger_sample_keeps_what_a_smaller_one_keeps(one: float, other: float) -> None:
    ids = np.arange(500)
    small, large = sorted([one, other])
    assert not (documents.sampled_out(ids, large) & ~documents.sampled_out(ids, small)).any()


def test_a_sample_has_about_its_fraction_and_does_not_depend_on_the_shard() -> None:
    ids = np.arange(20_000)
    left_out = documents.sampled_out(ids, 0.3)
    assert 1 - left_out.mean() == pytest.approx(0.3, abs=0.01)
    assert (documents.sampled_out(ids[::-7], 0.3) == left_out[::-7]).all()
    assert not documents.sampled_out(ids, 1.0).any()
    assert documents.sampled_out(ids, 0.0).all()


def test_rule_sets_bound_known_attributes() -> None:
    bounded = {name for rule_set in rulesets.RULE_SETS.values() for name in rule_set}
    assert bounded < set(BOUNDABLE)


def test_a_single_bound_replaces_that_of_a_rule_set_in_its_place() -> None:
    settings = SelectDomain(
        rules=["c4", "gopher_quality"], bounds={"quality": (0.1, None), "gopher_words": (5, None)}
    )
    bounds = rulesets.bounds(settings)
    published = [*rulesets.RULE_SETS["c4"], *rulesets.RULE_SETS["gopher_quality"]]
    assert list(bounds) == [*published, "quality"]
    assert bounds["gopher_words"] == (5, None)


def test_fineweb_drops_at_its_thresholds_themselves() -> None:
    fineweb = rulesets.RULE_SETS["fineweb"]
    low, _ = fineweb["fineweb_terminal_punctuation_lines"]
    _, high = fineweb["fineweb_short_lines"]
    assert low is not None and high is not None
    assert low > 0.12 and high < 0.67


@pytest.mark.usefixtures("workdir")
def test_only_what_the_settings_need_is_read() -> None:
    put_shard(3)
    inputs = Inputs("s", SHARD, SelectDomain())
    assert inputs.paths() == [inputs.documents, inputs.duplicates, inputs.contamination]
    named = {"rules": ["c4"], "bounds": {"quality": [0, 1]}, "mask": ["ip"], "languages": ["en"]}
    inputs = Inputs("s", SHARD, SelectDomain.model_validate(named), cut_lines=True)
    assert inputs.paths() == [
        inputs.documents,
        inputs.duplicates,
        layout.duplicate_lines(),
        inputs.contamination,
        *(layout.attributes("s", name, SHARD) for name in ("c4", "language", "pii", "quality")),
    ]


def edits(artifact: Artifact) -> list[list[tuple[int, int, str]]]:
    column = tables.read(artifact.member("selection.parquet")).column("edits").to_pylist()
    return [[(one["start"], one["end"], one["text"]) for one in row] for row in column]


@pytest.mark.usefixtures("workdir")
def test_lines_are_cut_and_what_the_settings_name_is_masked() -> None:
    put_shard(
        4,
        text={0: "jane@kde.org 5.9.17.2\na line\n", 1: "a line\nx", 2: "y\n"},
        pii_spans={
            0: [span(0, 12, "mail"), span(13, 21, "ip")],
            1: [span(2, 6, "mail")],
            3: [span(0, 4, "mail")],
        },
        lines={0: [span(22, 29, "duplicate_line")], 1: [span(0, 7, "duplicate_line")]},
        kind={3: "exact"},
    )
    artifact = select(mask=["mail"], cut_lines=True)
    assert edits(artifact) == [[(0, 12, "<EMAIL>"), (22, 29, "")], [(0, 7, "")], [], []]
    assert artifact.counts["edits"] == {
        "by_kind": {"duplicate_line": 2, "mail": 1},
        "characters_masked": 12,
        "characters_removed": 14,
    }
    assert edits(select(mask=["mail", "ip"])) == [
        [(0, 12, "<EMAIL>"), (13, 21, "<IP>")],
        [(2, 6, "<EMAIL>")],
        [],
        [],
    ]
    assert edits(select()) == [[], [], [], []]


@pytest.mark.usefixtures("workdir")
def test_a_document_that_edits_leave_nothing_of_is_dropped() -> None:
    whole = [span(0, 6, "duplicate_line"), span(6, 11, "duplicate_paragraph")]
    put_shard(
        5,
        text={
            0: "a line\nand\n",
            1: "a line\nand\n \u3000\n",
            2: "é line\nand\nx",
            3: "jane@kde.org",
        },
        lines=dict.fromkeys(range(3), whole),
        pii_spans={3: [span(0, 12, "mail")]},
        kind={1: "fuzzy"},
    )
    artifact = select(cut_lines=True, mask=["mail"], sample=1.0)
    assert reasons(artifact) == ["empty_after_edits", "fuzzy_duplicate", None, None, None]
    assert artifact.counts["dropped"]["empty_after_edits"] == 1
    assert edits(artifact)[0] == []
    assert artifact.counts["edits"]["by_kind"] == {
        "duplicate_line": 1, "duplicate_paragraph": 1, "mail": 1
    }  # fmt: skip


@pytest.mark.usefixtures("workdir")
def test_emptied_documents_are_found_beyond_the_first_rows() -> None:
    whole = [span(0, 5, "duplicate_line")]
    last = tables.ROW_GROUP_ROWS + 5
    put_shard(last + 1, text={0: "line\nx", last: "line\n"}, lines={0: whole, last: whole})
    found = reasons(select(cut_lines=True))
    assert found == [None] * last + ["empty_after_edits"]
