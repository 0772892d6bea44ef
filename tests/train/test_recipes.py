"""Published recipes: their figures against the survey's Table 3, and the faults that are refused.

The tables here are typed from the survey's and the reports' own text, not from the recipes.
"""

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from scripts.common.config.train import Phase
from scripts.common.errors import UserError
from scripts.train.course import courses
from scripts.train.schedule import recipes
from scripts.train.schedule.recipes import Recipe, recipe

M, B, T = 10**6, 10**9, 10**12
PEAK = 3e-4  # what the recipes take for peaks that are not published
UNSTATED = None  # an end LR or a length that Table 3 does not have

# A row is its segments: form, the LR at its end, its tokens. Warm-ups have no lengths in the table.
TABLE_3 = {
    "dots-llm1": [
        ("Warmup", 3e-4, UNSTATED), ("Constant", 3e-4, 10 * T), ("Decay", 3e-5, 1 * T),
        ("Decay", 1e-5, 200 * B), ("Constant", 1e-5, 128 * B),
    ],
    "mimo-7b": [
        ("Warmup", 1.07e-4, UNSTATED), ("Constant", 1.07e-4, 10.2 * T), ("Cosine", 3e-5, 7.5 * T),
        ("Constant", 3e-5, 5.5 * T), ("Cosine", 1e-5, 0.5 * T),
    ],
    "pangu-ultra": [
        ("Warmup", 1e-4, UNSTATED), ("Cosine", 1e-5, 7.4 * T), ("Constant", 1e-5, 4.6 * T),
        ("Cosine", 7.5e-6, 0.8 * T), ("Constant", 7.5e-6, 0.4 * T),
    ],
    "minimax-text-01": [
        ("Warmup", 2e-4, UNSTATED), ("Constant", 2e-4, 7.2 * T), ("Constant", 1.3e-4, 3.2 * T),
        ("Exponential", 3e-5, 1 * T),
    ],
    "olmo2-32b": [
        ("Warmup", 6e-4, UNSTATED), ("Cosine", 6e-5, 6.5 * T), ("Linear", 0, UNSTATED),
    ],
    "deepseek-v3": [
        ("Warmup", 2.2e-4, UNSTATED), ("Constant", 2.2e-4, 10 * T), ("Cosine", 2.2e-5, 4.3 * T),
        ("Constant", 2.2e-5, 333 * B), ("Constant", 7.3e-6, 167 * B),
    ],
    "phi-4": [("Warmup", 3e-4, UNSTATED), ("Decay", UNSTATED, 10 * T)],
    "yi-lightning": [
        ("Warmup", PEAK, UNSTATED), ("Decay", PEAK / 2, UNSTATED), ("Decay", UNSTATED, UNSTATED),
    ],
    "hunyuan-large": [
        ("Warmup", PEAK, UNSTATED), ("Decay", UNSTATED, UNSTATED), ("Decay", PEAK / 10, UNSTATED),
    ],
    "afm-3b": [
        ("Warmup", 1e-2, UNSTATED), ("Cosine", 5e-5, 6.3 * T),
        ("Warmup", 3e-4, UNSTATED), ("Decay", 3e-7, 1 * T),
    ],
    "llama-3-405b": [
        ("Warmup", 8e-5, UNSTATED), ("Cosine", 8e-7, 15.6 * T), ("Decay", UNSTATED, 800 * B),
        ("Linear", 0, 40 * M),
    ],
    "deepseek-v2": [
        ("Warmup", 2.4e-4, UNSTATED), ("Constant", 2.4e-4, 4.86 * T),
        ("Constant", 7.58e-5, 3.79 * T), ("Decay", 2.39e-5, 810 * B),
    ],
    "minicpm": [
        ("Warmup", 1e-2, UNSTATED), ("Constant", 1e-2, 1 * T), ("Exponential", UNSTATED, 20 * B),
    ],
}  # fmt: skip

