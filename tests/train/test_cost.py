"""Sizes against what is published of models, FLOPs against those that torch counts as it runs."""

from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    Olmo2Config,
    Olmo3Config,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
    SmolLM3Config,
)

from scripts.common.config.train import Architecture
from scripts.common.errors import UserError
from scripts.train import gpus
from scripts.train import model as models
from scripts.train.batches import Batch
from scripts.train.cost import Shape, mean_length
from scripts.train.loss import IGNORED
from scripts.train.shape import shape_of


def sizes(hidden: int, inner: int, layers: int, heads: int, groups: int, vocabulary: int) -> Any:
    return {
        "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": groups, "vocab_size": vocabulary,
        "pad_token_id": None,
    }  # fmt: skip


def shape(config: PreTrainedConfig) -> Shape:
    with torch.device("meta"):
        return shape_of(AutoModelForCausalLM.from_config(config))


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (LlamaConfig(**sizes(4096, 14336, 32, 32, 8, 128256)), 8_030_261_248),
        (MistralConfig(**sizes(4096, 14336, 32, 32, 8, 32000)), 7_241_732_096),
        (Olmo2Config(**sizes(4096, 11008, 32, 32, 32, 100352)), 7_298_617_344),
        (Olmo3Config(**sizes(4096, 11008, 32, 32, 32, 100278)), 7_298_011_136),
        (Qwen2Config(**sizes(3584, 18944, 28, 28, 4, 152064)), 7_615_616_512),  # Qwen2.5 7B
        (Qwen3Config(**sizes(4096, 12288, 36, 32, 8, 151936), head_dim=128), 8_190_735_360),
        (SmolLM3Config(**sizes(2048, 11008, 36, 16, 4, 128256)), 3_075_098_624),
    ],
    ids=lambda value: getattr(value, "model_type", ""),
)
def test_sizes_are_those_of_published_models(config: Any, parameters: int) -> None:
    found = shape(config)
    assert found.parameters == parameters
    assert found.tied is (config.model_type == "smollm3")
    assert (found.gated, found.norms) == (True, 2)
    assert found.head_norms is (config.model_type in {"olmo2", "olmo3", "qwen3"})
    width, keys = found.heads * found.head_size, found.key_heads * found.head_size
    block = found.hidden * (2 * width + 2 * keys + 3 * found.mlp)
    assert found.matrices == found.layers * block + found.vocabulary * found.hidden
    norms_and_biases = found.block_parameters - block
    assert 0 < norms_and_biases < block / 1000


def test_windows_are_those_of_the_layers() -> None:
    every_fourth = Olmo3Config(**sizes(64, 128, 8, 2, 2, 100), sliding_window=16)
    assert shape(every_fourth).windows == (16, 16, 16, None) * 2
    assert shape(MistralConfig(**sizes(64, 128, 2, 2, 2, 100), sliding_window=8)).windows == (8, 8)
    without = Qwen3Config(**sizes(64, 128, 2, 2, 2, 100), sliding_window=8)
    assert shape(without).windows == (None, None)


def test_what_is_not_dense_is_refused() -> None:
    with pytest.raises(UserError, match="dense Transformers alone"):
        shape(Qwen3MoeConfig(**sizes(64, 128, 2, 2, 2, 100), num_experts=4))


def test_flops_are_those_that_torch_counts() -> None:
    lengths, rows = [40, 8, 16], 2
    architecture = Architecture(hidden_size=32, intermediate_size=96, layers=3, heads=4)
    vocabulary = {"vocabulary": 50, "bos": 0, "eos": 1}
    model = models.create(architecture, vocabulary, context=sum(lengths), rope=None)
    positions_BT = torch.cat([torch.arange(length) for length in lengths]).expand(rows, -1)
    ids_BT = torch.randint(0, 50, positions_BT.shape)
    labels_BT = torch.where(positions_BT == 0, IGNORED, ids_BT)
    # Attention as plain matrix products, all of a document's with all: twice of what is causal.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        losses, _ = models.token_losses(model, Batch(ids_BT, labels_BT, positions_BT), 0.0)
        losses.backward()
    found = shape_of(model)
    attention = 6 * found.layers * found.heads * found.head_size * mean_length(lengths)
    computed = ids_BT.numel() * (found.flops_per_token(lengths) + attention)
    no_head = rows * 6 * found.head  # nothing is predicted from a row's last token
    assert counter.get_total_flops() == computed - no_head


def test_blocks_that_run_again_cost_a_third_without_the_head() -> None:
    found = shape(LlamaConfig(**sizes(64, 128, 2, 2, 2, 100)))
    again = found.recompute_flops_per_token([32])
    assert 3 * (again + 2 * found.head) == found.flops_per_token([32])


@pytest.mark.parametrize("window", [None, 64, 1000])
def test_the_mean_length_counts_what_tokens_see(window: int | None) -> None:
    lengths = [700, 64, 10, 300]
    seen = sum(min(at, window or at) for length in lengths for at in range(1, length + 1))
    # An integral over tokens: a token sees half of itself.
    assert mean_length(lengths, window) == pytest.approx(2 * seen / sum(lengths) - 1, rel=0.01)


@pytest.mark.parametrize(
    ("device", "teraflops", "gigabytes"),
    [
        ("NVIDIA A100-SXM4-40GB", 312, 40),
        ("NVIDIA A100-SXM4-80GB", 312, 80),
        ("NVIDIA A100 80GB PCIe", 312, 80),
        ("NVIDIA H100 80GB HBM3", 989.4, 80),
        ("NVIDIA H100 PCIe", 756.5, 80),
        ("NVIDIA H100 NVL", 835.5, 94),
        ("NVIDIA H200", 989.4, 141),
        ("NVIDIA L40S", 362, 48),
        ("NVIDIA L4", 121, 24),
        ("NVIDIA GeForce RTX 4090", 165.2, 24),
        ("h100", 989.4, 80),
    ],
)
def test_gpus_are_known_by_the_names_of_torch(
    device: str, teraflops: float, gigabytes: float
) -> None:
    gpu = gpus.named(device)
    assert (gpu.flops, gpu.memory) == (teraflops * 1e12, gigabytes * 1e9)


def test_an_unknown_gpu_is_told_with_what_is_known() -> None:
    assert gpus.find("Tesla V100-SXM2-32GB") is None
    with pytest.raises(UserError, match=r"--gpu V100: no figures for it; known are A100"):
        gpus.named("V100")
