"""What the rules of `annotate` need to know of the configuration: their inputs and settings."""

from scripts.annotate.raters.files import rater_files
from scripts.annotate.raters.kinds import module_of
from scripts.common.attributes import ANNOTATORS, LANGUAGE, artifact_of

# A program imports the module of its rater's kind alone, so that an edit reruns just that kind.
text_raters = [name for name, rater in cfg.raters.items() if rater.kind != "combined"]
combined_raters = [name for name, rater in cfg.raters.items() if rater.kind == "combined"]


def annotations(wildcards):
    """Attributes that the user wants to have, whether or not a selection reads them."""
    return [
        content for name in cfg.annotate for content in each_shard(layout.attributes, name=name)
    ]


def sources_of_rater(name):
    """The sources whose documents a rater is trained on."""
    rater = cfg.raters[name]
    return [*getattr(rater, "positive", ()), *getattr(rater, "negative", ())]


def rater_program(name, program_module):
    return program(program_module, module_of(cfg.raters[name].kind))


def rater_threads(wildcards):
    """Transformers use several cores where there is no GPU; fastText has one thread."""
    rater = cfg.raters[wildcards.rater]
    return 4 if getattr(rater, "path", None) and rater.kind != "fasttext" else 1


def calibration_settings(name):
    """A combined rater and every source that it scores or learns from."""
    learnt_from = sources_of_rater(name)
    return {
        "rater": cfg.raters[name].model_dump(mode="json"),
        "sources": {
            source: {"domain": settings.domain, "shards": settings.shards}
            for source, settings in cfg.sources.items()
            if name in cfg.raters_of(source) or source in learnt_from
        },
    }


def calibrated_attributes(wildcards):
    """What a combined rater's calibration reads: all scores of its raters, and the languages."""
    sources = calibration_settings(wildcards.rater)["sources"]
    return [
        content
        for name in (artifact_of(LANGUAGE), *cfg.raters[wildcards.rater].raters)
        for content in each_shard(layout.attributes, sources, name=name)
    ]


def combined_attributes(wildcards):
    return [
        layout.attributes(wildcards.source, name, wildcards.shard)
        for name in (artifact_of(LANGUAGE), *cfg.raters[wildcards.rater].raters)
    ]
