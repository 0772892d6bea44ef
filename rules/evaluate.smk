"""Items from held-out documents, scores of every checkpoint, comparisons of pairs."""


def task_settings(task, sources, **more):
    """What concerns one task: its own settings and the shards of the sources that it reads."""
    return settings(
        {
            "task": cfg.evaluate.tasks[task].model_dump(mode="json"),
            "shards": {source: len(cfg.shards(source)) for source in sources},
            **more,
        }
    )


def tasks_of(kind):
    return [name for name, task in cfg.evaluate.tasks.items() if task.kind == kind]


def comparison_settings():
    return {
        "tasks": list(cfg.evaluate.tasks),
        "compare": cfg.evaluate.compare,
        "retention": {
            "tasks": tasks_of("bits-per-byte"),
            "domains": cfg.evaluate.retention_domains,
            "margin": cfg.evaluate.retention_margin,
        },
        "confidence": cfg.evaluate.confidence,
    }


rule build_items:
    input:
        documents=lambda wildcards: each_shard(
            layout.documents, cfg.evaluate.tasks[wildcards.task].sources
        ),
        code=program("scripts.evaluate.items"),
    output:
        layout.task_items("{task}"),
    log:
        "results/logs/build_items/{task}.log",
    wildcard_constraints:
        task="|".join(tasks_of("lm-eval")) or "none",
    params:
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
        task_file=os.path.join(os.path.relpath(workflow.basedir), "config", "tasks", "{task}.yaml"),
        code=program("scripts.evaluate.harness"),
    output:
        layout.evaluation("{phase}", "{task}"),
    log:
        "results/logs/evaluate_harness/{phase}/{task}.log",
    wildcard_constraints:
        task="|".join(tasks_of("lm-eval")) or "none",
    params:
        settings=settings({}),
    shell:
        "python -m scripts.evaluate.harness --phase {wildcards.phase} --task {wildcards.task}"
        " --task-file {input.task_file:q} --settings {params.settings:q} 2>&1 | tee {log}"


rule evaluate_bits_per_byte:
    input:
        phase=layout.phase("{phase}"),
        documents=each_shard(layout.documents),
        code=program("scripts.evaluate.bits_per_byte"),
    output:
        layout.evaluation("{phase}", "{task}"),
    log:
        "results/logs/evaluate_bits_per_byte/{phase}/{task}.log",
    wildcard_constraints:
        task="|".join(tasks_of("bits-per-byte")) or "none",
    params:
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
        documents=each_shard(layout.documents),
        code=program("scripts.evaluate.position_loss"),
    output:
        layout.evaluation("{phase}", "{task}"),
    log:
        "results/logs/evaluate_position_loss/{phase}/{task}.log",
    wildcard_constraints:
        task="|".join(tasks_of("position-loss")) or "none",
    params:
        settings=lambda wildcards: task_settings(wildcards.task, cfg.sources),
    shell:
        "python -m scripts.evaluate.position_loss --phase {wildcards.phase}"
        " --task {wildcards.task} --settings {params.settings:q} 2>&1 | tee {log}"


rule compare:
    input:
        evaluations=expand(
            layout.evaluation("{phase}", "{task}"),
            phase=sorted({*cfg.evaluate.compare, *sum(cfg.evaluate.compare.values(), [])}),
            task=list(cfg.evaluate.tasks),
        ),
        code=program("scripts.evaluate.compare"),
    output:
        layout.comparison(),
    log:
        "results/logs/compare.log",
    params:
        settings=settings(comparison_settings()),
    shell:
        "python -m scripts.evaluate.compare --settings {params.settings:q} 2>&1 | tee {log}"
