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
        }
    )


def train_origin(wildcards):
    """What a phase's weights come from: its parent, a checkpoint's files, or nothing."""
    parent = cfg.phases[wildcards.phase].parent
    if parent is not None:
        return [layout.phase(parent)]
    return [f"{cfg.model.path}/config.json"] if cfg.model.path else []


def check_schedules(cfg):
    """Read every phase's LR and ramps along the tree: a fault shows before any job starts."""
    try:
        courses(cfg.phases)
    except UserError as error:
        raise WorkflowError(str(error))


check_schedules(cfg)
