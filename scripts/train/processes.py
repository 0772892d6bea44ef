"""The processes of one run: they find each other, start together and end together.

The launcher keeps a store of a few words that all of them read and write, so that one can wait for
another for as long as it takes, and the first one that fails is the only one that says why.
"""

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta

import torch
from torch import distributed
from torch.distributed import HashStore, Store

from scripts.common.config.train import Engine
from scripts.common.errors import UserError
from scripts.train.ranks import Ranks

_PATIENCE = timedelta(days=7)  # with the first process, which may have much to verify
_SILENCE = timedelta(hours=1)  # between processes that compute: the first may write weights


class Word:
    """What the first process tells the others once: the key of the run to train, or to leave."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def give(self, key: str) -> None:
        self._store.set("word", key)

    @contextlib.contextmanager
    def to_be_given(self) -> Iterator[None]:
        """Let the others leave if the word was not given by the end of this, whatever ended it."""
        try:
            yield
        finally:
            if not self._store.check(["word"]):
                self.give("")

    def heard(self) -> str | None:
        """Wait for the word; return the key, or None if there is nothing to train."""
        self._store.set_timeout(_PATIENCE)
        return self._store.get("word").decode() or None


@contextlib.contextmanager
def connected(ranks: Ranks) -> Iterator[Word]:
    """Connect the processes, over NCCL on GPUs and else over Gloo, and yield what they listen to.

    If one fails, others fail in consequence: all but the first end with status 1 and no message.
    """
    if not _launched():
        yield Word(HashStore())
        return
    store, _, _ = next(distributed.rendezvous("env://"))
    if ranks.device.type == "cuda":
        torch.cuda.set_device(ranks.device)
    distributed.init_process_group(
        "nccl" if ranks.device.type == "cuda" else "gloo",
        store=store,
        rank=ranks.rank,
        world_size=ranks.world,
        timeout=_SILENCE,
    )
    try:
        yield Word(store)
    except Exception:
        if store.add("failures", 1) > 1:
            raise SystemExit(1) from None
        raise
    # Only if nothing failed: else it waits for what the others will never send.
    distributed.destroy_process_group()


def check_launch(engine: Engine, ranks: Ranks) -> None:
    """Raise UserError unless the launcher started what ``engine`` asks for."""
    if ranks.world % engine.processes or (engine.stage and not _launched()):
        raise UserError(
            f"engine: {engine.processes} processes at ZeRO stage {engine.stage}, but {ranks.world} "
            "started: begin the command with `python -m torch.distributed.run --standalone "
            f"--nproc-per-node {engine.processes} -m scripts.train.phase`"
        )


def _launched() -> bool:
    return "WORLD_SIZE" in os.environ
