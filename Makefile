# Everything runs in .venv; each stamp is renewed only when the pinned versions change, so a second run installs nothing.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: serve test check lint bench

serve: .venv/serve.stamp
	@$(BIN)/sourceline serve

test: .venv/test.stamp
	@$(BIN)/pytest -q -n 2 --dist loadfile

lint: .venv/test.stamp
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

check: test lint

bench: .venv/test.stamp
	@$(BIN)/sourceline rebuild-index
	@$(BIN)/python benchmarks/serving.py

.venv/serve.stamp: pyproject.toml
	@echo "Installing into .venv; the first time takes some minutes."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/test.stamp: pyproject.toml
	@echo "Installing into .venv, what the tests need too; the first time takes some minutes."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch .venv/serve.stamp $@
