"""Which documents hold what the evaluations ask: an index of items, a scan of each shard.

What all scans found tells which items are in the corpus, and copies planted on purpose how many of
their kind the rules find.
"""


include: "inputs/decontaminate.smk"


rule decontaminate_index:
    input:
        task=[layout.task_items(task) for task in cfg.item_tasks()],
        benchmarks=benchmark_files(cfg.decontaminate.benchmarks),
        encoders=decontaminate_encoder_files,
    output:
        layout.contamination_index(),
    log:
        "results/logs/decontaminate_index.log",
    conda:
        "../envs/curate.yaml"
    params:
        code=program("scripts.decontaminate.index"),
        settings=settings(
            {
                "tasks": sorted(cfg.item_tasks()),
                "benchmarks": {
                    name: one.model_dump(mode="json")
                    for name, one in cfg.decontaminate.benchmarks.items()
                },
                "ngram_words": cfg.decontaminate.ngram_words,
                "template_items": cfg.decontaminate.template_items,
                "encoders": decontaminate_encoders,
            }
        ),
    shell:
        "python -m scripts.decontaminate.index --settings {params.settings:q} 2>&1 | tee {log}"


rule decontaminate_scan:
    input:
        documents=layout.documents("{source}", "{shard}"),
        index=layout.contamination_index(),
    output:
        layout.attributes("{source}", "contamination", "{shard}"),
    log:
        "results/logs/decontaminate_scan/{source}/{shard}.log",
    conda:
        "../envs/curate.yaml"
    params:
        code=program("scripts.decontaminate.scan"),
        settings=settings(decontaminate_rules),
    shell:
        "python -m scripts.decontaminate.scan --source {wildcards.source}"
        " --shard {wildcards.shard} --settings {params.settings:q} 2>&1 | tee {log}"


rule decontaminate_items:
    input:
        index=layout.contamination_index(),
        scans=all_shards(layout.attributes, name="contamination"),
    output:
        layout.contamination_items(),
    log:
        "results/logs/decontaminate_items.log",
    conda:
        "../envs/curate.yaml"
    params:
        code=program("scripts.decontaminate.flagged"),
        settings=settings({**decontaminate_rules, "shards": cfg.source_shards()}),
    shell:
        "python -m scripts.decontaminate.flagged --settings {params.settings:q} 2>&1 | tee {log}"


rule decontaminate_planted:
    input:
        index=layout.contamination_index(),
        documents=all_shards(layout.documents),
        negatives=benchmark_files(cfg.decontaminate.planted.negatives),
    output:
        layout.contamination_planted(),
    log:
        "results/logs/decontaminate_planted.log",
    conda:
        "../envs/curate.yaml"
    params:
        code=program("scripts.decontaminate.planted"),
        settings=settings(
            {
                **decontaminate_rules,
                "planted": cfg.decontaminate.planted.model_dump(mode="json"),
                "shards": cfg.source_shards(),
            }
        ),
    shell:
        "python -m scripts.decontaminate.planted --settings {params.settings:q} 2>&1 | tee {log}"
