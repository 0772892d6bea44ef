"""The page as a whole: complete, self-contained, safe and the same each time."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.common import layout
from scripts.common.artifact import Artifact, Draft
from scripts.common.code import ROOT
from scripts.common.errors import UserError
from scripts.report.lineage import read_stages
from scripts.report.page import TEMPLATE, Settings, build, inputs

Finish = Callable[..., Settings]


def page(settings: Settings, folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    build(Draft(folder), settings, read_stages(inputs(settings)))
    return (folder / "index.html").read_text()


class Outline(HTMLParser):
    """What a page is made of: its tags with their attributes, and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data + " "


def test_it_tells_what_went_in_and_what_came_of_it(finished: Finish, tmp_path: Path) -> None:
    words = " ".join(Outline(page(finished(), tmp_path / "page")).words.split())
    for told in (
        "1.2K parameters, trained in 4 phases on text from 3 sources",
        "300 documents collected, 198 kept",
        "anneal against base, its parent",
        "anneal against control, its control",
        "General ability: retained within the margin of 0.1 bits per byte",
        "bits · code, bits per byte +0.310 [+0.270, +0.350]",  # fewer bits are a gain
        "bits · math, bits per byte \N{MINUS SIGN}0.120",
        "MIT 89%, not stated 11%",
        "sums sums gpt3 2 2 two & two",  # two documents, two items, the best match
        "gpt3 80.0% 0.0%",  # copies found, and texts without one
        "general edu likes 10 +0.455 +0.400",
        "anneal: 2 of 39 steps were not taken, their tokens seen but not learned from "
        "(gradient norm far above its mean: 1, loss not finite: 1)",
        "Held-out text during training: code",
        "soup the mean of anneal (75%), control (25%)",
        "soup against anneal, merged in it",
        "long against soup, its parent",
    ):
        assert told in words


def test_it_needs_no_network_and_no_script(finished: Finish, tmp_path: Path) -> None:
    tags = Outline(page(finished(), tmp_path / "page")).tags
    links = [told[key] for _, told in tags for key in ("src", "href", "xlink:href") if key in told]
    assert all(link and link.startswith("#") for link in links)
    assert not {"script", "link", "iframe", "object", "img"} & {tag for tag, _ in tags}


def test_anchors_lead_somewhere(finished: Finish, tmp_path: Path) -> None:
    tags = Outline(page(finished(), tmp_path / "page")).tags
    names = {told["id"] for _, told in tags if "id" in told}
    assert {str(told["href"])[1:] for tag, told in tags if tag == "a"} == names


def test_drawings_are_well_formed_and_named(finished: Finish, tmp_path: Path) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page(finished(), tmp_path / "page"), re.DOTALL)
    assert len(drawings) == 11
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.get("role") == "img" and root.get("aria-label")
        assert "nan" not in drawing and "inf" not in drawing


def test_the_data_cannot_write_markup(finished: Finish, tmp_path: Path) -> None:
    hostile = '"><script>alert(1)</script><b onclick=x>'
    tags = Outline(page(finished(license=hostile, title=hostile), tmp_path / "page")).tags
    assert "script" not in {tag for tag, _ in tags}
    assert not any("onclick" in told for _, told in tags)


def test_equal_inputs_give_equal_bytes(finished: Finish, tmp_path: Path) -> None:
    settings = finished()
    assert page(settings, tmp_path / "one") == page(settings, tmp_path / "two")


def test_the_command_makes_the_artifact_and_keeps_it(finished: Finish) -> None:
    command = [sys.executable, "-m", "scripts.report.page", "--settings"]
    command.append(json.dumps(finished().model_dump(mode="json")))
    for expected in ("3 sources, 5 phases, 4 comparisons", "kept"):
        done = subprocess.run(
            command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
        )
        assert expected in done.stderr
    assert Artifact.load(layout.report()).member("index.html").stat().st_size > 10_000


def test_a_missing_input_is_named(finished: Finish, tmp_path: Path) -> None:
    settings = finished()
    layout.order("anneal").unlink()
    with pytest.raises(UserError, match="orders/anneal"):
        page(settings, tmp_path / "page")


def test_the_template_is_an_input_of_the_rule() -> None:
    rule = (ROOT / "rules/report.smk").read_text()
    assert TEMPLATE.relative_to(ROOT).as_posix() in rule
