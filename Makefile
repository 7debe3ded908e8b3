# All of it runs from .venv, which is made when it is missing and renewed when
# pyproject.toml changes. On another interpreter:
#   rm -r .venv && make test PYTHON=python3.13

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
RUNTIME := .venv/installed
DEV := .venv/installed-dev
BENCH := .venv/installed-bench

.PHONY: help demo test test-all check fix bench rig wheel

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile
	@echo 'More arguments: make test ARGS="-k labels -x"'

demo: $(RUNTIME) ## a small service to look at: make demo ARGS="--duration 20"
	@$(BIN)/obs demo $(ARGS)

test: $(DEV) ## the tests, without the slow ones; ARGS="-n 0" for one process
	@$(BIN)/pytest -n 2 -m "not slow" $(ARGS)

test-all: $(DEV) ## all tests
	@$(BIN)/pytest $(ARGS)

check: $(DEV) ## formatting, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

fix: $(DEV) ## mend formatting and what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(BENCH) ## nanoseconds beside other clients
	@$(BIN)/python -m benchmarks $(ARGS)

rig: ## install the real servers that tests/real needs
	@tests/real/install-rig.sh

wheel: $(DEV) ## build sdist and wheel, and test the wheel away from here
	@$(BIN)/python tests/repo/wheel.py $(ARGS)

$(BIN)/python:
	@echo 'making .venv with $(PYTHON)'
	@$(PYTHON) -m venv .venv

# `| $(BIN)/python`: it has to be there; that its file is newer means nothing.
$(RUNTIME): pyproject.toml | $(BIN)/python
	@echo 'installing obs into .venv'
	@$(PIP) install --editable '.[demo]'
	@touch $@

$(DEV): $(RUNTIME)
	@echo 'installing all extras and the development tools into .venv'
	@$(PIP) install --upgrade 'pip>=25.1' # the first that knows --group
	@$(PIP) install --editable '.[all]' --group dev
	@touch $@

$(BENCH): $(DEV)
	@$(PIP) install --group bench
	@touch $@
