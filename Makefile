# bitextmine: `make demo` does the main job on sample text, `make test` runs the tests. Both set everything up first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: help demo serve test check format openapi bench constraints clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

check: $(VENV)/.dev  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check -q .
	$(BIN)/ruff format -q --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

format:  ## rewrite the sources as ruff formats them
	$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q .
