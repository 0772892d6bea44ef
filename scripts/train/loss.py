"""Cross-entropy and z-loss of a head's logits, a chunk of tokens at a time.

The logits of a long batch over a large vocabulary are the largest tensor of a training step. Here
they exist for one chunk only: its gradients are computed as soon as its loss is, and kept as the
gradients of the hidden states and of the head's weight.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

IGNORED = -100  # the label of a token that is not to be predicted

_CHUNK_LOGITS = 1 << 28  # 1 GiB of fp32: fewer chunks, fewer passes over the head's gradient


def head_loss(
    hidden_ND: Tensor, weight_VD: Tensor, labels_N: Tensor, z_weight: float
) -> tuple[Tensor, Tensor]:
    """Return the sum over predicted tokens of cross-entropy plus z-loss, and that without z-loss.

    Logits are ``hidden_ND @ weight_VD.T``, computed in the type of ``hidden_ND``; all that follows
    is in fp32, as both sums are [nats]. The z-loss, z_weight * logsumexp(logits)^2, keeps logits
    small (PaLM, Chowdhery et al. 2022, section 5). Only the first sum has a gradient.
    """
    total, entropy = _HeadLoss.apply(hidden_ND, weight_VD, labels_N, z_weight)
    return total, entropy


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, labels_N: Tensor, z_weight: float
    ) -> tuple[Tensor, Tensor]:
        replace = _compiled_replace() if hidden_ND.is_cuda else _replace_by_gradient
        chunks = -(-len(hidden_ND) * len(weight_VD) // _CHUNK_LOGITS)
        rows = -(-len(hidden_ND) // chunks)
        head_VD = weight_VD.to(hidden_ND.dtype)
        hidden_grad_ND = torch.empty_like(hidden_ND)
        weight_grad_VD = torch.zeros_like(weight_VD, dtype=torch.float32)
        sums_2 = hidden_ND.new_zeros(2, dtype=torch.float32)
        for first in range(0, len(hidden_ND), rows):
            chunk = slice(first, first + rows)
            logits_CV = (hidden_ND[chunk] @ head_VD.T).float()
            sums_2 += replace(logits_CV, labels_N[chunk], z_weight)
            logit_grad_CV = logits_CV.to(hidden_ND.dtype)
            torch.mm(logit_grad_CV, head_VD, out=hidden_grad_ND[chunk])
            weight_grad_VD += logit_grad_CV.T @ hidden_ND[chunk]
        ctx.save_for_backward(hidden_grad_ND, weight_grad_VD)
        ctx.weight_dtype = weight_VD.dtype
        entropy = sums_2[0].clone()
        ctx.mark_non_differentiable(entropy)
        return sums_2.sum(), entropy

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        hidden_grad_ND, weight_grad_VD = ctx.saved_tensors
        scale = grads[0]
        hidden = hidden_grad_ND * scale.to(hidden_grad_ND.dtype)
        return hidden, (weight_grad_VD * scale).to(ctx.weight_dtype), None, None


@functools.cache
def _compiled_replace() -> Callable[[Tensor, Tensor, float], Tensor]:
    """Return ``_replace_by_gradient`` with its passes over the logits fused."""
    return torch.compile(_replace_by_gradient)


def _replace_by_gradient(logits_CV: Tensor, labels_C: Tensor, z_weight: float) -> Tensor:
    """Return the chunk's cross-entropy and z-loss; leave their gradient in the logits' place."""
    valid_C = labels_C != IGNORED
    targets_C1 = labels_C.clamp_min(0)[:, None]
    log_sum_C1 = logits_CV.logsumexp(-1, keepdim=True)
    entropy = (log_sum_C1 - logits_CV.gather(1, targets_C1))[:, 0][valid_C].sum()
    z_loss = z_weight * log_sum_C1[:, 0][valid_C].square().sum()
    logits_CV.sub_(log_sum_C1).exp_()  # softmax
    logits_CV.mul_(1 + 2 * z_weight * log_sum_C1)
    logits_CV.scatter_add_(1, targets_C1, torch.full_like(log_sum_C1, -1))
    logits_CV.mul_(valid_C[:, None])
    return torch.stack([entropy, z_loss])
