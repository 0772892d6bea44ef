"""Rows that two processes share, against rows of one."""

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from scripts.common.batch_plan import BatchPlan
from scripts.common.errors import UserError
from scripts.train.attention import Documents
from scripts.train.ranks import Ranks
from scripts.train.sequence import check_sharing
from tests.train.launch import PROGRAMS, launched
from tests.train.rows_program import GROUPS, batch, loss_and_gradients, model


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    file = tmp_path_factory.mktemp("rows") / "found.safetensors"
    done = launched(2, str(PROGRAMS / "rows_program.py"), str(file))
    assert done.returncode == 0, done.stderr
    return load_file(file)


@pytest.mark.parametrize("groups", GROUPS)
def test_losses_and_gradients_are_those_of_whole_rows(
    groups: int, shared: dict[str, Tensor]
) -> None:
    """With fewer key and value heads than processes, as many, and more."""
    alone = loss_and_gradients(groups)
    assert alone.keys() == {name for name in shared if name.startswith(f"{groups}.")}
    for name, value in alone.items():
        torch.testing.assert_close(shared[name], value, rtol=1e-5, atol=2e-6)


def test_attention_that_is_not_exchanged_is_another(
    shared: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A control: each process by itself, with documents cut where its columns begin."""
    entropy = 0.0
    for rank in (0, 1):
        ranks = Ranks(rank, world=1, sequence=2)
        own_BT = batch().position_ids_BT[:, ranks.columns(8)].clone()
        own_BT[:, 0] = 0
        cut = Documents.of(own_BT)
        with monkeypatch.context() as patched:
            patched.setattr(Documents, "of", lambda *_, cut=cut: cut)
            entropy += float(loss_and_gradients(2, ranks)["2.entropy"])
    assert abs(entropy / float(shared["2.entropy"]) - 1) > 1e-3


@pytest.mark.parametrize(
    ("processes", "length", "message"),
    [
        (3, 12, "3 processes cannot share this model's 4 query and 2 key and value heads"),
        (2, 9, "2 processes cannot share a context of 9 tokens"),
    ],
)
def test_what_cannot_be_shared_is_named(processes: int, length: int, message: str) -> None:
    plan = BatchPlan.of(length * 10, f"Constant({length})", f"Constant({length})")
    with pytest.raises(UserError, match=message):
        check_sharing(model(2).config, plan, processes)
