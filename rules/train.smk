"""A run is a tree of phases: each trains from its parent's weights, moments and LR."""


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


rule train_phase:
    input:
        order=layout.order("{phase}"),
        origin=train_origin,
        tokenizer=layout.tokenizer(cfg.tokenizer.name),
        tokens=lambda wildcards: each_shard(
            layout.tokens,
            cfg.sources_of_mixture(cfg.phases[wildcards.phase].mixture),
            tokenizer_name=cfg.tokenizer.name,
        ),
        code=program("scripts.train.phase"),
    output:
        layout.phase("{phase}"),
    log:
        "results/logs/train_phase/{phase}.log",
    threads: 2
    params:
        settings=train_settings,
    shell:
        "python -m scripts.train.phase --phase {wildcards.phase}"
        " --settings {params.settings:q} 2>&1 | tee {log}"
