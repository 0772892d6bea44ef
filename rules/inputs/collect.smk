"""What the rules of `collect` need to know of the configuration: their inputs and settings.

What is the same for all shards of a source is found out once, as these may be thousands.
"""

import functools

from scripts.collect import files
from scripts.collect.repository.places import Place, places
from scripts.collect.repository.tree import Folder


@functools.cache
def source_settings(source):
    return settings(
        {
            "source": cfg.sources[source].model_dump(mode="json"),
            "heldout": cfg.heldout.model_dump(include={"fraction"}),
        }
    )


def files_of_shard(wildcards):
    """The user's files that a shard is read from: none for sources that are not files."""
    name, shards = wildcards.source, cfg.sources[wildcards.source].shards
    try:
        mine = files.share(units_of(name), int(wildcards.shard), shards)
        found = [file for unit in mine for file in files_of_unit(unit)] + data_set_files(name)
    except UserError as error:
        raise WorkflowError(f"sources.{name}: {error}")
    return [file for file in map(str, found) if file.isprintable()]  # Snakemake can name no others


@functools.cache
def units_of(name):
    """What the shards of a source share out: files or repositories."""
    source = cfg.sources[name]
    if source.reader == "repository":
        return places(source)
    return files.matched(source.paths, source.reader) if hasattr(source, "paths") else []


@functools.cache
def files_of_unit(unit):
    return unit.local_files() if isinstance(unit, Place) else [unit]


@functools.cache
def data_set_files(name):
    """The files of a data set's folder, which every shard reads: one that is missing is told by the job."""
    source = cfg.sources[name]
    if source.reader != "huggingface" or not source.is_folder or not Path(source.dataset).is_dir():
        return []
    return Folder(Path(source.dataset)).local_files()
