"""Attributes of documents, computed once and apart from any decision on them."""


include: "inputs/annotate.smk"


rule annotate_heuristics:
    input:
        documents=layout.documents("{source}", "{shard}"),
        code=program("scripts.annotate.heuristics"),
    output:
        layout.attributes("{source}", "heuristics", "{shard}"),
    log:
        "results/logs/annotate_heuristics/{source}/{shard}.log",
    conda:
        "../envs/curate.yaml"
    params:
        settings=settings({}),
    shell:
        "python -m scripts.annotate.heuristics --source {wildcards.source} --shard {wildcards.shard}"
        " --settings {params.settings:q} 2>&1 | tee {log}"


rule annotate_rater:
    input:
        documents=lambda wildcards: each_shard(layout.documents, sources_of_rater(wildcards.rater)),
        code=program("scripts.annotate.rater"),
    output:
        layout.rater("{rater}"),
    log:
        "results/logs/annotate_rater/{rater}.log",
    conda:
        "../envs/curate.yaml"
    params:
        settings=lambda wildcards: settings(
            {
                "rater": cfg.raters[wildcards.rater].model_dump(mode="json"),
                "shards": {
                    source: len(cfg.shards(source)) for source in sources_of_rater(wildcards.rater)
                },
            }
        ),
    shell:
        "python -m scripts.annotate.rater --rater {wildcards.rater}"
        " --settings {params.settings:q} 2>&1 | tee {log}"


rule annotate_quality:
    input:
        documents=layout.documents("{source}", "{shard}"),
        rater=layout.rater("{rater}"),
        code=program("scripts.annotate.quality"),
    output:
        layout.attributes("{source}", "{rater}", "{shard}"),
    log:
        "results/logs/annotate_quality/{source}/{rater}/{shard}.log",
    conda:
        "../envs/curate.yaml"
    params:
        settings=settings({}),
    shell:
        "python -m scripts.annotate.quality --source {wildcards.source} --shard {wildcards.shard}"
        " --rater {wildcards.rater} --settings {params.settings:q} 2>&1 | tee {log}"
