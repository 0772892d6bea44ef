"""What the rules of `annotate` need to know of the configuration: their inputs and settings."""


def sources_of_rater(name):
    return [*cfg.raters[name].positive, *cfg.raters[name].negative]
