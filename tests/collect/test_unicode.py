"""Unicode repair: damage is undone, everything else stays as it was written."""

import json
import unicodedata
from pathlib import Path

import ftfy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.collect import unicode
from scripts.collect.documents import Settings, collect
from scripts.common import tables
from scripts.common.artifact import Artifact


@pytest.mark.parametrize(
    ("damaged", "repaired"),
    [
        ("schÃ¶n, voilÃ\xa0", "schön, voilà"),
        ("â€œHelloâ€\x9d", "\u201cHello\u201d"),
        ("e\u0301te\u0301", "été"),
        ("\x1b[31mred\x1b[0m and\x07 bell", "red and bell"),
        ("\ufeffstart", "start"),
        ("half \ud83d\ude00", "half 😀"),
    ],
)
def test_damage_is_undone(damaged: str, repaired: str) -> None:
    assert unicode.treated(damaged, "repair") == repaired
    assert unicode.treated(damaged, "keep") == damaged


@pytest.mark.parametrize(
    "written",
    [
        "\u201cquotes\u201d, it\u2019s",
        "\uff26\uff55\uff4c\uff4c width\u3001\ufb01ne ligatures",
        "&lt;b&gt; &amp;amp; x &lt; y",
        "line\r\nends\rstay\u2028here",
        "Größe, naïveté, Ελληνικά, кириллица, 日本語, ½²",
    ],
)
def test_what_was_written_so_stays(written: str) -> None:
    assert unicode.treated(written, "repair") == written


@given(st.text(st.characters(max_codepoint=127)))
def test_the_short_way_for_ascii_is_what_ftfy_does(text: str) -> None:
    assert unicode.treated(text, "repair") == ftfy.fix_text(text, unicode._REPAIR)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_nfc_composes_and_nothing_else(text: str) -> None:
    assert unicode.treated(text, "nfc") == unicodedata.normalize("NFC", text)


def documents(folder: Path, treatment: str) -> Artifact:
    texts = ["schÃ¶n", "plain", "e\u0301", "\x07\x07", "\ud83d\ude00"]
    lines = [json.dumps({"text": text}) for text in texts]
    (folder / "texts.jsonl").write_text("\n".join(lines))
    source = {
        "reader": "jsonl", "domain": "web", "paths": [str(folder / "texts.jsonl")],
        "unicode": treatment, "max_quarantined": 1.0,
    }  # fmt: skip
    settings = Settings.model_validate({"source": source, "heldout": {"fraction": 0.0}})
    return collect(f"web_{treatment}", 0, settings)


@pytest.mark.parametrize(
    ("treatment", "texts", "repaired"),
    [
        ("keep", ["schÃ¶n", "plain", "e\u0301", "\x07\x07", "😀"], 0),
        ("nfc", ["schÃ¶n", "plain", "é", "\x07\x07", "😀"], 1),
        ("repair", ["schön", "plain", "é", "😀"], 3),
    ],
)
def test_documents_are_repaired_and_counted(
    workdir: Path, treatment: str, texts: list[str], repaired: int
) -> None:
    made = documents(workdir, treatment)
    assert tables.read(made.member("documents.parquet"), ["text"])["text"].to_pylist() == texts
    assert made.counts["repaired"] == repaired
    reasons = {"empty_text": 1} if treatment == "repair" else {}
    assert made.counts["quarantined_by_reason"] == reasons
