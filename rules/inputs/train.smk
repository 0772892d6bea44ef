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


def train_processes(wildcards):
    return cfg.phases[wildcards.phase].engine.processes


def gpus_per_node():
    """What the profile says of the nodes that train, where jobs are SLURM's; else None."""
    said = workflow.resource_settings.overwrite_resources.get("train_phase", {})
    return said["gpus_per_node"].value if "gpus_per_node" in said else None


def srun_starts(wildcards):
    """Whether srun starts a phase's processes: on one node too, as it passes signals on to each.

    torchrun would kill them 30 seconds after a SIGTERM, whether or not they have saved.
    """
    return train_processes(wildcards) > 1 and gpus_per_node() is not None


def train_nodes(wildcards):
    """The nodes that a phase's processes fill; WorkflowError if they leave GPUs of one unused."""
    processes, each = train_processes(wildcards), gpus_per_node()
    if processes > each and processes % each:
        raise WorkflowError(
            f"phases.{wildcards.phase}.engine.processes: {processes} do not fill nodes of {each} "
            "GPUs (gpus_per_node of train_phase in the profile): take a multiple of that"
        )
    return max(1, processes // each)


def train_launcher(wildcards):
    """What a phase's program is run by: Python alone, or what starts several processes."""
    engine = cfg.phases[wildcards.phase].engine
    if srun_starts(wildcards):
        nodes = train_nodes(wildcards)
        return f"srun --nodes={nodes} --ntasks={engine.processes} --kill-on-bad-exit=1 python"
    if engine.processes == 1 and engine.stage == 0:
        return "python"
    return f"python -m torch.distributed.run --standalone --nproc-per-node {engine.processes}"


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
