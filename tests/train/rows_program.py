"""What each of two processes that share rows does in test_sequence.py.

`python -m torch.distributed.run ... rows_program.py FILE` leaves losses and gradients in FILE.
"""

import sys

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from scripts.train.attention import NAME
from scripts.train.batches import Batch
from scripts.train.loss import IGNORED
from scripts.train.model import token_losses
from scripts.train.processes import connected
from scripts.train.ranks import ALONE, Ranks

HEADS, GROUPS = 4, (1, 2, 4)  # query heads, and key and value heads


def batch() -> Batch:
    """Documents that end within a process's columns, at their edge, and beyond."""
    positions_BT = torch.tensor(
        [[0, 1, 2, 0, 1, 2, 3, 4], [0, 1, 2, 3, 0, 1, 2, 3], [0, 1, 2, 3, 4, 5, 6, 7]]
    )
    ids_BT = torch.randint(50, positions_BT.shape, generator=torch.Generator().manual_seed(2))
    return Batch(ids_BT, torch.where(positions_BT == 0, IGNORED, ids_BT), positions_BT)


def model(groups: int) -> PreTrainedModel:
    torch.manual_seed(1)
    config = AutoConfig.for_model(
        "qwen3", vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=HEADS, num_key_value_heads=groups, head_dim=8, use_cache=False,
    )  # fmt: skip
    made = AutoModelForCausalLM.from_config(config)
    made.set_attn_implementation(NAME)
    return made


def loss_and_gradients(groups: int, ranks: Ranks = ALONE) -> dict[str, Tensor]:
    """The sums over the processes that share the rows."""
    made = model(groups)
    loss, entropy = token_losses(made, batch(), 1e-2, ranks)
    loss.backward()
    gradients = {name: x.grad for name, x in made.named_parameters()}
    found = {"loss": loss.detach(), "entropy": entropy, **gradients}
    return {f"{groups}.{name}": ranks.sum(value) for name, value in found.items()}


def main() -> None:
    with connected(Ranks.of_launcher()):
        ranks = Ranks.of_launcher().sharing_rows(2)
        found = {
            name: x for groups in GROUPS for name, x in loss_and_gradients(groups, ranks).items()
        }
        if ranks.first:
            save_file(found, sys.argv[1])


if __name__ == "__main__":
    main()
