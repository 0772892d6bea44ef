"""What the rules of `mix` need to know of the configuration: their inputs and settings."""

from scripts.common.config.phases import trained_origins


def mixed_tokens(wildcards):
    sources = cfg.sources_of_mixture(cfg.phases[wildcards.phase].mixture)
    return each_shard(layout.tokens, sources, tokenizer_name=cfg.tokenizer.name)


def orders_before(wildcards):
    """The orders that a phase's goes on from: its parent's, or those of the phases in a merge."""
    return list(map(layout.order, trained_origins(cfg.phases, wildcards.phase)))


def order_settings(wildcards):
    """What an order depends on: a phase's learning rate, for one, is not among it."""
    phase = cfg.phases[wildcards.phase]
    keys = ("parent", "tokens", "schedule_tokens", "context", "batch_tokens", "max_epochs", "seed")
    return settings(
        {
            **{key: getattr(phase, key) for key in keys},
            "inherit": {"clock": phase.inherit.clock},
            "follows": trained_origins(cfg.phases, wildcards.phase),
            "tokenizer": cfg.tokenizer.name,
            "mixture": cfg.mixtures[phase.mixture],
            "sources": {
                name: {"domain": cfg.sources[name].domain, "shards": cfg.sources[name].shards}
                for name in cfg.sources_of_mixture(phase.mixture)
            },
        }
    )
