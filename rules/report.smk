"""One HTML page that tells what went in, what was trained and what came of it."""

from scripts.common.config.train import Merge
from scripts.report.training import ReportedPhase, with_ancestors

reported_phases = with_ancestors(cfg.evaluate.phases, cfg.phases)


rule report_page:
    input:
        documents=each_shard(layout.documents),
        selections=each_shard(layout.selection),
        contamination=each_shard(layout.attributes, name="contamination"),
        contaminated_items=layout.contamination_items(),
        planted=layout.contamination_planted(),
        scores=[
            content
            for source in cfg.sources
            for rater in cfg.raters_of(source)
            for content in each_shard(layout.attributes, [source], name=rater)
        ],
        orders=[layout.order(phase) for phase in reported_phases if phase in cfg.trained()],
        phases=[layout.phase(phase) for phase in reported_phases],
        evaluations=[
            layout.evaluation(phase, task)
            for phase in cfg.evaluate.phases
            for task in cfg.evaluate.tasks
        ],
        comparison=layout.comparison(),
        code=program("scripts.report.page"),
        template=house("scripts/report/page.html.j2"),
    output:
        layout.report(),
    log:
        "results/logs/report_page.log",
    conda:
        "../envs/curate.yaml"
    params:
        settings=settings(
            {
                "title": cfg.title,
                "sources": {
                    name: {
                        "domain": source.domain,
                        "shards": source.shards,
                        "raters": {
                            rater: cfg.select[source.domain].bounds.get(rater)
                            for rater in cfg.raters_of(name)
                        },
                    }
                    for name, source in cfg.sources.items()
                },
                "phases": {
                    name: phase.model_dump(
                        include={*ReportedPhase.model_fields, *Merge.model_fields}
                    )
                    for name, phase in cfg.phases.items()
                },
                "evaluate": cfg.evaluate.model_dump(mode="json"),
            }
        ),
    shell:
        "python -m scripts.report.page --settings {params.settings:q} 2>&1 | tee {log}"
