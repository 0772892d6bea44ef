"""Where every artifact lives under ``results/``: the one place that knows the paths.

An artifact is a folder that holds its member files and three records:

- ``content.json``: sha256, size and counts of the members; the edge of the DAG.
- ``manifest.json``: the content with the settings, code and inputs that made it; deterministic.
- ``provenance.json``: who, where and when; nobody's input.

Every function returns the path of ``content.json``, which rules name as input and output. The
arguments may be Snakemake wildcards, such as ``"{source}"``.
"""

from pathlib import Path

CONTENT = "content.json"
MANIFEST = "manifest.json"
PROVENANCE = "provenance.json"

RESULTS = "results"


def _artifact(*parts: str | int) -> Path:
    return Path(RESULTS, *map(str, parts), CONTENT)


def documents(source: str, shard: str | int) -> Path:
    return _artifact("documents", source, shard)


def attributes(source: str, name: str, shard: str | int) -> Path:
    return _artifact("attributes", source, name, shard)


def rater(name: str) -> Path:
    return _artifact("raters", name)


def signatures(source: str, shard: str | int) -> Path:
    return _artifact("signatures", source, shard)


def embeddings(source: str, shard: str | int) -> Path:
    return _artifact("embeddings", source, shard)


def semantic_clusters() -> Path:
    return _artifact("semantic_clusters")


def duplicates() -> Path:
    return _artifact("duplicates")


def lines(source: str, shard: str | int) -> Path:
    return _artifact("lines", source, shard)


def duplicate_lines() -> Path:
    return _artifact("duplicate_lines")


def contamination_index() -> Path:
    return _artifact("contamination", "index")


def contamination_items() -> Path:
    return _artifact("contamination", "items")


def contamination_planted() -> Path:
    return _artifact("contamination", "planted")


def selection(source: str, shard: str | int) -> Path:
    return _artifact("selected", source, shard)


def tokenizer(name: str) -> Path:
    return _artifact("tokenizers", name)


def tokens(tokenizer_name: str, source: str, shard: str | int) -> Path:
    return _artifact("tokens", tokenizer_name, source, shard)


def heldout_tokens(tokenizer_name: str) -> Path:
    return _artifact("heldout_tokens", tokenizer_name)


def order(phase: str) -> Path:
    return _artifact("orders", phase)


def phase(name: str) -> Path:
    return _artifact("phases", name)


def task_items(task: str) -> Path:
    return _artifact("tasks", task)


def evaluation(phase_name: str, task: str) -> Path:
    return _artifact("evaluations", phase_name, task)


def comparison() -> Path:
    return _artifact("comparison")


def report() -> Path:
    return _artifact("report")
