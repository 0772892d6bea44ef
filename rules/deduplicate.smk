"""Which documents say the same: signatures of each shard, clusters over all of them."""


rule deduplicate_signatures:
    input:
        documents=layout.documents("{source}", "{shard}"),
        code=program("scripts.deduplicate.signatures"),
    output:
        layout.signatures("{source}", "{shard}"),
    log:
        "results/logs/deduplicate_signatures/{source}/{shard}.log",
    conda:
        "../envs/curate.yaml"
    params:
        settings=settings(
            {
                "shingle_words": cfg.deduplicate.shingle_words,
                "permutations": cfg.deduplicate.bands * cfg.deduplicate.rows,
                "seed": cfg.deduplicate.seed,
            }
        ),
    shell:
        "python -m scripts.deduplicate.signatures --source {wildcards.source}"
        " --shard {wildcards.shard} --settings {params.settings:q} 2>&1 | tee {log}"


rule deduplicate_clusters:
    input:
        signatures=each_shard(layout.signatures),
        code=program("scripts.deduplicate.clusters"),
    output:
        layout.duplicates(),
    log:
        "results/logs/deduplicate_clusters.log",
    conda:
        "../envs/curate.yaml"
    params:
        settings=settings(
            {
                "bands": cfg.deduplicate.bands,
                "rows": cfg.deduplicate.rows,
                "preference": cfg.deduplicate.preference,
                "shards": cfg.source_shards(),
            }
        ),
    shell:
        "python -m scripts.deduplicate.clusters --settings {params.settings:q} 2>&1 | tee {log}"
