"""Isolated extraction: real crashes, hangs and blow-ups cost one document each."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.collect.extraction import isolation
from scripts.collect.extraction.isolation import extract
from scripts.collect.extraction.task import Extracted, Limits, Refused, Task, decoded, encoded
from scripts.common.code import ROOT
from tests.collect.hostile import TASK, obey

OUT_OF_MEMORY = Refused("extraction_out_of_memory", "more than 209,715,200 bytes")
CONSEQUENCES = {
    "segfault": Refused("extraction_crashed", "killed by SIGSEGV"),
    "abort": Refused("extraction_crashed", "killed by SIGABRT"),
    "exit": Refused("extraction_crashed", "exit status 3"),
    "loop": Refused("extraction_timeout", "no answer within 0.3 s of processor time"),
    "loop-in-c": Refused("extraction_timeout", "no answer within 0.3 s of processor time"),
    "sleep": Refused("extraction_timeout", "no answer within 1 s"),
    "allocate": OUT_OF_MEMORY,
    "swallow": OUT_OF_MEMORY,
    "raise": Refused("extraction_failed", "ValueError: not liked: <object object>"),
}


def answers(orders, task=TASK):
    items = [(number, order.encode()) for number, order in enumerate(orders)]
    found = list(extract(items, task))
    assert [number for number, _ in found] == list(range(len(orders)))
    return [answer for _, answer in found]


def text_of(answer):
    return answer.text if isinstance(answer, Extracted) else answer


@pytest.mark.parametrize("order", CONSEQUENCES)
def test_a_document_that_ends_its_process_is_lost_alone(order):
    before, lost, after = answers(["before", order, "after"])
    assert text_of(before) == "before!"
    assert lost == CONSEQUENCES[order]
    assert text_of(after) == "after!"


@settings(max_examples=6, deadline=None)
@given(st.lists(st.sampled_from(["fine", "segfault", "exit", "raise", "leak", "poison"])))
def test_what_becomes_of_a_document_depends_on_it_alone(orders):
    wanted = [CONSEQUENCES.get(order, f"{order}!") for order in orders]
    assert [text_of(answer) for answer in answers(orders)] == wanted


def test_memory_that_documents_leak_is_not_held_against_a_later_one():
    found = answers(["leak"] * 8)
    assert {text_of(answer) for answer in found} == {"leak!"}
    assert len({answer.metadata["pid"] for answer in found}) > 1


def test_the_workers_memory_is_on_record():
    program = (
        "import resource; from tests.collect.test_extraction import answers; answers(['leak']); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert int(done.stdout) > 60 << 10


def test_documents_share_a_process_while_nothing_happens():
    assert len({answer.metadata["pid"] for answer in answers(["fine"] * 20)}) == 1


def test_endless_recursion_is_a_failure_like_others():
    (lost,) = answers(["recurse"])
    assert lost.reason == "extraction_failed"
    assert lost.detail.startswith("RecursionError")


def test_an_answer_that_is_none_is_a_crash():
    before, lost, after = answers(["before", "forge", "after"])
    assert (text_of(before), text_of(after)) == ("before!", "after!")
    assert lost.reason == "extraction_crashed"


def test_an_answer_that_is_too_large_is_a_crash(monkeypatch):
    monkeypatch.setattr(isolation, "_MAX_ANSWER_BYTES", 10_000)
    lost, after = answers(["large", "after"])
    assert lost.reason == "extraction_crashed"
    assert text_of(after) == "after!"


def test_large_documents_and_answers_travel_whole():
    order = "fine " + "ä" * 5_000_000
    assert [text_of(answer) for answer in answers([order, "fine"])] == [f"{order}!", "fine!"]


def test_items_with_an_answer_pass_through_in_their_place():
    refused = Refused("too_large", "")
    items = [("a", b"one"), ("b", refused), ("c", b"two"), ("d", refused)]
    found = [(context, text_of(answer)) for context, answer in extract(items, TASK)]
    assert found == [("a", "one!"), ("b", refused), ("c", "two!"), ("d", refused)]
    assert list(extract([], TASK)) == []


def test_an_error_of_the_items_passes_through():
    def items():
        yield 0, b"fine"
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(extract(items(), TASK))


def test_no_process_is_left_when_the_reader_stops_early():
    patient = replace(TASK, limits=Limits(60, 60))
    found = extract(((None, order) for order in (b"fine", b"sleep", b"fine")), patient)
    _, answer = next(found)
    os.kill(answer.metadata["pid"], 0)
    found.close()
    assert_gone(answer.metadata["pid"])


def test_no_process_is_left_at_the_end(capfd):
    (answer,) = answers(["fine"])
    assert_gone(answer.metadata["pid"])
    assert capfd.readouterr().err == ""


def assert_gone(process):
    """Wait for a process that init, not we, will bury."""
    for _ in range(100):
        status = Path(f"/proc/{process}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    raise AssertionError(f"process {process} lives")


def test_a_process_that_cannot_start_is_an_error(capfd):
    with pytest.raises(RuntimeError, match="has ended"):
        answers(["fine"], Task(obey))  # which wants an argument
    assert "missing 1 required positional argument" in capfd.readouterr().err


TEXTS = st.text(st.characters(codec=None))
METADATA = st.dictionaries(TEXTS, TEXTS | st.integers() | st.none(), max_size=3)


@given(st.builds(Extracted, TEXTS, METADATA) | st.builds(Refused, TEXTS, TEXTS, st.booleans()))
def test_answers_are_the_same_on_the_other_side(answer):
    assert decoded(encoded(answer)) == answer


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.binary(max_size=30)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries({"text": JSON, "metadata": JSON, "more": JSON}).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_nothing_else_is_taken_for_an_answer(content):
    with pytest.raises(ValueError):
        decoded(content)
