"""Real, tiny inputs: held-out documents and a random Llama with a tokenizer, as artifacts."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from scripts.common import layout, tables
from scripts.common.artifact import Artifact, Draft, make

MODULE = "scripts.common.heldout"  # of the repository, so that manifests can hash its code


@pytest.fixture
def add_documents(workdir: Path) -> Callable[..., Artifact]:
    """Make a documents artifact whose held-out texts are given by id."""

    def add(source: str, texts: dict[int, str], shard: int = 0) -> Artifact:
        def build(draft: Draft) -> None:
            rows = [
                {"id": id, "text": text, "source": source, "url": f"test:{id}", "metadata": "{}"}
                for id, text in texts.items()
            ]
            table = pa.Table.from_pylist(rows, schema=tables.DOCUMENTS)
            tables.write(table, draft.path("heldout.parquet"))

        output = layout.documents(source, shard)
        settings = sorted(texts.items())
        return make(build, output=output, module=MODULE, settings=settings, inputs=[])

    return add


@pytest.fixture
def add_phase(workdir: Path) -> Callable[..., Artifact]:
    """Make a phase artifact: a Llama of random weights, one token per byte."""

    def add(name: str = "tiny", seed: int = 0, context: int = 64, bos: bool = True) -> Artifact:
        def build(draft: Draft) -> None:
            tokenizer = _byte_tokenizer(bos)
            torch.manual_seed(seed)
            config = LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=context,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                initializer_range=0.5,  # far from uniform, so that scores differ
            )
            LlamaForCausalLM(config).save_pretrained(draft.folder)
            tokenizer.save_pretrained(draft.folder)

        settings = [seed, context, bos]
        output = layout.phase(name)
        return make(build, output=output, module=MODULE, settings=settings, inputs=[])

    return add


def _byte_tokenizer(bos: bool) -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: id for id, token in enumerate(["<|bos|>", "<|eos|>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<|bos|> $A", special_tokens=[("<|bos|>", vocabulary["<|bos|>"])]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|bos|>",
        eos_token="<|eos|>",
    )
