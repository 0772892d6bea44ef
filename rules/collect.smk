"""Sources to documents: one table per shard, a held-out split, a quarantine of what is neither."""

from scripts.collect import files


def files_of_shard(wildcards):
    """The user's files that a shard is read from: none for sources that are not files."""
    source = cfg.sources[wildcards.source]
    if not hasattr(source, "paths"):
        return []
    try:
        matched = files.matched(source.paths, source.reader)
    except UserError as error:
        raise WorkflowError(f"sources.{wildcards.source}: {error}")
    return list(map(str, files.share(matched, int(wildcards.shard), source.shards)))


rule collect_documents:
    input:
        files=files_of_shard,
        code=program("scripts.collect.documents"),
    output:
        layout.documents("{source}", "{shard}"),
    log:
        "results/logs/collect_documents/{source}/{shard}.log",
    params:
        settings=lambda wildcards: settings(
            {
                "source": cfg.sources[wildcards.source].model_dump(mode="json"),
                "heldout": cfg.heldout.model_dump(mode="json"),
            }
        ),
    shell:
        "python -m scripts.collect.documents"
        " --source {wildcards.source} --shard {wildcards.shard}"
        " --settings {params.settings:q} 2>&1 | tee {log}"
