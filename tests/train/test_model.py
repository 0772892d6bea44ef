from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from scripts.common.config.train import Architecture, Rope
from scripts.common.errors import UserError
from scripts.train import model as models
from scripts.train.batches import Batch

VOCABULARY = {"vocabulary": 50, "bos": 0, "eos": 1}
SMALL = Architecture(hidden_size=32, intermediate_size=64, layers=2, heads=2, seed=3)


@pytest.fixture
def model() -> PreTrainedModel:
    return models.create(SMALL, VOCABULARY, context=24, rope=None)


def batch(ids_BT: Tensor, positions_BT: Tensor) -> Batch:
    return Batch(ids_BT, ids_BT, positions_BT)


def test_packed_documents_have_the_states_of_separate_ones(model: PreTrainedModel) -> None:
    lengths = [7, 1, 12, 4]
    torch.manual_seed(0)
    ids_BT = torch.randint(0, 50, (2, sum(lengths)))
    packed_BT = torch.cat([torch.arange(length) for length in lengths]).expand(2, -1)
    hidden_BTD = models.forward_hidden(model, batch(ids_BT, packed_BT))
    first = 0
    for length in lengths:
        alone = batch(ids_BT[:, first : first + length], packed_BT[:, first : first + length])
        torch.testing.assert_close(
            hidden_BTD[:, first : first + length],
            models.forward_hidden(model, alone),
            rtol=0,
            atol=1e-5,
        )
        first += length
    # The negative control: given an attention mask, transformers lets documents see each other.
    model.set_attn_implementation("sdpa")
    leaking = model.base_model(
        input_ids=ids_BT, position_ids=packed_BT, attention_mask=torch.ones_like(ids_BT)
    ).last_hidden_state
    assert (leaking - hidden_BTD).abs().max() > 1e-2


def test_weights_are_a_function_of_the_seed() -> None:
    def weights(seed: int) -> Tensor:
        architecture = SMALL.model_copy(update={"seed": seed})
        made = models.create(architecture, VOCABULARY, context=24, rope=None)
        return made.get_output_embeddings().weight

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_a_rope_base_takes_effect_and_is_kept_on_loading(
    model: PreTrainedModel, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path / "short")
    longer = models.load(tmp_path / "short", VOCABULARY, 96, Rope(method="abf", base=5e5))
    longer.save_pretrained(tmp_path / "long")
    again = models.load(tmp_path / "long", VOCABULARY, 96, rope=None)
    expected = 5e5 ** (-torch.arange(0, 16, 2) / 16)
    for changed in (longer, again):
        torch.testing.assert_close(changed.base_model.rotary_emb.inv_freq, expected)
        assert changed.config.max_position_embeddings == 96
    before = model.base_model.rotary_emb.inv_freq
    assert not torch.allclose(before, expected)
    assert torch.equal(again.get_output_embeddings().weight, model.get_output_embeddings().weight)


def test_decay_spares_embeddings_and_norms(model: PreTrainedModel) -> None:
    decayed = {name for name, _ in model.named_parameters()} - models.undecayed(model)
    assert {name.split(".")[-2] for name in decayed} == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head",
    }  # fmt: skip
    assert all(name.endswith(".weight") for name in decayed)


def test_what_is_no_checkpoint_is_refused(model: PreTrainedModel, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no usable config\.json"):
        models.load(tmp_path, VOCABULARY, 24, rope=None)
    model.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="50 embeddings for a tokenizer of 51"):
        models.load(tmp_path, {**VOCABULARY, "vocabulary": 51}, 24, rope=None)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="does not load as a safetensors checkpoint"):
        models.load(tmp_path, VOCABULARY, 24, rope=None)


def test_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(UserError, match="even multiple of heads 3"):
        models.create(SMALL.model_copy(update={"heads": 3}), VOCABULARY, 24, rope=None)
