"""What the rules of `train` need to know of the configuration: their inputs and settings."""

from scripts.train.schedule import Schedule


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
    """Read every phase's LR along the tree, so that a fault in one shows before any job starts."""
    last = {None: None}
    waiting = dict(cfg.phases)
    while waiting:
        for name in [name for name, phase in waiting.items() if phase.parent in last]:
            phase = waiting.pop(name)
            inherited = last[phase.parent]
            try:
                schedule = Schedule.parse(phase.lr, tokens=phase.tokens, inherited=inherited)
            except UserError as error:
                raise WorkflowError(f"phases.{name}.lr: {error}")
            last[name] = schedule.last


check_schedules(cfg)
