"""Items from held-out documents, scores of every checkpoint, comparisons of pairs."""


include: "inputs/evaluate.smk"


rule evaluate_items:
    input:
        documents=lambda wildcards: each_shard(
            layout.documents, cfg.evaluate.tasks[wildcards.task].sources
        ),
    output:
        layout.task_items("{task}"),
    log:
        "results/logs/evaluate_items/{task}.log",
    wildcard_constraints:
        task="|".join(tasks_of("lm-eval")) or "none",
    conda:
        "../envs/curate.yaml"
    params:
        code=program("scripts.evaluate.items"),
        settings=lambda wildcards: task_settings(
            wildcards.task, cfg.evaluate.tasks[wildcards.task].sources
        ),
    shell:
        "python -m scripts.evaluate.items --task {wildcards.task}"
        " --settings {params.settings:q} 2>&1 | tee {log}"


rule evaluate_harness:
    input:
        phase=layout.phase("{phase}"),
        task=layout.task_items("{task}"),
        task_file=house("config/tasks/{task}.yaml"),
    output:
        layout.evaluation("{phase}", "{task}"),
    log:
        "results/logs/evaluate_harness/{phase}/{task}.log",
    wildcard_constraints:
        task="|".join(tasks_of("lm-eval")) or "none",
    conda:
        "../envs/evaluate.yaml"
    params:
        code=program("scripts.evaluate.harness"),
        settings=settings({}),
    shell:
        "python -m scripts.evaluate.harness --phase {wildcards.phase} --task {wildcards.task}"
        " --task-file {input.task_file:q} --settings {params.settings:q} 2>&1 | tee {log}"


rule evaluate_bits_per_byte:
    input:
        phase=layout.phase("{phase}"),
        documents=all_shards(layout.documents),
    output:
        layout.evaluation("{phase}", "{task}"),
    log:
        "results/logs/evaluate_bits_per_byte/{phase}/{task}.log",
    wildcard_constraints:
        task="|".join(tasks_of("bits-per-byte")) or "none",
    conda:
        "../envs/evaluate.yaml"
    params:
        code=program("scripts.evaluate.bits_per_byte"),
        settings=lambda wildcards: task_settings(
            wildcards.task,
            cfg.sources,
            domains={name: source.domain for name, source in cfg.sources.items()},
        ),
    shell:
        "python -m scripts.evaluate.bits_per_byte --phase {wildcards.phase}"
        " --task {wildcards.task} --settings {params.settings:q} 2>&1 | tee {log}"


rule evaluate_position_loss:
    input:
        phase=layout.phase("{phase}"),
        documents=all_shards(layout.documents),
    output:
        layout.evaluation("{phase}", "{task}"),
    log:
        "results/logs/evaluate_position_loss/{phase}/{task}.log",
    wildcard_constraints:
        task="|".join(tasks_of("position-loss")) or "none",
    conda:
        "../envs/evaluate.yaml"
    params:
        code=program("scripts.evaluate.position_loss"),
        settings=lambda wildcards: task_settings(wildcards.task, cfg.sources),
    shell:
        "python -m scripts.evaluate.position_loss --phase {wildcards.phase}"
        " --task {wildcards.task} --settings {params.settings:q} 2>&1 | tee {log}"


rule evaluate_compare:
    input:
        evaluations=expand(
            layout.evaluation("{phase}", "{task}"),
            phase=sorted({*cfg.evaluate.compare, *sum(cfg.evaluate.compare.values(), [])}),
            task=list(cfg.evaluate.tasks),
        ),
    output:
        layout.comparison(),
    log:
        "results/logs/evaluate_compare.log",
    conda:
        "../envs/curate.yaml"
    params:
        code=program("scripts.evaluate.compare"),
        settings=settings(comparison_settings()),
    shell:
        "python -m scripts.evaluate.compare --settings {params.settings:q} 2>&1 | tee {log}"
