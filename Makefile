# Every target makes its own environment first. `make VENV=/somewhere/else test` puts it elsewhere.
# constraints.txt pins every package, torch above all: without it pip may fetch gigabytes of CUDA.

VENV ?= .venv
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p && break; done)
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format quick bench specs clean

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '.[all]'
	@touch $@

install: $(READY) ## an environment in .venv with everything

demo: $(READY) ## install all, then train sparse coding on natural image patches
	$(BIN)/ebdsl train specs/sparse_coding.ebm

test: lint ## format, lint, types and the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(READY) ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY) ## rewrite the sources in the one format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

quick: $(READY) ## the tests that take no more than a few seconds each
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow'

bench: $(READY) ## measure side by side with peers
	$(BIN)/python -m bench

specs: $(READY) ## list the specs that ship
	$(BIN)/ebdsl specs

clean: ## remove the environment, caches and runs
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis runs
