"""What the rules of `evaluate` need to know of the configuration: their inputs and settings."""


def task_settings(task, sources, **more):
    """What concerns one task: its own settings and the shards of the sources that it reads."""
    return settings(
        {
            "task": cfg.evaluate.tasks[task].model_dump(mode="json"),
            "shards": {source: len(cfg.shards(source)) for source in sources},
            **more,
        }
    )


def tasks_of(kind):
    return [name for name, task in cfg.evaluate.tasks.items() if task.kind == kind]


def comparison_settings():
    return {
        "tasks": list(cfg.evaluate.tasks),
        "compare": cfg.evaluate.compare,
        "retention": {
            "tasks": tasks_of("bits-per-byte"),
            "domains": cfg.evaluate.retention_domains,
            "margin": cfg.evaluate.retention_margin,
        },
        "confidence": cfg.evaluate.confidence,
    }
