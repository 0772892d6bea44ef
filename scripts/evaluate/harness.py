"""One lm-eval task on one checkpoint: the score of every item.

The task's file says what is asked and how it is scored; its data are the items artifact. lm-eval's
own guards are too weak for numbers that decide on mixtures, so that here a lost
beginning-of-sequence token and a truncated input are errors, and none of its caches is used.
"""

import logging
import math
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from scripts.common import layout
from scripts.common.artifact import Artifact, Draft, make
from scripts.common.command import parse_settings, parser, run
from scripts.common.config.base import Model
from scripts.common.errors import UserError
from scripts.evaluate import scores

if TYPE_CHECKING:
    from lm_eval.models.huggingface import HFLM

log = logging.getLogger(__name__)

# Read when the libraries are imported, which therefore happens in functions.
_ENVIRONMENT = {
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
}


class Settings(Model):
    """The batch size is fixed: an automatic one changes the rounding with the machine."""

    batch_size: int = 32


def build(
    draft: Draft, phase: Artifact, items: Artifact, definition: dict[str, Any], settings: Settings
) -> None:
    """Evaluate ``phase`` on ``items`` as the lm-eval task ``definition`` says.

    Raises UserError for an input that does not fit the model's context or lacks the
    beginning-of-sequence token.
    """
    os.environ.update(_ENVIRONMENT)
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    with tempfile.TemporaryDirectory() as cache:
        kwargs = {
            "data_files": {"test": str(items.member("items.jsonl").resolve())},
            "cache_dir": cache,
        }
        results = simple_evaluate(
            model=_model(phase, settings),
            tasks=[{**definition, "dataset_kwargs": kwargs}],
            task_manager=TaskManager(include_defaults=False),
            log_samples=True,
            bootstrap_iters=0,
        )
    task = definition["task"]
    samples = results["samples"][task]
    if len(samples) != items.counts["items"]:
        raise UserError(
            f"task {task}: lm-eval scored {len(samples)} of {items.counts['items']} items: "
            "the task's file must keep them all and have a single filter"
        )
    scores.write([score for sample in samples for score in _sample_scores(task, sample)], draft)


def read_definition(path: Path, task: str) -> dict[str, Any]:
    """Read a task's file; raises UserError if it is not the plain YAML of the task so called."""
    try:
        definition = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: write it, or drop evaluate.tasks.{task}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not plain YAML: {error}") from None
    if not isinstance(definition, dict) or definition.get("task") != task:
        raise UserError(f"{path}: write `task: {task}`, the name that it has in the configuration")
    return definition


def _model(phase: Artifact, settings: Settings) -> "HFLM":
    """Return lm-eval's model of a checkpoint, with checks on the token ids that it really gets."""
    import torch
    from lm_eval.models.huggingface import HFLM

    from scripts.evaluate.checkpoint import context_of, device

    class CheckedHFLM(HFLM):
        def _loglikelihood_tokens(self, requests: Any, *args: Any, **kwargs: Any) -> Any:
            for (query, _), context, continuation in requests:
                # The last token is predicted, never an input.
                self._check(query, [*context, *continuation][:-1], self.max_length)
            return super()._loglikelihood_tokens(requests, *args, **kwargs)

        def tok_batch_encode(
            self,
            strings: list[str],
            padding_side: str = "left",
            left_truncate_len: int | None = None,
            truncation: bool = False,
        ) -> tuple["torch.Tensor", "torch.Tensor"]:
            ids, mask = super().tok_batch_encode(strings, padding_side, truncation=truncation)
            for query, row, kept in zip(strings, ids, mask, strict=True):
                self._check(query, row[kept.bool()].tolist(), left_truncate_len or self.max_length)
            return ids, mask

        def _check(self, query: str, ids: list[int], limit: int) -> None:
            bos = self.tokenizer.bos_token_id
            if bos is not None and ids[:1] != [bos]:
                raise UserError(
                    f"{phase.folder}: the tokenizer does not start {query[:40]!r} with its bos "
                    f"token {bos}: mend its post-processor, or an item that spells out the token"
                )
            if len(ids) > limit:
                raise UserError(
                    f"{phase.folder}: {query[:40]!r} takes {len(ids)} tokens and the context "
                    f"has room for {limit}: lengthen the phase's context, or drop the task"
                )

    phase.member("config.json")
    with_bos = _has_bos(phase)
    return CheckedHFLM(
        pretrained=str(phase.folder),
        device=device(),
        dtype="float32",
        attn_implementation="sdpa",
        batch_size=settings.batch_size,
        max_length=context_of(phase),
        add_bos_token=True if with_bos else None,
        trust_remote_code=False,
    )


def _has_bos(phase: Artifact) -> bool:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(phase.folder, local_files_only=True)
    return tokenizer.bos_token_id is not None


def _sample_scores(task: str, sample: dict[str, Any]) -> list[scores.Score]:
    """Return the item's metrics, and for a choice the bits per byte of the right one.

    Those tell small models apart long before their accuracy leaves chance.
    """
    item = sample["doc"]
    found = [
        scores.Score(item["id"], item["document"], task, metric, float(sample[metric]))
        for metric in sample["metrics"]
    ]
    if "choices" in item:
        log_likelihood, _ = sample["filtered_resps"][item["gold"]]
        size = len(item["choices"][item["gold"]].encode())
        bits = -float(log_likelihood) / math.log(2) / size
        found.append(
            scores.Score(item["id"], item["document"], task, scores.BITS_PER_BYTE, bits, size)
        )
    return found


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--phase", required=True)
    command.add_argument("--task", required=True)
    command.add_argument("--task-file", required=True, type=Path)
    arguments = command.parse_args()
    settings = parse_settings(Settings, arguments.settings)
    definition = read_definition(arguments.task_file, arguments.task)
    phase, items = layout.phase(arguments.phase), layout.task_items(arguments.task)
    artifact = make(
        lambda draft: build(
            draft, Artifact.load(phase), Artifact.load(items), definition, settings
        ),
        output=layout.evaluation(arguments.phase, arguments.task),
        module="scripts.evaluate.harness",
        settings={"definition": definition, **settings.model_dump(mode="json")},
        inputs=[phase, items],
    )
    log.info("%s/%s: %s", arguments.phase, arguments.task, scores.summary(artifact.counts))


if __name__ == "__main__":
    run(main)
