"""Sources to documents: one table per shard, a held-out split, a quarantine of what is neither."""


include: "inputs/collect.smk"


rule collect_documents:
    input:
        files=files_of_shard,
        code=program("scripts.collect.documents"),
    output:
        layout.documents("{source}", "{shard}"),
    log:
        "results/logs/collect_documents/{source}/{shard}.log",
    conda:
        "../envs/curate.yaml"
    params:
        settings=lambda wildcards: settings(
            {
                "source": cfg.sources[wildcards.source].model_dump(mode="json"),
                "heldout": cfg.heldout.model_dump(include={"fraction"}),
            }
        ),
    shell:
        "python -m scripts.collect.documents"
        " --source {wildcards.source} --shard {wildcards.shard}"
        " --settings {params.settings:q} 2>&1 | tee {log}"
