# bitextmine: `make demo` does the main job on sample text, `make test` runs the tests. Both set everything up first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: help demo serve test check format openapi fuzz bench constraints images compose-smoke deploy-check dist clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.cpu  ## mine the sample corpora through the service, and judge the pairs
	$(BIN)/bitextmine encoders pull muse
	$(BIN)/python demo/run.py

serve: $(VENV)/.cpu  ## run the service at http://127.0.0.1:8000
	$(BIN)/bitextmine encoders pull muse
	$(BIN)/bitextmine serve

test: $(VENV)/.dev  ## check, then every test, with the library's coverage
	$(BIN)/bitextmine encoders pull muse
	@$(MAKE) --no-print-directory check
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --cov --cov-report=term --cov-fail-under=90

check: $(VENV)/.dev  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check -q .
	$(BIN)/ruff format -q --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.dev  ## rewrite the sources as ruff formats them
	$(BIN)/ruff check -q --fix .
	$(BIN)/ruff format -q .

openapi: $(VENV)/.dev  ## rewrite openapi.yaml from the application
	$(BIN)/python -m bitextmine_service.openapi openapi.yaml

fuzz: $(VENV)/.dev  ## tens of thousands of generated requests to a running service (half an hour)
	BITEXTMINE_FUZZ_EXAMPLES=200 $(BIN)/pytest -q --timeout 7200 tests/contract/test_schemathesis.py

bench: $(VENV)/.dev  ## run the benchmarks (minutes)
	$(BIN)/bitextmine encoders pull muse
	$(BIN)/python benchmarks/ingest.py
	@if [ -n "$(TATOEBA)" ]; then $(BIN)/bitextmine evaluate tatoeba --data "$(TATOEBA)"; \
	else echo "make bench TATOEBA=DIR also measures accuracy on the Tatoeba test set in DIR"; fi

constraints: $(VENV)/.dev  ## pin anew every dependency of every extra but the GPU ones
	$(BIN)/uv pip compile -q --universal --upgrade --python-version 3.11 --no-header --no-annotate \
	  --no-emit-index-url --extra cpu --extra export --extra ray --extra test --extra bench --extra dev \
	  pyproject.toml -o constraints.txt

images: export REVISION := $(shell git rev-parse HEAD 2> /dev/null || echo unknown)
images:  ## build the container images: api, worker, valkey
	docker compose -f docker/compose.yaml build

compose-smoke: images $(VENV)/.cpu  ## bring the containers up, run the demo against them, kill some, take them down
	$(BIN)/python docker/smoke.py

deploy-check:  ## ask hadolint, checkov, kubectl and others about docker/ and deploy/
	deploy/check.sh

dist: export SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2> /dev/null || date +%s)
dist: TOOLS := build/tools/bin
dist: $(VENV)/bin/python  ## build wheel and sdist, install the wheel elsewhere and try it, list what it installs (SBOM)
	rm -rf build dist
	$(PYTHON) -m venv build/tools
	$(TOOLS)/pip install -q --disable-pip-version-check build==1.6.1 cyclonedx-bom==7.5.0 -c constraints.txt
	PIP_CONSTRAINT=$(CURDIR)/docker/constraints-build.txt $(TOOLS)/python -m build -q --outdir dist .
	$(PYTHON) -m venv --without-pip build/installed
	$(TOOLS)/pip --python build/installed install -q --disable-pip-version-check -c constraints.txt "$$(ls dist/*.whl)[cpu]"
	$(TOOLS)/python deploy/check_installed.py build/installed/bin
	$(TOOLS)/cyclonedx-py environment --output-reproducible \
	  -o "$$(ls dist/*.tar.gz | sed 's/\.tar\.gz$$/.cdx.json/')" build/installed/bin/python
	cd dist && sha256sum * > SHA256SUMS && cat SHA256SUMS

clean:  ## remove what the other targets made
	rm -rf $(VENV) .demo build dist .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11 to 3.13 is needed: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	echo "no virtual environment could be made; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.cpu: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install -c constraints.txt -e '.[cpu]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install -c constraints.txt -e '.[cpu,test,dev]'
	@touch $@ $(VENV)/.cpu
