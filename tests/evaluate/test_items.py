import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.common import heldout, layout
from scripts.common.artifact import Artifact, make
from scripts.common.config.evaluate import ItemsTask
from scripts.common.errors import UserError
from scripts.common.heldout import Document
from scripts.evaluate import items

WORDS = ["model", "learns", "weights", "slowly", "while", "memory", "holds", "every", "token"]


def prose(id: int) -> Document:
    draw = random.Random(id)
    sentences = [
        " ".join(draw.choices(WORDS, k=draw.randint(6, 12))).capitalize() + "." for _ in range(8)
    ]
    return Document(id, "prose", " ".join(sentences[:4]) + "\n\n" + "\n    ".join(sentences[4:]))


def code(id: int) -> Document:
    draw = random.Random(id)
    names = [draw.choices(WORDS, k=4) for _ in range(30)]
    lines = [f"    {first}_{second} = {call}({given})" for first, second, call, given in names]
    return Document(id, "code", "\n".join(["def main():", *lines]) + "\n")


def problem(id: int) -> Document:
    return Document(id, "problems", f"Question: What is {id} + 1?\nAnswer: {id + 1}")


def built(kind: str, documents: list[Document], count: int, seed: int = 0) -> list[dict]:
    settings = items.Settings(
        task=ItemsTask(kind="lm-eval", items=kind, sources=["s"], count=count, seed=seed), shards={}
    )
    artifact = make(
        lambda draft: items.build(draft, "task", documents, settings),
        output=layout.task_items("task"),
        module="scripts.evaluate.items",
        settings=[kind, count, seed, len(documents)],
        inputs=[],
    )
    assert artifact.counts["wanted"] == count
    lines = artifact.member("items.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_problems_ask_the_question_and_keep_the_answer(workdir: Path) -> None:
    found = built("problems", [problem(41), prose(1)], 1)
    assert found == [
        {
            "id": "41-0",
            "query": "Question: What is 41 + 1?\nAnswer:",
            "answer": "42",
            "text": "Question: What is 41 + 1?\nAnswer: 42",
            "document": 41,
            "source": "problems",
        }
    ]


@pytest.mark.parametrize(("kind", "maker"), [("continuation", prose), ("completion", code)])
def test_the_gold_choice_follows_the_query_in_the_document(
    workdir: Path, kind: str, maker: Callable[[int], Document]
) -> None:
    documents = {id: maker(id) for id in range(30)}
    found = built(kind, list(documents.values()), 60)
    assert len(found) == 60 and len({item["id"] for item in found}) == 60
    for item in found:
        text = " ".join(documents[item["document"]].text.split())
        gold = item["choices"][item["gold"]]
        assert " ".join(f"{item['query']}\n{gold}".split()) in text
        assert item["text"].startswith(item["query"]) and item["text"].endswith(gold)
        assert len(set(item["choices"])) == 4
        lengths = sorted(len(choice) for choice in item["choices"])
        assert lengths[-1] - lengths[0] <= 60
        assert len(item["query"].encode()) <= items.QUERY_BYTES
    golds = [item["gold"] for item in found]
    assert set(golds) == {0, 1, 2, 3}


def test_sentences_of_distractors_come_from_other_documents(workdir: Path) -> None:
    documents = {id: prose(id) for id in range(20)}
    for item in built("continuation", list(documents.values()), 40):
        own = " ".join(documents[item["document"]].text.split())
        wrong = [choice for i, choice in enumerate(item["choices"]) if i != item["gold"]]
        assert not any(choice in own for choice in wrong)


def test_lines_of_distractors_come_later_in_the_file(workdir: Path) -> None:
    document = code(5)
    for item in built("completion", [document, code(6)], 20):
        if item["document"] == 5:
            after = document.text[document.text.index(item["choices"][item["gold"]]) :]
            assert all(choice in after for choice in item["choices"])


def test_documents_are_used_once_before_any_is_used_twice(workdir: Path) -> None:
    found = built("continuation", [prose(id) for id in range(25)], 25)
    assert len({item["document"] for item in found}) == 25


def test_the_seed_decides(workdir: Path) -> None:
    documents = [prose(id) for id in range(20)]
    first, again = built("continuation", documents, 20), built("continuation", documents, 20)
    assert first == again
    assert built("continuation", documents, 20, seed=1) != first


def test_half_of_the_items_will_do(workdir: Path) -> None:
    assert len(built("problems", [problem(id) for id in range(5)], 10)) == 5


def test_fewer_than_half_are_an_error_that_names_the_task(workdir: Path) -> None:
    with pytest.raises(UserError, match=r"evaluate\.tasks\.task: .* only 4 of 10 items.* 8 or"):
        built("problems", [problem(id) for id in range(4)], 10)


def test_a_larger_sample_keeps_the_smaller_one(add_documents: Callable[..., Artifact]) -> None:
    add_documents("a", {7: "seven", 3: "three"}, shard=0)
    add_documents("a", {5: "five", 9: "nine"}, shard=1)
    records = heldout.content_records({"a": 2})
    assert [document.text for document in heldout.read(records, 3)] == ["three", "five", "seven"]
    assert len(heldout.read(records, 100)) == 4
    assert heldout.read(records, 0) == []
