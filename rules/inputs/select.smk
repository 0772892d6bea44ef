"""What the rules of `select` need to know of the configuration: their inputs and settings."""


def selection_of(source):
    return cfg.select[cfg.sources[source].domain]


def raters_of(source):
    return [name for name in cfg.raters if name in selection_of(source).bounds]
