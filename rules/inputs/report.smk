"""What the rules of `report` need to know of the configuration: their inputs and settings."""

from scripts.common.config.train import Merge
from scripts.report.training import ReportedPhase, with_ancestors

reported_phases = with_ancestors(cfg.evaluate.phases, cfg.phases)


def reported_scores(wildcards):
    """Every rater's scores of the sources that it rates."""
    return [
        content
        for source in cfg.sources
        for rater in cfg.raters_of(source)
        for content in each_shard(layout.attributes, [source], name=rater)
    ]
