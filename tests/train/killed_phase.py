"""scripts.train.phase, in which the last of its processes is killed behind a step or in its save.

Its own two arguments come first: the step, and `step` or `save`.
"""

import os
import signal
import sys
from pathlib import Path

from scripts.common.command import run
from scripts.train import loop, phase, state


def main() -> None:
    step, where = int(sys.argv.pop(1)), sys.argv.pop(1)
    if os.environ.get("RANK", "0") == str(int(os.environ.get("WORLD_SIZE", "1")) - 1):
        (_die_in_save if where == "save" else _die_behind)(step)
    run(phase.main)


def _die_behind(step: int) -> None:
    take = loop.Trainer.step

    def killed(self: loop.Trainer) -> None:
        take(self)
        if self.state.step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    loop.Trainer.step = killed


def _die_in_save(step: int) -> None:
    """Half of the tensors are on the disk then, and the checkpoint's last file is not."""
    save, sync = state.TrainState.save, state.sync

    def killed(self: state.TrainState, folder: Path) -> None:
        def die(path: Path) -> None:
            if self.step == step and path.name.startswith("optimizer"):
                os.kill(os.getpid(), signal.SIGKILL)
            sync(path)

        state.sync = die
        save(self, folder)

    state.TrainState.save = killed


if __name__ == "__main__":
    main()
