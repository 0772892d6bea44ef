"""The decision which documents stay: it reads attributes, so that a new threshold is cheap."""


include: "inputs/select.smk"


rule select_documents:
    input:
        documents=layout.documents("{source}", "{shard}"),
        duplicates=layout.duplicates(),
        contamination=layout.attributes("{source}", "contamination", "{shard}"),
        attributes=selected_attributes,
        lines=layout.duplicate_lines() if cut_lines else [],
    output:
        layout.selection("{source}", "{shard}"),
    log:
        "results/logs/select_documents/{source}/{shard}.log",
    conda:
        "../envs/curate.yaml"
    params:
        code=program("scripts.select.documents"),
        settings=lambda wildcards: selection_settings(wildcards.source),
    shell:
        "python -m scripts.select.documents --source {wildcards.source} --shard {wildcards.shard}"
        " --settings {params.settings:q} 2>&1 | tee {log}"
