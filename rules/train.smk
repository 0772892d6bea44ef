"""A run is a tree of phases: each trains from its parent's weights, moments and LR.

Branches come together again in merges: phases that are the mean of others' weights.
"""


include: "inputs/train.smk"


rule train_phase:
    input:
        order=layout.order("{phase}"),
        origin=train_origin,
        tokenizer=layout.tokenizer(cfg.tokenizer.name),
        heldout=train_heldout,
        tokens=lambda wildcards: each_shard(
            layout.tokens,
            cfg.sources_of_mixture(cfg.phases[wildcards.phase].mixture),
            tokenizer_name=cfg.tokenizer.name,
        ),
    output:
        layout.phase("{phase}"),
    log:
        "results/logs/train_phase/{phase}.log",
    wildcard_constraints:
        phase="|".join(cfg.trained()),
    conda:
        "../envs/train.yaml"
    threads: 2
    resources:
        gpu=train_processes,
        # What the SLURM plugin wants to know where srun starts a phase's processes, one for each GPU.
        mpi=lambda wildcards: "srun" if srun_starts(wildcards) else None,
        tasks=lambda wildcards: train_processes(wildcards) if srun_starts(wildcards) else None,
        tasks_per_gpu=lambda wildcards: 0 if srun_starts(wildcards) else None,
        nodes=lambda wildcards: train_nodes(wildcards) if srun_starts(wildcards) else None,
    params:
        code=program("scripts.train.phase"),
        settings=train_settings,
        launcher=train_launcher,
    # SLURM sends its signals to all processes of a step: the shell and tee are not to die of them, or
    # training is killed with the shell before it has saved. Threads that wait by spinning lose several
    # times the speed on a busy machine.
    shell:
        "trap '' TERM USR1;"
        " OMP_WAIT_POLICY=PASSIVE SRUN_CPUS_PER_TASK={threads} {params.launcher}"
        " -m scripts.train.phase"
        " --phase {wildcards.phase}"
        " --settings {params.settings:q} 2>&1 | tee {log}"


rule merge_phases:
    input:
        phases=merged_phases,
        tokenizer=layout.tokenizer(cfg.tokenizer.name),
    output:
        layout.phase("{phase}"),
    log:
        "results/logs/merge_phases/{phase}.log",
    wildcard_constraints:
        phase="|".join(cfg.merges()) or "none",
    conda:
        "../envs/train.yaml"
    params:
        code=program("scripts.train.merge"),
        settings=merge_settings,
    shell:
        "python -m scripts.train.merge --phase {wildcards.phase} --settings {params.settings:q}"
        " 2>&1 | tee {log}"
