"""Rating by fastText, beside its own `predict` on lines that somebody has made already."""

import tempfile
from pathlib import Path

import fasttext
import pyarrow as pa

from scripts.annotate.raters.base import Record
from scripts.annotate.raters.fasttext import scorer, zeroed_memory
from scripts.common.artifact import Artifact
from scripts.common.config.annotate import FasttextRater
from scripts.common.texts import Texts
from tests.benchmarks.corpus import size
from tests.benchmarks.timing import Row, seconds

_BATCH = 1000
_EXAMPLES = 2000  # of a side


def rows(texts: list[str]) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        path = train(Path(folder), texts)
        record = Record(rater=FasttextRater(path=str(path), label="good"), files={})
        ours = scorer(Artifact(path, {}), record)  # the user's own model: nothing else is read
        theirs = fasttext.load_model(str(path))
    batches = [texts[first : first + _BATCH] for first in range(0, len(texts), _BATCH)]
    columns = [Texts.of_column(pa.array(batch, pa.large_string())) for batch in batches]
    lines = [[" ".join(text.split()) for text in batch] for batch in batches]
    speed = size(texts) / 1e6 / seconds(lambda: [ours.score(column) for column in columns])
    peer = size(texts) / 1e6 / seconds(lambda: [theirs.predict(batch, k=-1) for batch in lines])
    return [Row("rate by fastText", "raw predict", "MB", speed, peer, 0.9)]


def train(folder: Path, texts: list[str]) -> Path:
    """Train a classifier of the first texts, which are prose, against the last, which are code."""
    lines = folder / "examples.txt"
    with lines.open("w") as stream:
        for label, part in (("good", texts[:_EXAMPLES]), ("bad", texts[-_EXAMPLES:])):
            stream.writelines(f"__label__{label} {' '.join(text.split())}\n" for text in part)
    with zeroed_memory():
        model = fasttext.train_supervised(
            str(lines), thread=1, verbose=0, dim=32, wordNgrams=2, bucket=200_000
        )
    model.save_model(str(folder / "rater.bin"))
    return folder / "rater.bin"
