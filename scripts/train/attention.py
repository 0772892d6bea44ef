"""Causal attention within the documents of packed rows, without a mask.

The rows of a micro-batch are laid end to end, and each document attends to itself alone, so that a
document of l tokens costs l^2 and not the row's length squared, and no (T, T) mask is ever made. On
CUDA by FlashAttention's variable-length kernel, elsewhere by one call for each document.

transformers' models find it as the attention implementation NAME. They pass on to it the
``documents`` that their forward is called with, and make no mask for an implementation that has no
mask function.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import ProcessGroup
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from scripts.train import sequence

NAME = "documents"


@dataclass(frozen=True)
class Documents:
    """Where the documents of a micro-batch are, its rows laid end to end.

    ``lengths`` of each document, known to the host; ``bounds_N1`` (documents + 1,) int32, the place
    where each begins and the last one ends, on the model's device; ``most``, which none is longer
    than: the row's length, as compiled code would be compiled anew for each longest document;
    ``sharing``, the processes that have some columns of the rows each, if they are several.
    """

    lengths: list[int]
    bounds_N1: Tensor
    most: int
    sharing: ProcessGroup | None = None

    @classmethod
    def of(cls, position_ids_BT: Tensor, sharing: ProcessGroup | None = None) -> "Documents":
        """Read the documents off positions, which count from 0 in each; best before they are moved.

        Rows share no document: each must begin with a 0, else ValueError is raised.
        """
        if not bool((position_ids_BT[:, 0] == 0).all()):
            raise ValueError("a row begins within a document: its positions must count from 0")
        starts_N = torch.nonzero(position_ids_BT.flatten() == 0).flatten()
        bounds_N1 = torch.cat([starts_N, starts_N.new_tensor([position_ids_BT.numel()])])
        most = position_ids_BT.shape[1]
        return cls(bounds_N1.diff().tolist(), bounds_N1.to(torch.int32), most, sharing)

    def to(self, device: torch.device) -> "Documents":
        bounds_N1 = self.bounds_N1.to(device, non_blocking=True)
        if bounds_N1.is_cuda:  # where it would be compiled anew for each number of documents
            torch._dynamo.maybe_mark_dynamic(bounds_N1, 0)
        return replace(self, bounds_N1=bounds_N1)


def attend(
    module: nn.Module,
    query_BHTD: Tensor,
    key_BGTD: Tensor,
    value_BGTD: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    documents: Documents | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend within ``documents``: H query heads in groups that share the G key and value heads.

    With ``sliding_window`` a token sees no more than so many, itself included. Returns
    (B, T, H, D), as transformers' attention functions do. Raises ValueError for what it does not
    do: masks, dropout, soft caps, attention sinks, and a call without documents.
    """
    unknown = [one for one in (attention_mask, softcap, s_aux) if one is not None]
    if documents is None or dropout or unknown:
        raise ValueError(
            f"attention {NAME!r} needs `documents` and does no mask, dropout, soft cap or sink, "
            "one of which this model asks for: it cannot be trained here"
        )
    window = sliding_window or documents.most
    given = (query_BHTD, key_BGTD, value_BGTD)
    if documents.sharing is not None:
        given = sequence.whole_rows(*given, documents.sharing)
    batch, heads, length, size = given[0].shape
    query, key, value = (x.transpose(1, 2).flatten(0, 1) for x in given)
    inner = _varlen if query.is_cuda else _one_by_one
    attended_BTHD = inner(query, key, value, documents, scaling, window).view(
        batch, length, heads, size
    )
    if documents.sharing is not None:
        attended_BTHD = sequence.own_columns(attended_BTHD, documents.sharing)
    return attended_BTHD, None


def _varlen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    documents: Documents,
    scaling: float | None,
    window: int,
) -> Tensor:
    """Attend by FlashAttention: (B * T, heads, D), in 16 bits, which is all that it knows."""
    half = torch.float16 if query.dtype == torch.float16 else torch.bfloat16
    attended = varlen_attn(
        query.to(half),
        key.to(half),
        value.to(half),
        documents.bounds_N1,
        documents.bounds_N1,
        documents.most,
        documents.most,
        scale=scaling,
        window_size=(window - 1 if window < documents.most else -1, 0),  # to the left, to the right
        enable_gqa=query.shape[1] != key.shape[1],
    )
    assert isinstance(attended, Tensor)  # nothing else was asked for
    return attended.to(query.dtype)


def _one_by_one(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    documents: Documents,
    scaling: float | None,
    window: int,
) -> Tensor:
    """Attend document by document: (B * T, heads, D)."""
    parts = [x.transpose(0, 1)[None].split(documents.lengths, 2) for x in (query, key, value)]
    grouped = query.shape[1] != key.shape[1]
    attended = []
    for q, k, v in zip(*parts, strict=True):
        band_TT = _band(q.shape[2], window) if q.shape[2] > window else None
        attended.append(
            scaled_dot_product_attention(
                q, k, v, band_TT, is_causal=band_TT is None, scale=scaling, enable_gqa=grouped
            )
        )
    return torch.cat(attended, 2)[0].transpose(0, 1)


def _band(length: int, window: int) -> Tensor:
    """Return which keys a query of one document sees: the last ``window`` up to itself."""
    seen_TT = torch.ones(length, length, dtype=torch.bool).tril()
    return seen_TT.triu(1 - window)


AttentionInterface.register(NAME, attend)
