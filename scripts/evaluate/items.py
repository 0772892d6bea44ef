"""Evaluation items built from held-out documents, as lm-eval's task files read them.

Every item names its document and holds the text that decontamination looks for. Positions and
distractors are drawn with a seed of their own per document, so that an item does not depend on
which other documents there are, but for its distractors.
"""

import bisect
import logging
import random
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from scripts.common import canonical, heldout, layout
from scripts.common.artifact import Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model, Name
from scripts.common.config.evaluate import ItemsTask
from scripts.common.errors import UserError
from scripts.common.heldout import Document

log = logging.getLogger(__name__)

Item = dict[str, Any]
Builder = Callable[[Sequence[Document], int], list[list[Item]]]

# Queries and choices are short enough for a context of 256 tokens, at 1.7 bytes or more a token.
QUERY_BYTES = 320
CHOICE_BYTES = (24, 120)
DISTRACTORS = 3
_NEIGHBOURS = 24  # distractors are drawn from so many passages of the most similar length
_ITEMS_PER_DOCUMENT = 16
_DOCUMENTS_PER_ITEM = 20  # read per item wanted: not every document has one

_PROBLEM = re.compile(r"(?P<query>Question: .*?\nAnswer:)\s*(?P<answer>[^\n]+?)\s*", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[a-z)][.!?])\s+(?=[A-Z])")


class Settings(Model):
    task: ItemsTask
    shards: dict[Name, int]  # by source


class Passage(NamedTuple):
    """A sentence or line of a document, and what stands before it."""

    document: Document
    position: int  # among the lines or sentences
    before: str
    text: str

    @property
    def key(self) -> tuple[int, str, int]:
        return len(self.text), self.text, self.document.id


def build(draft: Draft, name: str, documents: Sequence[Document], settings: Settings) -> None:
    """Write the items of task ``name``, as many as wanted or, from half of them on, as possible.

    Raises UserError if less than half can be built: a smaller task would not tell models apart.
    """
    task = settings.task
    found = _round_robin(BUILDERS[task.items](documents, task.seed), task.count)
    if 2 * len(found) < task.count:
        raise UserError(
            f"evaluate.tasks.{name}: {len(documents)} held-out documents of {task.sources} give "
            f"only {len(found)} of {task.count} items: lower its count to {2 * len(found)} or "
            "less, add sources to it, or raise heldout.fraction"
        )
    if len(found) < task.count:
        log.warning("%s: %d items are possible, not %d", name, len(found), task.count)
    lines = "".join(canonical.dumps(item) + "\n" for item in found)
    draft.path("items.jsonl").write_text(lines, encoding="utf-8")
    draft.counts = {
        "documents": len({item["document"] for item in found}),
        "items": len(found),
        "wanted": task.count,
    }


def problems(documents: Sequence[Document], seed: int) -> list[list[Item]]:
    """Return an item for each document that is a question and its answer on one line."""
    del seed  # nothing is drawn
    matches = ((document, _PROBLEM.fullmatch(document.text)) for document in documents)
    return [
        [_item(document, 0, match["query"], f" {match['answer']}") | {"answer": match["answer"]}]
        for document, match in matches
        if match
    ]


def continuation(documents: Sequence[Document], seed: int) -> list[list[Item]]:
    """Return items that offer the true next sentence among those of other documents."""
    passages = [list(_sentences(document)) for document in documents]
    pool = sorted((one for group in passages for one in group), key=lambda one: one.key)

    def distractors(gold: Passage, draw: random.Random) -> list[str]:
        return _draw(gold, _others(gold, _nearest(gold, pool)), draw)

    return [_choice_items(group, distractors, " ", seed) for group in passages]


def completion(documents: Sequence[Document], seed: int) -> list[list[Item]]:
    """Return items that offer the true next line of code among later lines of the same file.

    Where the file has too few, lines of other files make up for it. All choices are indented
    alike, so that the indentation gives nothing away.
    """
    passages = [list(_lines(document)) for document in documents]
    pool = sorted((one for group in passages for one in group), key=lambda one: one.key)
    by_document = {group[0].document.id: group for group in passages if group}

    def distractors(gold: Passage, draw: random.Random) -> list[str]:
        later = [one for one in by_document[gold.document.id] if one.position > gold.position]
        drawn = _draw(gold, _nearest(gold, sorted(later, key=lambda one: one.key)), draw)
        if len(drawn) < DISTRACTORS:
            drawn = _draw(gold, _others(gold, _nearest(gold, pool)), draw)
        indentation = gold.text[: len(gold.text) - len(gold.text.lstrip())]
        return [indentation + text.strip() for text in drawn]

    return [_choice_items(group, distractors, "\n", seed) for group in passages]


