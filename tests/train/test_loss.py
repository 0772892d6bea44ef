"""The chunked loss against the plain formula in float64."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from scripts.train import loss
from scripts.train.loss import IGNORED, head_loss


def reference(hidden_ND: Tensor, weight_VD: Tensor, labels_N: Tensor, z_weight: float):
    logits_NV = hidden_ND @ weight_VD.T
    entropy = cross_entropy(logits_NV, labels_N, ignore_index=IGNORED, reduction="sum")
    squares_N = logits_NV.logsumexp(-1).square()
    return entropy + z_weight * squares_N[labels_N != IGNORED].sum(), entropy


def inputs(tokens: int, vocabulary: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(tokens)
    hidden_ND = torch.randn(tokens, 8, generator=generator, dtype=torch.float64)
    weight_VD = torch.randn(vocabulary, 8, generator=generator, dtype=torch.float64)
    labels_N = torch.randint(vocabulary, (tokens,), generator=generator)
    labels_N[::3] = IGNORED
    return hidden_ND.to(dtype).requires_grad_(), weight_VD.to(dtype).requires_grad_(), labels_N


@pytest.mark.parametrize("tokens", [1, 7, 64])
@pytest.mark.parametrize("z_weight", [0.0, 1e-2])
@pytest.mark.parametrize("chunk_logits", [1, 100, 1 << 20])
def test_losses_and_gradients_are_those_of_the_formula(
    tokens: int, z_weight: float, chunk_logits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss, "CHUNK_LOGITS", chunk_logits)
    hidden_ND, weight_VD, labels_N = inputs(tokens, 11, torch.float32)
    total, entropy = head_loss(hidden_ND, weight_VD, labels_N, z_weight)
    (total * 0.7).backward()
    exact_ND, exact_VD, _ = inputs(tokens, 11, torch.float64)
    exact_total, exact_entropy = reference(exact_ND, exact_VD, labels_N, z_weight)
    (exact_total * 0.7).backward()
    for ours, exact in [
        (total, exact_total),
        (entropy, exact_entropy),
        (hidden_ND.grad, exact_ND.grad),
        (weight_VD.grad, exact_VD.grad),
    ]:
        torch.testing.assert_close(ours.double(), exact, rtol=1e-5, atol=1e-5)
    assert not entropy.requires_grad


@pytest.mark.parametrize("chunk_logits", [1, 1 << 20])
def test_without_gradients_the_sums_are_the_same_bits(
    chunk_logits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss, "CHUNK_LOGITS", chunk_logits)
    hidden_ND, weight_VD, labels_N = inputs(64, 11, torch.float32)
    learned = head_loss(hidden_ND, weight_VD, labels_N, 1e-2)
    monkeypatch.delattr(loss, "_HeadLoss")
    with torch.no_grad():
        measured = head_loss(hidden_ND, weight_VD, labels_N, 1e-2)
    assert [one.item() for one in measured] == [one.item() for one in learned]
    assert not any(one.requires_grad for one in measured)


def test_tokens_that_are_not_predicted_have_no_gradient() -> None:
    hidden_ND, weight_VD, labels_N = inputs(6, 5, torch.float32)
    labels_N[:] = IGNORED
    total, entropy = head_loss(hidden_ND, weight_VD, labels_N, 1e-2)
    total.backward()
    assert total.item() == entropy.item() == 0
    assert not hidden_ND.grad.any() and not weight_VD.grad.any()


def test_in_bfloat16_the_sums_are_still_fp32() -> None:
    hidden_ND, weight_VD, labels_N = inputs(300, 50, torch.float32)
    total, _ = head_loss(hidden_ND.bfloat16(), weight_VD.bfloat16(), labels_N, 0.0)
    total.backward()
    exact, _ = reference(hidden_ND.bfloat16().double(), weight_VD.bfloat16().double(), labels_N, 0)
    assert total.dtype == torch.float32
    torch.testing.assert_close(total.double(), exact, rtol=5e-3, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("z_weight", [0.0, 1e-2])
def test_what_is_compiled_on_a_gpu_says_the_same(dtype: torch.dtype, z_weight: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits_CV = (10 * torch.randn(40, 30, generator=generator)).to(dtype)
    labels_C = torch.randint(30, (40,), generator=generator)
    labels_C[::3] = IGNORED
    fused = loss.losses_in_few_passes(logits_CV, labels_C, z_weight)
    plain = loss._losses_in_place(logits_CV, labels_C, z_weight)
    for one, other in zip(fused, plain, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(
            one, other, rtol=2e-6 if dtype == torch.float32 else 8e-3, atol=1e-6
        )
