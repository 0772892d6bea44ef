"""What the rules of `select` need to know of the configuration: their inputs and settings."""

import functools

from scripts.common.attributes import artifact_of
from scripts.select.rulesets import columns

cut_lines = cfg.deduplicate.lines != "none"


@functools.cache
def selection_settings(source):
    """The settings of a source's domain, and whether repeated lines are cut."""
    selection = cfg.select[cfg.sources[source].domain].model_dump(mode="json")
    return settings({**selection, "cut_lines": cut_lines})


@functools.cache
def selected_names(source):
    """The attributes that a source's selection reads: annotators' and raters'."""
    selection = cfg.select[cfg.sources[source].domain]
    return sorted({artifact_of(column) for column in columns(selection)})


def selected_attributes(wildcards):
    source, shard = wildcards.source, wildcards.shard
    return [layout.attributes(source, name, shard) for name in selected_names(source)]
