# Everything runs in .venv, with the versions of constraints.txt. A stamp is renewed only when the requirements change, so
# that a second run installs nothing. Bytecode is left to the first run, which needs a part of it.
PYTHON ?= python3
BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: serve test integrations docs lint check bench torture cluster

serve: .venv/serve.stamp
	@$(BIN)/sourceline serve

test: .venv/test.stamp
	@$(BIN)/pytest -q -n 2 --dist worksteal

integrations: .venv/integrations.stamp
	@.venv/integrations/bin/python -m pytest -q tests/integrations tests/test_docs.py -k "integrations or frameworks"

docs: .venv/docs.stamp
	@.venv/docs/bin/python -m docs.site.build

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

cluster: .venv/test.stamp
	@$(BIN)/python benchmarks/cluster.py

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

# Their own packages come first, then those of .venv, which they do not touch. The path stands there before they are
# installed, so that pip leaves out what .venv has.
.venv/integrations.stamp: tests/integrations/requirements.txt
.venv/docs.stamp: docs/site/requirements.txt
.venv/integrations.stamp .venv/docs.stamp: .venv/%.stamp: .venv/test.stamp
	@$(BIN)/python -m venv .venv/$*
	@echo "import site; site.addsitedir('$$(echo $(CURDIR)/.venv/lib/python*/site-packages)')" \
		> "$$(echo .venv/$*/lib/python*/site-packages)/sourceline.pth"
	@.venv/$*/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--requirement $(filter %.txt,$^)
	@touch $@
