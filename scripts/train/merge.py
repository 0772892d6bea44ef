"""Merge phases: the weighted mean of their weights, as a phase that others can start from.

A soup of anneals over several orders of the data, as OLMo 2's (arXiv:2501.00656), or a window of
one run's checkpoints, as Nemotron 3 Super's (arXiv:2604.12374). Leaves what a trained phase does,
without moments, which belong to one run, and without metrics.
"""

import json
import logging
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from scripts.common import canonical, layout
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Name
from scripts.common.config.train import Merge
from scripts.common.errors import UserError
from scripts.common.tensor_file import count_parameters
from scripts.train.course import Clock
from scripts.train.mean import write_mean

log = logging.getLogger(__name__)

# What configurations of families and of versions of transformers call the RoPE's.
_ROPE = {"rope_parameters", "rope_scaling", "rope_theta"}
_CONTEXT = "max_position_embeddings"
_MAY_DIFFER = {_CONTEXT, "transformers_version"}


class Settings(Merge):
    tokenizer: Name  # of all the phases


def build(
    draft: Draft, phases: Mapping[str, Artifact], tokenizer: Artifact, shares: Mapping[str, float]
) -> None:
    """Write the mean of ``phases``, each with its share of it, into ``draft``.

    Raises UserError for phases of different models, or of different RoPE bases.
    """
    config = _common_config(phases)
    draft.path("config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    _copy(tokenizer, tokenizer.content["members"], draft)
    first = next(iter(phases.values()))
    _copy(first, {"generation_config.json"} & first.content["members"].keys(), draft)
    weights = draft.path("model.safetensors")
    write_mean(weights, {one.member(weights.name): shares[name] for name, one in phases.items()})
    record = _trainer_record([_read_json(phase, "trainer.json") for phase in phases.values()])
    draft.path("trainer.json").write_text(canonical.dumps(record) + "\n")
    draft.counts = {**record, "parameters": count_parameters(weights)}


def _copy(artifact: Artifact, names: Iterable[str], draft: Draft) -> None:
    for name in names:
        shutil.copyfile(artifact.member(name), draft.path(name))


def _common_config(phases: Mapping[str, Artifact]) -> dict[str, Any]:
    """Return the configuration of the phases' model; its context is what all were trained for."""
    (first, config), *others = (
        (name, _read_json(phase, "config.json")) for name, phase in phases.items()
    )
    for name, other in others:
        unlike = {key for key in config.keys() | other.keys() if config.get(key) != other.get(key)}
        if told := unlike & _ROPE:
            raise UserError(
                f"{first!r} and {name!r} have different {', '.join(sorted(told))}: weights for "
                "different RoPE bases have no meaningful mean; merge phases of one `rope`"
            )
        if told := unlike - _MAY_DIFFER:
            raise UserError(
                f"{first!r} and {name!r} have different {', '.join(sorted(told))} in config.json: "
                "merge phases of one model"
            )
        config[_CONTEXT] = min(config[_CONTEXT], other[_CONTEXT])
    return config


def _trainer_record(merged: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a trainer's record without training; totals are those of the longest line."""
    clock = Clock.common([Clock.model_validate(record["clock"]) for record in merged])
    return {
        "clock": clock.model_dump(),
        "last_lr": clock.lr,
        "steps": 0,
        "tokens": 0,
        "total_steps": max(record["total_steps"] for record in merged),
        "total_tokens": max(record["total_tokens"] for record in merged),
    }


def _read_json(artifact: Artifact, name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(artifact.member(name).read_bytes())
    return record


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--phase", required=True)
    arguments = command.parse_args()
    settings = parse_settings(Settings, arguments.settings)
    phases = {name: Artifact.load(layout.phase(name)) for name in settings.origins}
    tokenizer = Artifact.load(layout.tokenizer(settings.tokenizer))
    made = make(
        lambda draft: build(draft, phases, tokenizer, settings.merge),
        output=layout.phase(arguments.phase),
        module="scripts.train.merge",
        settings=settings.model_dump(mode="json"),
        inputs=[tokenizer.path, *(phase.path for phase in phases.values())],
    )
    told = ", ".join(f"{share:.1%} {name}" for name, share in settings.merge.items())
    parameters = f"{made.counts['parameters']:,}"
    log.info("%s: %s parameters, the mean of %s", arguments.phase, parameters, told)


if __name__ == "__main__":
    run(main)
