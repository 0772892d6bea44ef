"""What the rules of `collect` need to know of the configuration: their inputs and settings."""

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