# The LR that each run comes to after so many tokens of it, just before a jump if there is one.
# Where reports differ from the survey, the reports are followed.
RUNS: dict[tuple[str, str], list[tuple[float, float]]] = {
    ("dots-llm1", "long"): [(10 * T, 3e-4), (11 * T, 3e-5), (11.2 * T, 1e-5), (11.328 * T, 1e-5)],
    ("mimo-7b", "stage3"): [
        (10.284 * T, 1.07e-4), (17.784 * T, 3e-5), (21.784 * T, 3e-5), (23.284 * T, 3e-5),
        (23.784 * T, 1e-5),
    ],
    ("pangu-ultra", "long128k"): [
        (7.4 * T, 1e-5), (12 * T, 1e-5), (12.8 * T, 7.5e-6), (13.2 * T, 7.5e-6),
    ],
    ("minimax-text-01", "pretrain"): [
        (7.208 * T, 2e-4), (10.408 * T, 1.3e-4), (11.408 * T, 3e-5),
    ],
    # 6e-5 + (6e-4 - 6e-5)/2 (1 + cos(pi x)) for x = (6T - 16.8B) / (6.5T - 16.8B)
    ("olmo2-32b", "anneal1"): [(6 * T, 6.78861e-5), (6.1 * T, 0)],
    ("olmo2-32b", "anneal3"): [(6 * T, 6.78861e-5), (6.15 * T, 3.394306e-5), (6.3 * T, 0)],
    ("deepseek-v3", "long128k"): [
        (10 * T, 2.2e-4), (14.3 * T, 2.2e-5), (14.633 * T, 2.2e-5), (14.8 * T, 7.3e-6),
        (14.8 * T + 62_914_560_000, 7.3e-6), (14.8 * T + 125_829_120_000, 7.3e-6),
    ],
    ("phi-4", "midtrain"): [(0.1 * T, 3e-4), (10.25 * T, 3e-5)],
    ("yi-lightning", "long"): [(0.01 * T, PEAK), (0.81 * T, PEAK / 2)],
    ("hunyuan-large", "long256k"): [(0.07 * T, PEAK), (7 * T, PEAK / 10), (7.02 * T, PEAK / 10)],
    ("afm-3b", "long"): [(84 * B, 1e-2), (6.3 * T, 5e-5), (6.384 * T, 3e-4), (7.3 * T, 3e-7)],
    ("llama-3-405b", "anneal"): [(15.6 * T, 8e-7), (16.4 * T, 8e-7), (16.40004 * T, 0)],
    ("deepseek-v2", "pretrain"): [
        (4.86 * T, 2.4e-4), (7.29 * T, 2.4e-4 * 0.316), (8.1 * T, 2.4e-4 * 0.316**2),
    ],
    ("minicpm", "decay"): [(1.008 * T, 1e-2), (1.018 * T, 1e-2 * 10**-0.5), (1.028 * T, 1e-3)],
    ("olmo2-1b", "anneal42"): [(0, 7.4487e-5), (25 * B, 7.4487e-5 / 2), (50 * B, 0)],
    ("olmo2-7b", "anneal666"): [(0, 6.1499e-5), (50 * B, 0)],
    ("olmo2-13b", "anneal4"): [(0, 9e-5), (150 * B, 4.5e-5), (300 * B, 0)],
    ("olmo3-7b", "long"): [
        (0, 2.0712e-4), (100 * B, 0), (100 * B + 200 * 64 * 65536, 2.0712e-4), (150 * B, 0),
    ],
    ("olmo3-32b", "long"): [(100 * B + 200 * 128 * 65536, 2.0712e-4), (200 * B, 0)],
    ("smollm3", "long64k"): [
        (2000 * 2359296, 2e-4), (8.14 * T, 2e-4), (9.9 * T, 2e-4), (10.515 * T, 1e-4),
        (11.13 * T, 0), (11.13 * T + 1000 * 2359296, 2e-5), (11.177 * T, 0), (11.229 * T, 0),
    ],
    ("marin-8b", "cooldown2"): [
        (1 * T, 1.7e-4), (1.67 * T, (1.7e-3 + 1.7e-5) / 2), (2.34 * T, 1.7e-5),
    ],
    ("octothinker", "hybrid"): [(200 * B, 2e-5), (220 * B, 2e-6)],
    ("nemotron-3-nano", "long"): [(20 * T, 1e-3), (25 * T, 1e-5), (25.121 * T, 1e-5)],
    ("prolong", "long512k"): [(0, 1e-5), (20 * B, 1e-6), (30 * B, 2.75e-6), (40 * B, 5e-7)],
}  # fmt: skip


def test_every_row_of_table_3_is_a_recipe_and_every_recipe_is_tested() -> None:
    assert set(TABLE_3) <= set(recipes.names())
    assert {name for name, _ in RUNS} == set(recipes.names())
    rows = {name for name in recipes.names() if recipe(name).survey is not None}
    assert rows == set(TABLE_3)


@pytest.mark.parametrize("name", TABLE_3)
def test_the_surveys_row_has_the_tables_figures(name: str) -> None:
    survey = recipe(name).survey
    assert survey is not None
    written = re.findall(r"[A-Z]\w+(?=\()", survey.lr)
    assert written == [form for form, _, _ in TABLE_3[name]]
    found = [
        (schedule, segment) for schedule in survey.schedules() for segment in schedule.segments
    ]
    for (schedule, segment), (form, lr, tokens) in zip(found, TABLE_3[name], strict=True):
        assert segment.curve == ("Linear" if form == "Decay" else form)
        if tokens is not UNSTATED:
            assert segment.stop - segment.begin == tokens
        if lr is not UNSTATED:
            before_its_end = segment.stop - 1e-6 * (segment.stop - segment.begin)
            assert schedule.at(before_its_end) == pytest.approx(lr, rel=1e-4, abs=1e-9)
            assert segment.end == pytest.approx(lr)


