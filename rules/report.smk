"""One HTML page that tells what went in, what was trained and what came of it."""


include: "inputs/report.smk"


rule report_page:
    input:
        documents=all_shards(layout.documents),
        selections=all_shards(layout.selection),
        contamination=all_shards(layout.attributes, name="contamination"),
        contaminated_items=layout.contamination_items(),
        planted=layout.contamination_planted(),
        scores=reported_scores,
        orders=[layout.order(phase) for phase in reported_phases if phase in cfg.trained()],
        phases=[layout.phase(phase) for phase in reported_phases],
        evaluations=[
            layout.evaluation(phase, task)
            for phase in cfg.evaluate.phases
            for task in cfg.evaluate.tasks
        ],
        comparison=layout.comparison(),
        template=house("scripts/report/page.html.j2"),
    output:
        layout.report(),
    log:
        "results/logs/report_page.log",
    conda:
        "../envs/curate.yaml"
    params:
        code=program("scripts.report.page"),
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
