"""A mixture is an order over tokens: nothing is copied."""


include: "inputs/mix.smk"


rule mix_order:
    input:
        tokens=mixed_tokens,
        before=orders_before,
    output:
        layout.order("{phase}"),
    log:
        "results/logs/mix_order/{phase}.log",
    wildcard_constraints:
        phase="|".join(cfg.trained()),
    conda:
        "../envs/curate.yaml"
    params:
        code=program("scripts.mix.order"),
        settings=order_settings,
    shell:
        "python -m scripts.mix.order --phase {wildcards.phase}"
        " --settings {params.settings:q} 2>&1 | tee {log}"
