"""Which documents hold what the evaluations ask: an index of items, a scan of each shard."""


rule decontaminate_index:
    input:
        task=[layout.task_items(task) for task in cfg.item_tasks()],
        code=program("scripts.decontaminate.index"),
    output:
        layout.contamination_index(),
    log:
        "results/logs/decontaminate_index.log",
    conda:
        "../envs/curate.yaml"
    params:
        settings=settings(
            {"ngram_words": cfg.decontaminate.ngram_words, "tasks": sorted(cfg.item_tasks())}
        ),
    shell:
        "python -m scripts.decontaminate.index --settings {params.settings:q} 2>&1 | tee {log}"


rule decontaminate_scan:
    input:
        documents=layout.documents("{source}", "{shard}"),
        index=layout.contamination_index(),
        code=program("scripts.decontaminate.scan"),
    output:
        layout.attributes("{source}", "contamination", "{shard}"),
    log:
        "results/logs/decontaminate_scan/{source}/{shard}.log",
    conda:
        "../envs/curate.yaml"
    params:
        settings=settings(cfg.decontaminate),
    shell:
        "python -m scripts.decontaminate.scan --source {wildcards.source}"
        " --shard {wildcards.shard} --settings {params.settings:q} 2>&1 | tee {log}"
