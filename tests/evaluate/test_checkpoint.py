from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from scripts.common.artifact import Artifact
from scripts.common.config.evaluate import PositionLossTask
from scripts.common.errors import UserError
from scripts.common.heldout import Document
from scripts.evaluate import bits_per_byte, checkpoint, position_loss


def slow_losses(model: torch.nn.Module, tokens: list[int]) -> list[float]:
    """The loss of each token but the first, each from a forward pass of its own."""
    losses = []
    for end in range(1, len(tokens)):
        with torch.no_grad():
            logits = model(torch.tensor([tokens[:end]])).logits[0, -1].double()
        losses.append(float(torch.logsumexp(logits, 0) - logits[tokens[end]]))
    return losses


def test_losses_agree_with_one_token_at_a_time(
    add_phase: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = checkpoint.load(add_phase())
    sequences = [found.encode(text) for text in ["abc", "a longer text", "", "déjà vu", "x" * 40]]
    monkeypatch.setattr(checkpoint, "_LOGITS_PER_BATCH", 30 * found.model.config.vocab_size)
    for tokens, losses in zip(
        sequences, checkpoint.token_losses(found.model, sequences), strict=True
    ):
        assert losses == pytest.approx(slow_losses(found.model, tokens), abs=1e-4)


def test_bits_of_a_document_longer_than_the_context(add_phase: Callable[..., Artifact]) -> None:
    found = checkpoint.load(add_phase(context=16))
    text = "The quick brown fox jumps over the lazy dog."
    tokens = found.encode(text)
    expected = sum(
        sum(slow_losses(found.model, tokens[start : start + 17])) for start in range(0, 44, 16)
    )
    (bits,) = bits_per_byte.document_bits(found, [text])
    assert bits == pytest.approx(expected / np.log(2), rel=1e-5)


def test_without_bos_a_document_starts_with_eos(add_phase: Callable[..., Artifact]) -> None:
    phase = add_phase()
    file = phase.folder / "tokenizer_config.json"
    file.write_text(file.read_text().replace('"bos_token": "<|bos|>"', '"bos_token": null'))
    found = checkpoint.load(phase)
    assert found.prefix == found.tokenizer.eos_token_id


def test_a_checkpoint_that_names_no_context_is_an_error(workdir: Path) -> None:
    (workdir / "config.json").write_text('{"model_type": "mamba"}')
    size = (workdir / "config.json").stat().st_size
    phase = Artifact(
        workdir / "content.json", {"members": {"config.json": {"size": size}}, "counts": {}}
    )
    with pytest.raises(UserError, match="max_position_embeddings"):
        checkpoint.context_of(phase)


def test_buckets_are_the_means_of_equal_stretches() -> None:
    losses = np.arange(16.0)
    found = position_loss.bucket_means(losses)
    assert list(found) == [f"loss_{end:04d}" for end in range(2, 17, 2)]
    assert found["loss_0004"] == 2.5
    assert np.mean(list(found.values())) == losses.mean()
    assert len(position_loss.bucket_means(np.arange(3.0))) == 3


def test_only_long_documents_are_used_and_enough_are_needed(
    add_phase: Callable[..., Artifact],
) -> None:
    found = checkpoint.load(add_phase())
    documents = [Document(id, "s", "x" * length) for id, length in enumerate([99, 100, 5, 300])]
    task = PositionLossTask(kind="position-loss", context=100, documents=4)
    chosen = position_loss.long_documents(found, documents, task)
    assert [(document.id, len(tokens)) for document, tokens in chosen] == [(1, 101), (3, 101)]
    with pytest.raises(UserError, match="only 1 of 4"):
        position_loss.long_documents(found, documents[:2], task)
