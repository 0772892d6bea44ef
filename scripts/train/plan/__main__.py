"""Tell what a configuration's training will take: memory by part, tokens per GPU-hour, days.

``python -m scripts.train.plan --config config/config.yaml --gpu H100 --nodes 4``

Time follows from the MFU, the share of the GPU's FLOP/s that goes into the model's own arithmetic:
give what a run has logged. How much that arithmetic is depends on the lengths of the documents,
which are read from each phase's order where that is made, and else assumed to be half the context.
"""

import argparse
import json
from pathlib import Path

from scripts.common.command import run


def main() -> None:
    arguments = _arguments()
    # Torch takes seconds to import, which a wrong argument need not wait for.
    from transformers.utils import logging

    from scripts.train.gpus import named
    from scripts.train.plan import report
    from scripts.train.plan.estimate import Cluster
    from scripts.train.plan.inputs import read_config
    from scripts.train.plan.phases import planned_phases

    logging.set_verbosity_error()
    cluster = Cluster(named(arguments.gpu), arguments.nodes, arguments.mfu)
    config = read_config(arguments.config)
    planned = planned_phases(config, cluster, arguments.document_length)
    if arguments.json:
        print(json.dumps(report.records(planned), indent=2))
    else:
        print(report.table(config.title, cluster, planned))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train.plan",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--gpu", required=True, help='such as H100, "H100 PCIe" or "A100 40GB"')
    parser.add_argument("--nodes", type=_count, default=1, help="of engine.processes GPUs each")
    parser.add_argument("--mfu", type=_share, default=0.45, help="default: %(default)s")
    parser.add_argument(
        "--document-length", type=_count, metavar="TOKENS", help="sum(l^2) / sum(l) over documents"
    )
    parser.add_argument("--json", action="store_true", help="in tokens, bytes, hours and days")
    return parser.parse_args()


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share: give 0.45 for 45%")
    return value


if __name__ == "__main__":
    run(main)
