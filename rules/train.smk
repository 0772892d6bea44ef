"""A run is a tree of phases: each trains from its parent's weights, moments and LR."""


include: "inputs/train.smk"


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
    conda:
        "../envs/train.yaml"
    threads: 2
    params:
        settings=train_settings,
    shell:  # threads that wait by spinning lose several times the speed on a busy machine
        "OMP_WAIT_POLICY=PASSIVE python -m scripts.train.phase --phase {wildcards.phase}"
        " --settings {params.settings:q} 2>&1 | tee {log}"
