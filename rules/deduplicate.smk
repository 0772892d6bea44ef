"""Which documents say the same: signatures of each shard, clusters over all of them."""


include: "inputs/deduplicate.smk"


rule deduplicate_signatures:
    input:
        documents=layout.documents("{source}", "{shard}"),
    output:
        layout.signatures("{source}", "{shard}"),
    log:
        "results/logs/deduplicate_signatures/{source}/{shard}.log",
    conda:
        "../envs/curate.yaml"
    params:
        code=program("scripts.deduplicate.signatures"),
        settings=settings(
            {
                "shingle_words": cfg.deduplicate.shingle_words,
                "permutations": cfg.deduplicate.banding.signature_length,
                "seed": cfg.deduplicate.seed,
            }
        ),
    shell:
        "python -m scripts.deduplicate.signatures --source {wildcards.source}"
        " --shard {wildcards.shard} --settings {params.settings:q} 2>&1 | tee {log}"


# One job for all bands: it reads the signatures once, and the union-find is one anyway. A job for
# each band would read all of them again to compare the documents that share a bucket.
rule deduplicate_clusters:
    input:
        signatures=all_shards(layout.signatures),
        semantic=layout.semantic_clusters() if cfg.deduplicate.semantic else [],
    output:
        layout.duplicates(),
    log:
        "results/logs/deduplicate_clusters.log",
    conda:
        "../envs/curate.yaml"
    params:
        code=program("scripts.deduplicate.clusters"),
        settings=settings(
            {
                "bands": cfg.deduplicate.banding.bands,
                "rows": cfg.deduplicate.banding.rows,
                "permutations": cfg.deduplicate.banding.signature_length,
                "threshold": cfg.deduplicate.banding.similarity,
                "semantic": cfg.deduplicate.semantic is not None,
                **deduplicate_order,
            }
        ),
    shell:
        "python -m scripts.deduplicate.clusters --settings {params.settings:q} 2>&1 | tee {log}"


rule deduplicate_embeddings:
    input:
        documents=layout.documents("{source}", "{shard}"),
        encoder=deduplicate_encoder,
    output:
        layout.embeddings("{source}", "{shard}"),
    log:
        "results/logs/deduplicate_embeddings/{source}/{shard}.log",
    conda:
        "../envs/curate.yaml"
    threads: 4
    params:
        code=program("scripts.deduplicate.embeddings"),
        settings=settings(deduplicate_semantic.model_dump(include={"path", "max_tokens"})),
    shell:
        "OMP_NUM_THREADS={threads} python -m scripts.deduplicate.embeddings"
        " --source {wildcards.source} --shard {wildcards.shard}"
        " --settings {params.settings:q} 2>&1 | tee {log}"


rule deduplicate_semantic:
    input:
        signatures=all_shards(layout.signatures),
        embeddings=all_shards(layout.embeddings),
    output:
        layout.semantic_clusters(),
    log:
        "results/logs/deduplicate_semantic.log",
    conda:
        "../envs/curate.yaml"
    threads: 4
    params:
        code=program("scripts.deduplicate.semantic"),
        settings=settings(
            {
                **deduplicate_semantic.model_dump(include={"clusters", "threshold", "seed"}),
                **deduplicate_order,
            }
        ),
    shell:
        "OPENBLAS_NUM_THREADS={threads} python -m scripts.deduplicate.semantic"
        " --settings {params.settings:q} 2>&1 | tee {log}"


rule deduplicate_lines:
    input:
        documents=layout.documents("{source}", "{shard}"),
    output:
        layout.lines("{source}", "{shard}"),
    log:
        "results/logs/deduplicate_lines/{source}/{shard}.log",
    conda:
        "../envs/curate.yaml"
    params:
        code=program("scripts.deduplicate.lines"),
        settings=settings(
            {
                "unit": cfg.deduplicate.lines,
                "min_characters": cfg.deduplicate.min_line_characters,
            }
        ),
    shell:
        "python -m scripts.deduplicate.lines --source {wildcards.source}"
        " --shard {wildcards.shard} --settings {params.settings:q} 2>&1 | tee {log}"


rule deduplicate_repeated_lines:
    input:
        signatures=all_shards(layout.signatures),
        lines=all_shards(layout.lines),
        duplicates=layout.duplicates(),
    output:
        layout.duplicate_lines(),
    log:
        "results/logs/deduplicate_repeated_lines.log",
    conda:
        "../envs/curate.yaml"
    params:
        code=program("scripts.deduplicate.repeated_lines"),
        settings=settings({"unit": cfg.deduplicate.lines, **deduplicate_order}),
    shell:
        "python -m scripts.deduplicate.repeated_lines --settings {params.settings:q}"
        " 2>&1 | tee {log}"
