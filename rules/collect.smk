"""Sources to documents: one table per shard, a held-out split, a quarantine of what is neither."""


include: "inputs/collect.smk"


rule collect_documents:
    input:
        files=files_of_shard,
    output:
        layout.documents("{source}", "{shard}"),
    log:
        "results/logs/collect_documents/{source}/{shard}.log",
    conda:
        "../envs/curate.yaml"
    params:
        code=program("scripts.collect.documents"),
        settings=lambda wildcards: source_settings(wildcards.source),
    shell:
        "python -m scripts.collect.documents"
        " --source {wildcards.source} --shard {wildcards.shard}"
        " --settings {params.settings:q} 2>&1 | tee {log}"