BUILDERS: dict[str, Builder] = {
    "problems": problems,
    "continuation": continuation,
    "completion": completion,
}


def _sentences(document: Document) -> Iterator[Passage]:
    """Yield the sentences of the paragraphs, but the first of each, on one line."""
    position, above = 0, ""
    for paragraph in re.split(r"\n\s*\n", document.text):
        sentences = _SENTENCE_END.split(" ".join(paragraph.split()))
        for place in range(1, len(sentences)):
            position += 1
            before = _tail(above + " ".join(sentences[:place]), " ")
            if before and _is_prose(sentences[place]):
                yield Passage(document, position, before, sentences[place])
        above = _tail(above + " ".join(sentences), " ") + "\n\n"


def _lines(document: Document) -> Iterator[Passage]:
    """Yield the lines of code that are long enough to tell apart."""
    before = ""
    for position, line in enumerate(document.text.splitlines()):
        text = line.rstrip()
        if before.strip() and _has_size(text.strip()) and _letters(text.strip()) > 0.5:
            yield Passage(document, position, before, text)
        before = _tail(f"{before}\n{text}" if before else text, "\n")


def _tail(text: str, separator: str) -> str:
    """Return the end of ``text`` that fits a query, from a ``separator`` on if it was cut."""
    encoded = text.encode()
    if len(encoded) <= QUERY_BYTES:
        return text
    return encoded[-QUERY_BYTES:].decode(errors="ignore").partition(separator)[2]


def _has_size(text: str) -> bool:
    low, high = CHOICE_BYTES
    return low <= len(text.encode()) <= high


def _letters(text: str) -> float:
    return sum(map(str.isalpha, text)) / len(text)


def _is_prose(sentence: str) -> bool:
    return _has_size(sentence) and _letters(sentence) > 0.7 and sentence[-1] in ".!?"


def _nearest(gold: Passage, pool: Sequence[Passage]) -> Sequence[Passage]:
    """Return the passages of ``pool``, which is sorted by key, that are about as long."""
    place = bisect.bisect_left(pool, gold.key, key=lambda one: one.key)
    return pool[max(place - _NEIGHBOURS // 2, 0) : place + _NEIGHBOURS // 2]


def _others(gold: Passage, passages: Sequence[Passage]) -> list[Passage]:
    return [one for one in passages if one.document.id != gold.document.id]


def _draw(gold: Passage, passages: Sequence[Passage], draw: random.Random) -> list[str]:
    """Draw distractors; fewer than wanted where the passages say the same or are too few."""
    texts = sorted({one.text.strip() for one in passages} - {gold.text.strip()})
    return draw.sample(texts, min(DISTRACTORS, len(texts)))


def _choice_items(
    passages: Sequence[Passage],
    distractors: Callable[[Passage, random.Random], list[str]],
    delimiter: str,
    seed: int,
) -> list[Item]:
    """Make items of a document's passages, at random places, as many as one may give."""
    items: list[Item] = []
    if not passages:
        return items
    draw = random.Random(f"{seed}/{passages[0].document.id}")
    for gold in draw.sample(passages, min(_ITEMS_PER_DOCUMENT, len(passages))):
        wrong = distractors(gold, draw)
        if len(wrong) == DISTRACTORS:
            choices = draw.sample([gold.text, *wrong], DISTRACTORS + 1)
            item = _item(gold.document, gold.position, gold.before, delimiter + gold.text)
            items.append(item | {"choices": choices, "gold": choices.index(gold.text)})
    return items


def _item(document: Document, index: int, query: str, continued: str) -> Item:
    return {
        "id": f"{document.id}-{index}",
        "query": query,
        "text": query + continued,
        "document": document.id,
        "source": document.source,
    }


def _round_robin(groups: Sequence[Sequence[Item]], count: int) -> list[Item]:
    """Take the first item of every document, then the second, and so on, up to ``count``."""
    rounds = zip_longest(*groups)
    return [item for one_round in rounds for item in one_round if item is not None][:count]


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--task", required=True)
    arguments = command.parse_args()
    settings = parse_settings(Settings, arguments.settings)
    records = heldout.content_records(settings.shards)

    def build_from_files(draft: Draft) -> None:
        documents = heldout.read(records, settings.task.count * _DOCUMENTS_PER_ITEM)
        build(draft, arguments.task, documents, settings)

    artifact = make(
        build_from_files,
        output=layout.task_items(arguments.task),
        module="scripts.evaluate.items",
        settings={"name": arguments.task, **settings.model_dump(mode="json")},
        inputs=records,
    )
    log.info(
        "%s: %d items of %d held-out documents",
        arguments.task,
        artifact.counts["items"],
        artifact.counts["documents"],
    )


if __name__ == "__main__":
    run(main)
