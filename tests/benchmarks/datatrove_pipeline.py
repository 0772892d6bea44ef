"""datatrove doing what annotate, deduplicate, decontaminate and select do, in one process.

Its own filters by their defaults, its readers and writers, its MinHash (14 bands of 8), 13-grams.
Languages are left out: its language filter downloads a model. As here, duplicates and contamination
are looked for in all documents, not just in those that pass the filters. A program of its own, so
that the processor time of a run can be told:
``python -m tests.benchmarks.datatrove_pipeline DOCUMENTS.jsonl ITEMS.jsonl RATER.bin FOLDER``.
"""

import importlib.metadata  # noqa: F401  datatrove looks into it without importing it
import json
import sys
from pathlib import Path

import numpy as np
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FastTextClassifierFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.text import simplify_text

_NGRAM_WORDS = 13


def run(documents: Path, items: Path, rater: Path, folder: Path) -> None:
    """Leave what passes the filters in ``folder/filtered``, what all else in ``folder/kept``."""
    minhash = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)
    decontaminate = _decontaminate(items, folder / "index")
    _execute(
        folder / "logs/annotate",
        JsonlReader(str(documents.parent), glob_pattern=documents.name),
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(),
        FineWebQualityFilter(),
        FastTextClassifierFilter(str(rater), keep_labels=[("good", 0.05)], newline_replacement=" "),
        JsonlWriter(str(folder / "filtered")),
    )
    _execute(
        folder / "logs/signatures",
        JsonlReader(str(documents.parent), glob_pattern=documents.name),
        MinhashDedupSignature(str(folder / "signatures"), config=minhash),
    )
    _execute(
        folder / "logs/buckets",
        MinhashDedupBuckets(str(folder / "signatures"), str(folder / "buckets"), config=minhash),
        tasks=minhash.num_buckets,
    )
    _execute(
        folder / "logs/clusters",
        MinhashDedupCluster(str(folder / "buckets"), str(folder / "duplicates"), config=minhash),
    )
    _execute(
        folder / "logs/select",
        JsonlReader(str(documents.parent), glob_pattern=documents.name),
        MinhashDedupFilter(str(folder / "duplicates")),
        decontaminate,
        JsonlWriter(str(folder / "kept")),
    )


def _execute(logs: Path, *steps: PipelineStep, tasks: int = 1) -> None:
    LocalPipelineExecutor(pipeline=list(steps), logging_dir=str(logs), tasks=tasks, workers=1).run()


def _decontaminate(items: Path, index: Path) -> NGramsDecontFilter:
    """Return the filter with an index of the items; its own indexer wants evaluations by name."""
    index.mkdir(parents=True)
    step = NGramsDecontFilter(str(index), config=NGramsDecontConfig(n_grams=_NGRAM_WORDS))
    hashes = set()
    for line in items.read_text().splitlines():
        words = step.tokenizer.word_tokenize(
            simplify_text(json.loads(line)["text"], step.config.norm_config)
        )
        for first in range(len(words) - _NGRAM_WORDS + 1):
            hashes.add(step.hash_func(" ".join(words[first : first + _NGRAM_WORDS])))
    array = np.array(sorted(hashes), dtype=step.config.hash_config.np_descr)
    array.tofile(index / "items.index.hashes")
    return step


if __name__ == "__main__":
    run(*map(Path, sys.argv[1:]))
