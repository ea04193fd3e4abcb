# Everything a person types. `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
FLYTE := PYTHONPATH=. FLYTE_SDK_LOGGING_LEVEL=40 PYTHONWARNINGS=ignore $(BIN)/pyflyte run

.PHONY: help setup demo demo-real test lint check clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(INSTALLED) ## make .venv and install into it

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@# Without what it asks for: its hydra needs another antlr4 than moto does, and the tests need neither.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps lightly
	touch $@

demo: $(INSTALLED) ## the whole loop on a simulated survey, into demo/
	@$(BIN)/galaxyloop simulate demo/survey --config examples/demo_survey.yaml
	@MLFLOW_TRACKING_URI=sqlite:///demo/mlflow.db $(FLYTE) workflows/campaign.py campaign_round --inputs-file examples/demo.yaml

demo-real: $(INSTALLED) ## the same on real galaxies, with one campaign and with two: make demo-real DATA=path/to/galaxies
	@test -n "$(DATA)" || { echo "say where the galaxies are: make demo-real DATA=path/to/galaxies"; exit 2; }
	@$(BIN)/python examples/real_galaxies.py "$(DATA)" demo-real
	@for arm in gz2 gz2_efigi; do test ! -d demo-real/$$arm || { echo "== $$arm" && \
	    MLFLOW_TRACKING_URI=sqlite:///demo-real/mlflow.db $(FLYTE) workflows/campaign.py campaign_round --inputs-file demo-real/$$arm/inputs.yaml; } || exit 1; done
	@$(BIN)/python examples/compare_rounds.py demo-real/*/metrics.csv

test: $(INSTALLED) ## run the tests
	$(BIN)/python -m pytest

lint: $(INSTALLED) ## ruff, mypy and the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## lint and test

clean: ## remove results, their models and the local store; keep .venv
	rm -rf demo demo-real "$${GALAXYLOOP_STORE:-.galaxyloop}" .pytest_cache .mypy_cache .ruff_cache
