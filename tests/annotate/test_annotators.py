"""Every registered annotator: its program on documents, and that what is registered is computed."""

import importlib
import json
import sys
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.annotate import pii, runner
from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft
from scripts.common.attributes import ANNOTATORS, BOUNDABLE, RESERVED, artifact_of
from scripts.common.code import ROOT, module_files
from scripts.common.config.select import SelectDomain
from scripts.common.edits import MASKS
from scripts.common.errors import UserError

MakeDocuments = Callable[[str, int, list[str]], Artifact]

TEXTS = [
    "",
    "   \n \n",
    "é" * 5000,
    "Write to jane@kde.org.\n\nThe theorem says that \\frac{1}{2} = ½.\n" * 3,
    *(f"a b c {number % 3} a b c\nthe end." * (number + 1) for number in range(9)),
]


def module(name: str) -> ModuleType:
    return importlib.import_module(f"scripts.annotate.{name}")


def program(
    monkeypatch: pytest.MonkeyPatch, name: str, columns: tuple[str, ...] | None = None
) -> Artifact:
    """Run an annotator's program as the rule does."""
    settings = json.dumps({"columns": ANNOTATORS[name].columns if columns is None else columns})
    arguments = ["--source", "s", "--shard", "0", "--settings", settings]
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    of_module = module(name)
    types = {"language": {"language": pa.string()}, "pii": {"pii_spans": tables.SPANS}}
    runner._main(
        name, of_module.measure, of_module.__doc__, types.get(name, {}),
        getattr(of_module, "count", None),
    )  # fmt: skip
    return Artifact.load(layout.attributes("s", name, 0))


@pytest.mark.parametrize("texts", [[], TEXTS], ids=["empty", "filled"])
@pytest.mark.parametrize("name", ANNOTATORS)
def test_every_document_has_a_row_and_every_measure_a_value(
    make_documents: MakeDocuments, monkeypatch: pytest.MonkeyPatch, name: str, texts: list[str]
) -> None:
    documents = make_documents("s", 0, texts)
    artifact = program(monkeypatch, name)
    table = tables.read(artifact.member("attributes.parquet"))
    assert table.schema.names == ["id", *ANNOTATORS[name].columns]
    ids = tables.read(documents.member("documents.parquet")).column("id")
    tables.check_aligned(table, ids.to_pylist(), documents.path)
    for measure in ANNOTATORS[name].measures:
        assert table.schema.field(measure).type == pa.float64()
        assert np.isfinite(table.column(measure).to_numpy()).all()
    assert artifact.counts["documents"] == len(texts)


@pytest.mark.parametrize("name", ANNOTATORS)
def test_the_size_of_a_row_group_does_not_show(
    make_documents: MakeDocuments, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    make_documents("s", 0, TEXTS)
    whole = program(monkeypatch, name).content
    layout.documents("s", 0).with_name(layout.MANIFEST).unlink()
    with monkeypatch.context() as small:
        small.setattr(tables, "ROW_GROUP_ROWS", 2)
        documents = make_documents("s", 0, TEXTS)
    assert pq.read_metadata(documents.member("documents.parquet")).num_row_groups > 2
    layout.attributes("s", name, 0).with_name(layout.MANIFEST).unlink()
    assert program(monkeypatch, name).content == whole


@pytest.mark.parametrize("name", ANNOTATORS)
def test_an_annotator_runs_again_for_itself_alone(name: str) -> None:
    """Neither the registry nor another annotator is among the files of its program."""
    files = set(module_files(f"scripts.annotate.{name}"))
    assert "scripts/common/attributes.py" not in files
    assert not files & {f"scripts/annotate/{other}.py" for other in ANNOTATORS if other != name}


@pytest.mark.parametrize("name", ANNOTATORS)
def test_its_module_runs_it_under_its_name(name: str) -> None:
    source = (ROOT / "scripts/annotate" / f"{name}.py").read_text()
    assert f'runner.main("{name}", measure, __doc__' in source


def test_other_columns_than_registered_are_an_error(
    make_documents: MakeDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_documents("s", 0, ["a"])
    with pytest.raises(UserError, match=r"returns .*registered for \['mine'\].*attributes\.py"):
        program(monkeypatch, "fineweb", ("mine",))


def test_the_registry_has_each_column_once() -> None:
    columns = [column for annotator in ANNOTATORS.values() for column in annotator.columns]
    assert len(set(columns)) == len(columns)
    assert {*columns, *ANNOTATORS} < RESERVED
    assert "language" not in BOUNDABLE and "pii_spans" not in BOUNDABLE
    assert artifact_of("gopher_words") == "gopher"
    assert artifact_of("my_rater") == "my_rater"


def test_what_is_found_can_be_masked_and_what_can_be_masked_is_found() -> None:
    (mask,) = [SelectDomain.model_json_schema()["properties"]["mask"]]
    assert set(mask["items"]["enum"]) == set(MASKS) == set(pii._FINDERS)
    assert {f"pii_{kind}" for kind in MASKS} == set(ANNOTATORS["pii"].measures)


def test_an_annotator_of_ones_own_needs_a_function_alone(make_documents: MakeDocuments) -> None:
    documents = make_documents("s", 0, ["ab", "", "c"])
    draft = Draft(documents.folder / "mine")
    runner.build(
        draft, documents, lambda texts: {"my_bytes": np.diff(texts.offsets)}, ["my_bytes"], {}
    )
    table = tables.read(draft.path("attributes.parquet"))
    assert table.column("my_bytes").to_pylist() == [2.0, 0.0, 1.0]
