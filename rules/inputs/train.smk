"""What the rules of `train` need to know of the configuration: their inputs and settings."""

from scripts.train.course import courses


def train_settings(wildcards):
    """A phase's settings, without those that only its order depends on."""
    phase = cfg.phases[wildcards.phase]
    return settings(
        {
            **phase.model_dump(mode="json", exclude={"mixture", "max_epochs", "seed"}),
            "model": cfg.model.model_dump(mode="json") if phase.parent is None else None,
            "tokenizer": cfg.tokenizer.name,
            "tracking": cfg.tracking.model_dump(mode="json"),
        }
    )


def train_launcher(wildcards):
    """What starts a phase's processes, where they are several or one needs DeepSpeed."""
    engine = cfg.phases[wildcards.phase].engine
    if engine.processes == 1 and engine.stage == 0:
        return ""
    return f"-m torch.distributed.run --standalone --nproc-per-node {engine.processes}"


def train_heldout(wildcards):
    """The held-out text that a phase is measured on, if it is."""
    measured = cfg.phases[wildcards.phase].heldout_tokens is not None
    return [layout.heldout_tokens(cfg.tokenizer.name)] if measured else []


def train_origin(wildcards):
    """What a phase's weights come from: its parent, a checkpoint's files, or nothing."""
    parent = cfg.phases[wildcards.phase].parent
    if parent is not None:
        return [layout.phase(parent)]
    return [f"{cfg.model.path}/config.json"] if cfg.model.path else []


def merged_phases(wildcards):
    return list(map(layout.phase, cfg.phases[wildcards.phase].origins))


def merge_settings(wildcards):
    merge = cfg.phases[wildcards.phase].merge
    return settings({"merge": merge, "tokenizer": cfg.tokenizer.name})


def check_schedules(cfg):
    """Read every phase's LR and ramps along the tree: a fault shows before any job starts."""
    try:
        courses(cfg.phases)
    except UserError as error:
        raise WorkflowError(str(error))


check_schedules(cfg)
