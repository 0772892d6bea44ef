"""Several phases, one after the other, by the same processes: to start these costs most.

`python -m torch.distributed.run ... phases_program.py SETTINGS`, JSON by phase.
"""

import json
import sys

from torch.distributed import PrefixStore

from scripts.train import phase
from scripts.train.processes import Word, connected
from scripts.train.ranks import Ranks


def main() -> None:
    ranks = Ranks.of_launcher()
    with connected(ranks) as word:
        for name, values in json.loads(sys.argv[1]).items():
            settings = phase.Settings.model_validate(values)
            sharing = ranks.sharing_rows(settings.engine.sequence_ranks)
            work = phase._lead if ranks.first else phase._follow
            work(name, settings, sharing, Word(PrefixStore(name, word._store)))


if __name__ == "__main__":
    main()
