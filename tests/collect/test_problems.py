"""Generated problems: right, distinct, deterministic."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.collect.readers import reader_of
from scripts.common.config.collect import ProblemsSource
from scripts.common.errors import UserError


def read(count, seed=0, shards=1):
    source = ProblemsSource(reader="problems", domain="math", count=count, seed=seed, shards=shards)
    return [list(reader_of(source).read(shard)) for shard in range(shards)]


def solve(question):
    """Answer a question from its words alone."""
    numbers = [int(number) for number in re.findall(r"\d+", question)]
    if match := re.fullmatch(r"What is (\d+ [-+*] \d+)\?", question):
        return str(eval(match[1].replace("*", "* +")))
    if question.startswith("Is "):
        return "even" if numbers[0] % 2 == 0 else "odd"
    if question.startswith("Which is larger"):
        return str(sorted(numbers)[-1])
    if "boxes" in question:
        return str(numbers[0] * numbers[1] + numbers[2])
    return str(numbers[0] + numbers[1] - numbers[2])


def canonical(question):
    """What is left of a problem once order, names and things are taken away."""
    numbers = [int(number) for number in re.findall(r"\d+", question)]
    words = [
        word for word in ("even", "larger", "+", "-", "*", "boxes", "gets") if word in question
    ]
    if words != ["-"]:
        numbers[:2] = sorted(numbers[:2])
    return (*words, *numbers)


@pytest.fixture(scope="module")
def problems():
    return read(30_000)[0]


def test_answers_are_right(problems):
    for problem in problems:
        question, answer = problem.metadata["question"], problem.metadata["answer"]
        assert problem.text == f"Question: {question}\nAnswer: {answer}"
        assert solve(question) == answer


def test_no_problem_occurs_twice(problems):
    assert len({canonical(problem.metadata["question"]) for problem in problems}) == 30_000


def test_every_kind_has_its_part(problems):
    kinds = Counter(problem.metadata["kind"] for problem in problems)
    assert len(kinds) == 7
    assert min(kinds.values()) > 1000


@settings(max_examples=5, deadline=None)
@given(count=st.integers(1, 300), seed=st.integers(0, 9), shards=st.integers(1, 5))
def test_shards_are_the_whole_and_do_not_depend_on_each_other(count, seed, shards):
    (whole,) = read(count, seed)
    assert len(whole) == count
    parts = read(count, seed, shards)
    assert [record for part in parts for record in part] == [
        record for shard in range(shards) for record in whole[shard::shards]
    ]


def test_the_seed_matters():
    assert read(100, seed=0) != read(100, seed=1)


def test_more_problems_than_there_are_is_an_error():
    with pytest.raises(UserError, match="distinct problems, not 1,000,000: lower `count`"):
        read(1_000_000)
