"""Attributes of documents, computed once and apart from any decision on them."""


include: "inputs/annotate.smk"


rule annotate_attributes:
    input:
        documents=layout.documents("{source}", "{shard}"),
    output:
        layout.attributes("{source}", "{annotator}", "{shard}"),
    log:
        "results/logs/annotate_attributes/{source}/{annotator}/{shard}.log",
    wildcard_constraints:
        annotator="|".join(ANNOTATORS),
    conda:
        "../envs/curate.yaml"
    params:
        code=lambda wildcards: program(f"scripts.annotate.{wildcards.annotator}"),
        settings=lambda wildcards: settings({"columns": ANNOTATORS[wildcards.annotator].columns}),
    shell:
        "python -m scripts.annotate.{wildcards.annotator} --source {wildcards.source}"
        " --shard {wildcards.shard} --settings {params.settings:q} 2>&1 | tee {log}"


rule annotate_rater:
    input:
        documents=lambda wildcards: each_shard(layout.documents, sources_of_rater(wildcards.rater)),
        files=lambda wildcards: rater_files(cfg.raters[wildcards.rater]),
    output:
        layout.rater("{rater}"),
    log:
        "results/logs/annotate_rater/{rater}.log",
    wildcard_constraints:
        rater="|".join(text_raters) or "none",
    conda:
        "../envs/curate.yaml"
    threads: rater_threads
    params:
        code=lambda wildcards: rater_program(wildcards.rater, "scripts.annotate.raters.train"),
        settings=lambda wildcards: settings(
            {
                "rater": cfg.raters[wildcards.rater].model_dump(mode="json"),
                "shards": {
                    source: len(cfg.shards(source)) for source in sources_of_rater(wildcards.rater)
                },
            }
        ),
    shell:
        "OMP_NUM_THREADS={threads} python -m scripts.annotate.raters.train"
        " --rater {wildcards.rater} --settings {params.settings:q} 2>&1 | tee {log}"


rule annotate_score:
    input:
        documents=layout.documents("{source}", "{shard}"),
        rater=layout.rater("{rater}"),
    output:
        layout.attributes("{source}", "{rater}", "{shard}"),
    log:
        "results/logs/annotate_score/{source}/{rater}/{shard}.log",
    wildcard_constraints:
        rater="|".join(text_raters) or "none",
    conda:
        "../envs/curate.yaml"
    threads: rater_threads
    params:
        code=lambda wildcards: rater_program(wildcards.rater, "scripts.annotate.raters.score"),
        settings=settings({}),
    shell:
        "OMP_NUM_THREADS={threads} python -m scripts.annotate.raters.score"
        " --source {wildcards.source} --shard {wildcards.shard} --rater {wildcards.rater}"
        " --settings {params.settings:q} 2>&1 | tee {log}"


rule annotate_calibration:
    input:
        attributes=calibrated_attributes,
        files=lambda wildcards: rater_files(cfg.raters[wildcards.rater]),
    output:
        layout.rater("{rater}"),
    log:
        "results/logs/annotate_calibration/{rater}.log",
    wildcard_constraints:
        rater="|".join(combined_raters) or "none",
    conda:
        "../envs/curate.yaml"
    params:
        code=program("scripts.annotate.raters.calibrate"),
        settings=lambda wildcards: settings(calibration_settings(wildcards.rater)),
    shell:
        "python -m scripts.annotate.raters.calibrate --rater {wildcards.rater}"
        " --settings {params.settings:q} 2>&1 | tee {log}"


rule annotate_combination:
    input:
        attributes=combined_attributes,
        calibration=layout.rater("{rater}"),
    output:
        layout.attributes("{source}", "{rater}", "{shard}"),
    log:
        "results/logs/annotate_combination/{source}/{rater}/{shard}.log",
    wildcard_constraints:
        rater="|".join(combined_raters) or "none",
    conda:
        "../envs/curate.yaml"
    params:
        code=program("scripts.annotate.raters.combine"),
        settings=lambda wildcards: settings(
            {
                "domain": cfg.sources[wildcards.source].domain,
                "raters": cfg.raters[wildcards.rater].raters,
            }
        ),
    shell:
        "python -m scripts.annotate.raters.combine --source {wildcards.source}"
        " --shard {wildcards.shard} --rater {wildcards.rater}"
        " --settings {params.settings:q} 2>&1 | tee {log}"
