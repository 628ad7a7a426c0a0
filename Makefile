# Every target does its own set-up: a virtual environment in .venv with the project in it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SNAPSHOT ?= $(shell date -u +%F)
export DAGSTER_HOME ?= $(CURDIR)
export HF_HUB_DISABLE_TELEMETRY ?= 1

.PHONY: run test ui lint format setup clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "hfkg needs Python 3.11 or newer: make PYTHON=python3.11 …"'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[test,lint]'
	touch $@

run: setup
	$(BIN)/hfkg run --date $(SNAPSHOT)

test: setup
	$(BIN)/python -m pytest

ui: setup
	mkdir -p data
	$(BIN)/dagster dev -w workspace.yaml

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) data .dagster
