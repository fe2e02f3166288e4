# Everything runs in .venv, with the versions of constraints.txt. A stamp is renewed only when the requirements change, so
# that a second run installs nothing. Bytecode is left to the first run, which needs a part of it.
PYTHON ?= python3
BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: serve test lint check bench torture

serve: .venv/serve.stamp
	@$(BIN)/sourceline serve

test: .venv/test.stamp
	@$(BIN)/pytest -q -n 2 --dist worksteal

lint: .venv/test.stamp
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

check: test lint

bench: .venv/test.stamp
	@$(BIN)/sourceline rebuild-index
	@$(BIN)/python benchmarks/serving.py

torture: .venv/test.stamp
	@$(BIN)/python benchmarks/torture.py all

.venv/serve.stamp: pyproject.toml constraints.txt
	@echo "Installing into .venv; the first time takes a minute."
	@$(PYTHON) -m venv .venv
	@$(INSTALL) .
	@touch $@

.venv/test.stamp: pyproject.toml constraints.txt
	@echo "Installing into .venv, with what the tests need; the first time takes some minutes."
	@$(PYTHON) -m venv .venv
	@$(INSTALL) '.[test]'
	@touch .venv/serve.stamp $@
