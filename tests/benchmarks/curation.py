"""All of curation beside its peers, as Markdown: ``make bench-curation``.

On real text, one core for each, both in one run. Ratios travel to other machines, figures do not.
"""

import argparse
import os

for variable in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ[variable] = "1"  # before any library counts the cores

from tests.benchmarks import decontaminate, deduplicate, rating, tokens, whole  # noqa: E402
from tests.benchmarks.corpus import prose_and_code, size, translations  # noqa: E402
from tests.benchmarks.timing import table  # noqa: E402


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--megabytes", type=float, default=110)
    texts = prose_and_code(options.parse_args().megabytes)
    print(f"{len(texts):,} documents, {size(texts) / 1e6:,.0f} MB\n")
    rows = [
        row for part in (deduplicate, decontaminate, rating, tokens) for row in part.rows(texts)
    ]
    print(table([*rows, *whole.rows(texts)]), end="\n\n")
    print(table(deduplicate.signing_rows("text in many scripts to signature", translations())))
    print("\nHow it grows, from annotate to select:\n")
    print(whole.growth(texts))


if __name__ == "__main__":
    main()
