.PHONY: app test check e2e clean
.DEFAULT_GOAL := app

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

app: .venv/app-installed
	$(BIN)/python -m emoact models install smollm2-135m
	$(BIN)/streamlit run app.py

test: .venv/dev-installed
	$(BIN)/python -m emoact models install smollm2-135m
	$(BIN)/python -m pytest -n $(WORKERS)

check: .venv/dev-installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/write_docs.py --check

e2e: .venv/dev-installed
	$(BIN)/python -m emoact models install smollm2-135m
	$(BIN)/python -m pytest -m browser

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache artifacts
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "emoact needs Python 3.11 or newer; call make PYTHON=...")'
	$(PYTHON) -m venv .venv

.venv/app-installed: requirements.txt constraints.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -r requirements.txt
	$(BIN)/python -m pip install --no-deps -e .
	touch $@

.venv/dev-installed: requirements-dev.txt .venv/app-installed
	$(BIN)/python -m pip install -r requirements-dev.txt
	touch $@
