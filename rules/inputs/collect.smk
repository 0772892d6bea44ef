"""What the rules of `collect` need to know of the configuration: their inputs and settings."""

from scripts.collect import files
from scripts.collect.repository.places import places
from scripts.collect.repository.tree import Folder


def files_of_shard(wildcards):
    """The user's files that a shard is read from: none for sources that are not files."""
    source = cfg.sources[wildcards.source]
    try:
        found = local_files(source, int(wildcards.shard))
    except UserError as error:
        raise WorkflowError(f"sources.{wildcards.source}: {error}")
    return [file for file in map(str, found) if file.isprintable()]  # Snakemake can name no others


def local_files(source, shard):
    if source.reader == "repository":
        mine = files.share(places(source), shard, source.shards)
        return [file for place in mine for file in place.local_files()]
    if source.reader == "huggingface":
        folder = Path(source.dataset)  # one that is missing is told by the job
        return Folder(folder).local_files() if source.is_folder and folder.is_dir() else []
    if hasattr(source, "paths"):
        return files.share(files.matched(source.paths, source.reader), shard, source.shards)
    return []