@pytest.mark.parametrize(("name", "leaf"), RUNS)
def test_runs_come_to_the_published_lr(name: str, leaf: str) -> None:
    found = recipe(name)
    planned = courses(found.phases)
    for tokens, lr in RUNS[name, leaf]:
        begin = 0
        for phase in found.path(leaf):
            end = begin + found.phases[phase].tokens
            if begin < tokens <= end or tokens == begin == 0:
                just_before = max(0, tokens - begin - 1)
                assert planned[phase].lr(just_before) == pytest.approx(lr, rel=1e-4, abs=1e-12), (
                    phase, tokens,
                )  # fmt: skip
            begin = end
    assert RUNS[name, leaf][-1][0] <= begin


def test_dots_batch_grows_at_6t_and_8_3t() -> None:
    sizes = [
        one.batch_tokens for one in courses(recipe("dots-llm1").phases)["pretrain"].plan.stretches
    ]
    assert sizes == pytest.approx([64 * M, 96 * M, 128 * M], rel=1e-3)


def test_smollm3_leaves_the_optimizer_behind_in_its_last_stage_alone() -> None:
    left = [name for name, one in recipe("smollm3").phases.items() if not one.inherit.optimizer]
    assert left == ["long64k"]


@pytest.mark.parametrize("name", recipes.names())
def test_phases_have_the_keys_of_the_configuration(name: str) -> None:
    for phase in recipe(name).phases.values():
        Phase.model_validate({**phase.model_dump(mode="json"), "mixture": "mine"})


FAULTS: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "weights": (
        "hunyuan-large", lambda r: r["mixtures"]["long"].update(pretraining=0.75565),
        r"mixtures\.long: the weights sum to 1\.00565",
    ),
    "pasted duration": (
        "olmo3-7b", lambda r: r["phases"]["long"].update(tokens="5T"),
        r"total_tokens\.long: 150,000,000,000, but .* add up to 5,100,000,000,000",
    ),
    "pasted duration in a notation": (
        "dots-llm1", lambda r: r["phases"]["long"].update(lr="Constant(1e-5, 200B)"),
        r"phases\.long\.lr .*the lengths leave -72,000,000,000",
    ),
    "wrong parent": (
        "dots-llm1", lambda r: r["phases"]["long"].update(parent="anneal1"),
        "anneal2 has no children.*pretrain -> anneal1 -> long add up to",
    ),
    "no such parent": (
        "olmo3-7b", lambda r: r["phases"]["long"].update(parent="stage2"),
        r"phases\.long\.parent: no phase is called 'stage2'",
    ),
    "cycle": (
        "olmo3-7b", lambda r: r["phases"]["midtrain"].update(parent="long"), "its own ancestor",
    ),
    "no such data": (
        "phi-4", lambda r: r["data"]["pretraining"].update(what=None, catalogue="dolma-9"),
        "config/sources has no entry 'dolma-9'",
    ),
    "data that nothing describes": (
        "phi-4", lambda r: r["data"].pop("long"), r"mixtures\.midtrain\.long: say under `data`",
    ),
    "no such mixture": (
        "phi-4", lambda r: r["phases"]["midtrain"].update(mixture="stage3"), "called 'stage3'",
    ),
    "no such key": (
        "phi-4", lambda r: r["assumed"].update({"phases.long.lr": ""}),
        r"assumed\.phases\.long\.lr: the recipe has no such key",
    ),
    "a total of nothing": (
        "phi-4", lambda r: r["total_tokens"].update(pretrain="10T"), "no phase without children",
    ),
    "schedule": (
        "phi-4", lambda r: r["phases"]["pretrain"].update(lr="Warmup(1x)"), "needs a parent",
    ),
    "the survey's": ("phi-4", lambda r: r["survey"].update(lr="Decay(0, 1T)"), "no inherited lr"),
    "unknown key": ("phi-4", lambda r: r["phases"]["pretrain"].update(lrr=1), "lrr"),
    "no batch size": (
        "phi-4", lambda r: r["phases"]["pretrain"].pop("batch_tokens"), "batch_tokens",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_faults_of_published_recipes_are_refused(fault: str) -> None:
    name, spoil, named = FAULTS[fault]
    values = yaml.safe_load((recipes.FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    Recipe.model_validate(values)
    spoiled = copy.deepcopy(values)
    spoil(spoiled)
    with pytest.raises(ValidationError, match=named):
        Recipe.model_validate(spoiled)


def test_a_recipe_that_does_not_exist_names_those_near() -> None:
    with pytest.raises(UserError, match=r"did you mean one of .*dots-llm1"):
        recipe("dots.llm1")
