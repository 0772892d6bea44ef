"""Cross-entropy and z-loss of a head's logits, a chunk of tokens at a time.

The logits of a long batch over a large vocabulary are the largest tensor of a training step. Here
they exist for one chunk only: its gradients are computed as soon as its loss is, and kept as the
gradients of the hidden states and of the head's weight.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

IGNORED = -100  # the label of a token that is not to be predicted

Losses = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]

CHUNK_LOGITS = 1 << 28  # at a time: fewer chunks, fewer passes over the head's gradient


def head_loss(
    hidden_ND: Tensor, weight_VD: Tensor, labels_N: Tensor, z_weight: float
) -> tuple[Tensor, Tensor]:
    """Return the sum over predicted tokens of cross-entropy plus z-loss, and that without z-loss.

    Logits are ``hidden_ND @ weight_VD.T``, computed in the type of ``hidden_ND``; all that follows
    is in fp32, as both sums are [nats]. The z-loss, z_weight * logsumexp(logits)^2, keeps logits
    small (PaLM, Chowdhery et al. 2022, section 5). Only the first sum has a gradient, and none is
    computed where gradients are off.
    """
    if torch.is_grad_enabled():
        total, entropy = _HeadLoss.apply(hidden_ND, weight_VD, labels_N, z_weight)
        return total, entropy
    losses = _chunk_losses(hidden_ND)
    sums_2 = hidden_ND.new_zeros(2, dtype=torch.float32)
    for chunk in _chunks(hidden_ND, weight_VD):
        sums_2 += losses(hidden_ND[chunk] @ weight_VD.T, labels_N[chunk], z_weight)[0]
    return sums_2.sum(), sums_2[0]


def _chunks(hidden_ND: Tensor, weight_VD: Tensor) -> Iterator[slice]:
    chunks = -(-len(hidden_ND) * len(weight_VD) // CHUNK_LOGITS)
    rows = -(-len(hidden_ND) // chunks)
    for first in range(0, len(hidden_ND), rows):
        yield slice(first, first + rows)


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, labels_N: Tensor, z_weight: float
    ) -> tuple[Tensor, Tensor]:
        losses = _chunk_losses(hidden_ND)
        hidden_grad_ND = torch.empty_like(hidden_ND)
        weight_grad_VD = torch.zeros_like(weight_VD, dtype=torch.float32)
        sums_2 = hidden_ND.new_zeros(2, dtype=torch.float32)
        for chunk in _chunks(hidden_ND, weight_VD):
            logits_CV = hidden_ND[chunk] @ weight_VD.T
            chunk_sums_2, logit_grad_CV = losses(logits_CV, labels_N[chunk], z_weight)
            sums_2 += chunk_sums_2
            torch.mm(logit_grad_CV, weight_VD, out=hidden_grad_ND[chunk])
            _add_product(weight_grad_VD, logit_grad_CV.T, hidden_ND[chunk])
            del logits_CV, logit_grad_CV  # before the next chunk's are made
        ctx.save_for_backward(hidden_grad_ND, weight_grad_VD.to(weight_VD.dtype))
        entropy = sums_2[0].clone()
        ctx.mark_non_differentiable(entropy)
        return sums_2.sum(), entropy

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        hidden_grad_ND, weight_grad_VD = ctx.saved_tensors
        scale = grads[0]
        return (
            hidden_grad_ND * scale.to(hidden_grad_ND.dtype),
            weight_grad_VD * scale.to(weight_grad_VD.dtype),
            None,
            None,
        )


def _add_product(sum_VD: Tensor, left_VC: Tensor, right_CD: Tensor) -> None:
    """Add a product to an fp32 sum, on a GPU without writing the product down in less."""
    if sum_VD.is_cuda and left_VC.dtype != sum_VD.dtype:
        torch.addmm(sum_VD, left_VC, right_CD, out_dtype=sum_VD.dtype, out=sum_VD)
    else:
        sum_VD += left_VC @ right_CD


def _losses_in_place(logits_CV: Tensor, labels_C: Tensor, z_weight: float) -> tuple[Tensor, Tensor]:
    """Return a chunk's cross-entropy, z-loss and gradient, which takes the logits' place."""
    valid_C = labels_C != IGNORED
    targets_C1 = labels_C.clamp_min(0)[:, None]
    fp32_CV = logits_CV.float()
    log_sum_C1 = fp32_CV.logsumexp(-1, keepdim=True)
    entropy = (log_sum_C1 - fp32_CV.gather(1, targets_C1))[:, 0][valid_C].sum()
    z_loss = z_weight * log_sum_C1[:, 0][valid_C].square().sum()
    fp32_CV.sub_(log_sum_C1).exp_()  # softmax
    fp32_CV.mul_(1 + 2 * z_weight * log_sum_C1)
    fp32_CV.scatter_add_(1, targets_C1, torch.full_like(log_sum_C1, -1))
    fp32_CV.mul_(valid_C[:, None])
    return torch.stack([entropy, z_loss]), fp32_CV.to(logits_CV.dtype)


def _chunk_losses(hidden_ND: Tensor) -> Losses:
    return _compiled_losses() if hidden_ND.is_cuda else _losses_in_place


@functools.cache
def _compiled_losses() -> Losses:
    return torch.compile(losses_in_few_passes)


def losses_in_few_passes(
    logits_CV: Tensor, labels_C: Tensor, z_weight: float
) -> tuple[Tensor, Tensor]:
    """Do as ``_losses_in_place``, written to be fused: two passes that read the logits, one write.

    The target is found by comparison, as a scatter would be a pass of its own.
    """
    valid_C = labels_C != IGNORED
    fp32_CV = logits_CV.float()
    is_target_CV = torch.arange(logits_CV.shape[1], device=logits_CV.device) == labels_C[:, None]
    log_sum_C = fp32_CV.logsumexp(-1)
    target_C = torch.where(is_target_CV, fp32_CV, 0.0).sum(-1)
    entropy = torch.where(valid_C, log_sum_C - target_C, 0.0).sum()
    z_loss = z_weight * torch.where(valid_C, log_sum_C.square(), 0.0).sum()
    scale_C = torch.where(valid_C, 1 + 2 * z_weight * log_sum_C, 0.0)
    softmax_CV = (fp32_CV - log_sum_C[:, None]).exp()
    grad_CV = softmax_CV * scale_C[:, None] - is_target_CV.float()  # IGNORED is nobody's target
    return torch.stack([entropy, z_loss]), grad_CV.to(logits_CV.dtype)
