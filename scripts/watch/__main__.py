"""Tell where the last run of Snakemake in this folder stands: rules, jobs, failures.

``python -m scripts.watch`` while it runs, or after; ``watch -n 30 python -m scripts.watch`` goes on
telling. On SLURM it asks `sacct` for what the jobs took; elsewhere it goes by what the programs
have recorded beside their artifacts.
"""

import argparse
from pathlib import Path

from scripts.common.command import run
from scripts.watch.history import History
from scripts.watch.table import Watched, table


def main() -> None:
    arguments = _arguments()
    history = History.latest() if arguments.journal is None else History.read(arguments.journal)
    if arguments.failures:
        texts = [attempt.failure for attempt in history.attempts if attempt.failure]
        print("\n\n".join(dict.fromkeys(texts)) or "no job has failed")
    else:
        print(table(Watched.of(history)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.watch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--failures", action="store_true", help="the messages of all that failed")
    parser.add_argument("--journal", type=Path, help="another run's (default: the last one)")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
