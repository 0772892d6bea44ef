"""Heuristics: equal to their published definitions written out slowly, defined for any text."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.annotate import c4, fineweb, gopher, heuristics, language, ngrams
from scripts.annotate.text import Text
from scripts.common import layout, tables
from scripts.common.artifact import Artifact, make
from scripts.common.attributes import DUPLICATE_NGRAMS, MEASURES, TOP_NGRAMS

MakeDocuments = Callable[[str, int, list[str]], Artifact]

texts = st.lists(st.sampled_from(["a", "b", "cc", "ddd", "\n", "\n\n"]), max_size=60).map(" ".join)


def slow_top(words: list[str], n: int) -> int:
    grams = Counter(" ".join(words[i : i + n]) for i in range(len(words) - n + 1))
    if not grams:
        return 0
    gram, count = grams.most_common(1)[0]
    return len(gram) * count if count > 1 else 0


def slow_duplicates(words: list[str], n: int) -> int:
    met, characters, place = set(), 0, 0
    while place <= len(words) - n:
        gram = " ".join(words[place : place + n])
        if gram in met:
            characters += len(gram)
            place += n
        else:
            met.add(gram)
            place += 1
    return characters


@settings(max_examples=150, deadline=None)
@given(st.lists(texts, min_size=1, max_size=5))
def test_ngram_measures_equal_the_definition_document_by_document(batch: list[str]) -> None:
    measured = ngrams.repetition([Text(text) for text in batch])
    for place, text in enumerate(batch):
        words, length = text.split(), max(len(text), 1)
        for n in TOP_NGRAMS:
            expected = min(slow_top(words, n) / length, 1.0)
            assert measured[f"gopher_top_{n}gram"][place] == expected
        for n in DUPLICATE_NGRAMS:
            expected = slow_duplicates(words, n) / length
            assert measured[f"gopher_duplicate_{n}gram"][place] == expected


def test_gopher_quality() -> None:
    text = Text("The cat, that sat...\n- 12 # 34\n\n* the END…\n")
    assert gopher.quality(text) == {
        "gopher_words": 11,
        "gopher_mean_word_length": pytest.approx(31 / 11),
        "gopher_symbol_ratio": pytest.approx(2 / 11),
        "gopher_bullet_lines": pytest.approx(2 / 3),
        "gopher_ellipsis_lines": pytest.approx(2 / 3),
        "gopher_alphabetic_words": pytest.approx(6 / 11),
        "gopher_stop_words": 2,
    }


def test_repeated_lines_and_paragraphs() -> None:
    text = Text("one\ntwo\n\none\ntwo\n\nthree")
    assert gopher.repetition(text) == {
        "gopher_duplicate_lines": pytest.approx(2 / 5),
        "gopher_duplicate_paragraphs": pytest.approx(1 / 3),
        "gopher_duplicate_line_characters": pytest.approx(6 / 23),
        "gopher_duplicate_paragraph_characters": pytest.approx(7 / 23),
    }


def test_c4_counts_sentences_in_the_lines_that_it_keeps() -> None:
    kept = 'He said that it rained. "Did it really do so?" It did.'
    removed = [
        "This line has no end",
        "Too short a line.",
        "This line trails off at last...",
        "You must enable JavaScript to read this page.",
        "Please read the Privacy Policy of this site.",
        f"This word is much too long: {'x' * 1001}.",
    ]
    measured = c4.measures(Text("\n".join([kept, *removed])))
    assert measured["c4_sentences"] == 3
    assert measured["c4_javascript"] == pytest.approx(1 / 7)
    assert measured["c4_policy"] == pytest.approx(1 / 7)


def test_c4_counts_what_it_drops_documents_for() -> None:
    measured = c4.measures(Text("Lorem ipsum { } {"))
    assert (measured["c4_lorem_ipsum"], measured["c4_curly_bracket"]) == (1, 2)


def test_fineweb() -> None:
    long = "x" * 40
    measured = fineweb.measures(Text(f"Ends.\n{long}\n\n{long}\n"))
    assert measured == {
        "fineweb_terminal_punctuation_lines": pytest.approx(1 / 3),
        "fineweb_short_lines": pytest.approx(1 / 3),
        "fineweb_duplicate_line_characters": pytest.approx(40 / 85),
        "fineweb_newline_ratio": pytest.approx(4 / 3),
    }


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The committee will meet again in the spring to discuss the report.", "en"),
        ("Der Ausschuss trifft sich im Frühjahr wieder, um den Bericht zu besprechen.", "de"),
        ("委员会将在春天再次开会讨论这份报告。", "zh"),
        ("12 + 30 = 42", language.UNDETERMINED),
        ("", language.UNDETERMINED),
    ],
)
def test_language(text: str, code: str) -> None:
    assert language.identify(text)[0] == code


def measure(documents: Artifact) -> pa.Table:
    artifact = make(
        lambda draft: heuristics.build(draft, documents),
        output=layout.attributes("s", "heuristics", 0),
        module="scripts.annotate.heuristics",
        settings={},
        inputs=[documents.path],
    )
    return tables.read(artifact.member("attributes.parquet"))


@pytest.mark.parametrize("given_texts", [[], ["", "   \n \n", "a", "é" * 5000]])
def test_every_document_has_a_row_and_every_measure_a_value(
    make_documents: MakeDocuments, given_texts: list[str]
) -> None:
    documents = make_documents("s", 0, given_texts)
    table = measure(documents)
    assert table.schema.names == heuristics.SCHEMA.names
    ids = tables.read(documents.member("documents.parquet")).column("id")
    tables.check_aligned(table, ids.to_pylist(), documents.path)
    for name in MEASURES:
        values = table.column(name).to_numpy()
        assert not np.isnan(values).any()


def test_the_size_of_a_batch_does_not_show(
    make_documents: MakeDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    repetitive = [f"a b c {n % 3} a b c\nthe end." * (n + 1) for n in range(9)]
    documents = make_documents("s", 0, repetitive)
    whole = measure(documents)
    monkeypatch.setattr(heuristics, "_BATCH_CHARACTERS", 50)
    layout.attributes("s", "heuristics", 0).with_name(layout.MANIFEST).unlink()
    assert measure(documents).equals(whole)
