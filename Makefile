# `make demo`: the whole workflow on real text. `make test`: the tests. Both make the environment first.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Files with compiled functions: compiled when first imported, then cached beside them.
KERNELS := $(shell grep -rl --include='*.py' '^@njit' scripts)

.PHONY: demo check-slurm test test-slurm lint format schema kernels bench-curation bench-train bench-scale lock clean

demo: kernels
	$(BIN)/snakemake --profile profiles/local
	@echo "The report is at $(CURDIR)/results/report/index.html"

# What this site's SLURM would refuse, before anything is submitted: on the login node.
check-slurm: .venv/complete
	$(BIN)/python -m scripts.slurm.check

test: kernels
	$(BIN)/pytest -n 2 --dist worksteal --ignore tests/slurm

# On a SLURM cluster of several nodes that the tests start here; without Debian's packages they skip.
test-slurm: kernels
	$(BIN)/pytest tests/slurm

lint: .venv/complete
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/snakemake --lint

format: .venv/complete
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

schema: .venv/complete
	$(BIN)/python -m scripts.common.config.workflow > config/schema.json

# Once for each environment, so that jobs side by side do not all begin with the same compilation.
kernels: .venv/kernels
.venv/kernels: .venv/complete $(KERNELS)
	$(BIN)/python -c 'import $(shell echo $(basename $(KERNELS)) | sed 's|/|.|g; s| |, |g')'
	touch $@

# One table: each of curation's stages beside its peers, on one core.
bench-curation: .venv-bench/complete
	.venv-bench/bin/python -m tests.benchmarks.curation

# One table: training on all cores of a CPU beside its peers, best on a machine that does nothing else.
bench-train: kernels
	$(BIN)/python -m tests.benchmarks.train

# Tables: Snakemake with thousands of jobs beside a bare workflow, each program's cost, a cluster simulated.
bench-scale: .venv-bench/complete
	.venv-bench/bin/python -m tests.benchmarks.scale --real 1000
	.venv-bench/bin/python -m tests.benchmarks.scale_stages
	.venv-bench/bin/python -m tests.benchmarks.scale_simulation

.venv-bench/complete: requirements.lock tests/benchmarks/requirements.txt
	rm -rf .venv-bench
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --requirement requirements.lock
	.venv-bench/bin/python -m pip install --quiet --requirement tests/benchmarks/requirements.txt
	touch $@

# The stamp is written last: an interrupted installation is begun again.
.venv/complete: requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "midtrain needs Python 3.11 or newer; set PYTHON=")'
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	touch $@

# torch is pinned; what it brings along differs by machine (CUDA or not), so it is left to torch itself.
lock:
	rm -rf .venv.lock && $(PYTHON) -m venv .venv.lock
	.venv.lock/bin/python -m pip install --quiet --requirement requirements.in
	{ echo "# Made by 'make lock' from requirements.in."; \
	  .venv.lock/bin/python -m pip freeze | grep -viE '^(nvidia|cuda|triton)' | sed 's|^torch @.*|torch==2.13.0|; s|+cpu||'; } > requirements.lock
	rm -rf .venv.lock

clean:
	rm -rf .venv .venv.lock .venv-bench
