"""Attention within documents against a dense mask in float64, and through whole models."""

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from scripts.train.attention import NAME, Documents, attend

POSITIONS_BT = torch.tensor([[0, 1, 2, 3, 0, 1, 0, 0], [0, 1, 2, 3, 4, 5, 6, 7]])


def masked(
    query_BHTD: Tensor, key_BGTD: Tensor, value_BGTD: Tensor, positions_BT: Tensor
) -> Tensor:
    """The formula: a softmax over the keys of one's own document up to oneself."""
    group = query_BHTD.shape[1] // key_BGTD.shape[1]
    key_BHTD, value_BHTD = (x.repeat_interleave(group, 1) for x in (key_BGTD, value_BGTD))
    document_BT = (positions_BT == 0).cumsum(1)
    same_BTT = document_BT[:, :, None] == document_BT[:, None, :]
    allowed_BTT = same_BTT & torch.ones_like(same_BTT).tril()
    scores_BHTT = query_BHTD @ key_BHTD.transpose(2, 3) / query_BHTD.shape[-1] ** 0.5
    weights = scores_BHTT.masked_fill(~allowed_BTT[:, None], -torch.inf).softmax(-1)
    return (weights @ value_BHTD).transpose(1, 2)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_outputs_and_gradients_are_those_of_a_dense_mask(groups: int) -> None:
    generator = torch.Generator().manual_seed(0)

    def random(heads: int) -> Tensor:
        shape = (*POSITIONS_BT.shape[:1], heads, POSITIONS_BT.shape[1], 6)
        return torch.randn(shape, generator=generator).requires_grad_()

    inputs = [random(4), random(groups), random(groups)]
    exact = [x.detach().double().requires_grad_() for x in inputs]
    ours, _ = attend(torch.nn.Module(), *inputs, None, documents=Documents.of(POSITIONS_BT))
    theirs = masked(*exact, POSITIONS_BT)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    gradients = [(x.grad, y.grad) for x, y in zip(inputs, exact, strict=True)]
    for one, other in [(ours, theirs), *gradients]:
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5)


FAMILIES = {
    "llama": {},
    "qwen2": {},
    "qwen3": {"head_dim": 8},
    "olmo2": {},
    "olmo3": {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 3},
    "smollm3": {"pad_token_id": None},
    "mistral": {"sliding_window": 4},
}


def tiny(family: str) -> PreTrainedModel:
    torch.manual_seed(1)
    config = AutoConfig.for_model(
        family, vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, use_cache=False, **FAMILIES[family],
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_documents_have_the_logits_of_separate_ones(family: str) -> None:
    model = tiny(family)
    ids_BT = torch.randint(50, POSITIONS_BT.shape, generator=torch.Generator().manual_seed(2))
    alone = []
    documents = Documents.of(POSITIONS_BT)
    for ids_T in ids_BT.flatten().split(documents.lengths):
        model.set_attn_implementation("eager")
        alone.append(model(input_ids=ids_T[None]).logits[0])
    model.set_attn_implementation(NAME)
    packed = model(input_ids=ids_BT, position_ids=POSITIONS_BT, documents=documents).logits
    torch.testing.assert_close(packed.flatten(0, 1), torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_what_it_does_not_do_is_an_error() -> None:
    model = tiny("llama")
    model.set_attn_implementation(NAME)
    with pytest.raises(ValueError, match="needs `documents`"):
        model(input_ids=torch.zeros(1, 4, dtype=torch.long))
    with pytest.raises(ValueError, match="begins within a document"):
        Documents.of(torch.tensor([[1, 2, 0]]))
