import json
import sys
from collections.abc import Mapping

import pyarrow as pa
import pytest
from tokenizers import Tokenizer

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.errors import UserError
from scripts.tokenize import heldout
from tests.tokenize.test_tokens import write_tokenizer


def write(source: str, shard: int, texts: Mapping[int, str]) -> None:
    def build(draft: Draft) -> None:
        rows = [
            {"id": id, "text": text, "source": source, "url": "", "metadata": "{}"}
            for id, text in texts.items()
        ]
        tables.write(pa.Table.from_pylist(rows, tables.DOCUMENTS), draft.path("heldout.parquet"))

    output = layout.documents(source, shard)
    module = "scripts.common.heldout"
    make(build, output=output, module=module, settings=[*texts.items()], inputs=[])


TEXTS = {7 * id % 1000: f"Text {id} is naïve. " * (1 + id % 30) for id in range(200)}


def run(
    monkeypatch: pytest.MonkeyPatch, shards: int, sample_bytes: int, domain: str = "web"
) -> Artifact:
    settings = {
        "tokenizer": "ours",
        "domains": {"one": domain, "other": "empty"},
        "shards": {"one": shards, "other": 1},
        "sample_bytes": sample_bytes,
    }
    monkeypatch.setattr(sys, "argv", ["heldout", "--settings", json.dumps(settings)])
    heldout.main()
    return Artifact.load(layout.heldout_tokens("ours"))


def rows(made: Artifact) -> list[dict]:
    return tables.read(made.member("heldout.parquet")).to_pylist()


@pytest.fixture
def one_shard(workdir: object) -> None:
    write_tokenizer()
    write("one", 0, TEXTS)
    write("other", 0, {})


def test_documents_are_the_first_by_id_until_there_is_enough_text(
    one_shard: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = run(monkeypatch, 1, 20_000)
    found = rows(made)
    sizes = [len(TEXTS[id].encode()) for id in sorted(TEXTS)]
    enough = next(count for count in range(200) if sum(sizes[:count]) >= 20_000)
    assert [row["id"] for row in found] == sorted(TEXTS)[:enough]
    assert [row["bytes"] for row in found] == sizes[:enough]
    assert made.counts["domains"] == ["web"]
    tokenizer = Tokenizer.from_file(
        Artifact.load(layout.tokenizer("ours")).member("tokenizer.json").as_posix()
    )
    assert tokenizer.decode(found[3]["tokens"][1:]) == TEXTS[found[3]["id"]]
    smaller = rows(run(monkeypatch, 1, 2_000))
    assert smaller == found[: len(smaller)]


def test_the_number_of_shards_changes_nothing(
    one_shard: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(monkeypatch, 1, 20_000).content
    for shard in range(3):
        write("one", shard, {id: text for id, text in TEXTS.items() if id % 3 == shard})
    assert run(monkeypatch, 3, 20_000).content == whole


def test_a_corpus_without_held_out_documents_is_told(
    one_shard: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("one", 0, {})
    with pytest.raises(UserError, match=r"raise heldout\.fraction"):
        run(monkeypatch, 1, 1000)
