"""From selected documents to flat files of token ids."""

from pathlib import Path

from scripts.tokenize.folder import tokenizer_files

trained_here = cfg.tokenizer.path is None


rule tokenize_tokenizer:
    input:
        documents=all_shards(layout.documents) if trained_here else [],
        selection=all_shards(layout.selection) if trained_here else [],
        files=[] if trained_here else tokenizer_files(Path(cfg.tokenizer.path)),
    output:
        layout.tokenizer(cfg.tokenizer.name),
    log:
        "results/logs/tokenize_tokenizer.log",
    conda:
        "../envs/curate.yaml"
    threads: 4
    params:
        code=program("scripts.tokenize.tokenizer"),
        settings=settings(
            {
                "tokenizer": cfg.tokenizer.model_dump(mode="json"),
                "sources": cfg.source_shards() if trained_here else {},
            }
        ),
    shell:
        "RAYON_NUM_THREADS={threads} python -m scripts.tokenize.tokenizer"
        " --settings {params.settings:q} 2>&1 | tee {log}"


rule tokenize_tokens:
    input:
        documents=layout.documents("{source}", "{shard}"),
        selection=layout.selection("{source}", "{shard}"),
        tokenizer=layout.tokenizer(cfg.tokenizer.name),
    output:
        layout.tokens(cfg.tokenizer.name, "{source}", "{shard}"),
    log:
        "results/logs/tokenize_tokens/{source}/{shard}.log",
    conda:
        "../envs/curate.yaml"
    threads: 4
    params:
        code=program("scripts.tokenize.tokens"),
        settings=settings({"tokenizer": cfg.tokenizer.name}),
    shell:
        "RAYON_NUM_THREADS={threads} python -m scripts.tokenize.tokens"
        " --source {wildcards.source} --shard {wildcards.shard}"
        " --settings {params.settings:q} 2>&1 | tee {log}"


rule tokenize_heldout:
    input:
        documents=all_shards(layout.documents),
        tokenizer=layout.tokenizer(cfg.tokenizer.name),
    output:
        layout.heldout_tokens(cfg.tokenizer.name),
    log:
        "results/logs/tokenize_heldout.log",
    conda:
        "../envs/curate.yaml"
    params:
        code=program("scripts.tokenize.heldout"),
        settings=settings(
            {
                "tokenizer": cfg.tokenizer.name,
                "domains": {name: source.domain for name, source in cfg.sources.items()},
                "shards": cfg.source_shards(),
                "sample_bytes": cfg.heldout.sample_bytes,
            }
        ),
    shell:
        "python -m scripts.tokenize.heldout --settings {params.settings:q} 2>&1 | tee {log}"
