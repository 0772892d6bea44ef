"""What the rules of `select` need to know of the configuration: their inputs and settings."""

from scripts.common.attributes import artifact_of
from scripts.select.rulesets import columns

cut_lines = cfg.deduplicate.lines != "none"


def selection_of(source):
    return cfg.select[cfg.sources[source].domain]


def selection_settings(wildcards):
    """A domain's settings, and whether repeated lines are cut."""
    selection = selection_of(wildcards.source).model_dump(mode="json")
    return settings({**selection, "cut_lines": cut_lines})


def selected_attributes(wildcards):
    """The attributes that a source's selection reads: annotators' and raters'."""
    names = {artifact_of(column) for column in columns(selection_of(wildcards.source))}
    return [layout.attributes(wildcards.source, name, wildcards.shard) for name in sorted(names)]
