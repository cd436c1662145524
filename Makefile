# Concordat. `make` alone lists the targets. Everything a target makes lives in .venv/ and var/.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PYTHONDONTWRITEBYTECODE := 1
.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-full lint audit bench bench-extraction bench-verdict bench-log docs screenshots clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## virtual environment in .venv with exact versions

$(STAMP): requirements.txt requirements-dev.txt config/machine.sh
	@sh config/machine.sh $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps crypten==0.4.1
	@touch $@

demo: setup ## the main job: four hospitals, one explained prediction, one verified dossier
	@$(BIN)/python -m config.demo run

serve: setup ## bring the demonstration's state up again, to click through
	@$(BIN)/python -m config.demo serve

test: setup ## all tests that need no root, no PostgreSQL and no browser
	$(BIN)/python -m pytest -n 3 -m "not full" tests

test-full: setup ## the tests that need PostgreSQL, Chromium, a TLS Redis, anvil, a FHIR server
	$(BIN)/python -m pytest -n 2 -m full $$(grep -rl "mark.full" --include="test_*.py" tests)

lint: setup ## ruff, mypy, import rules, migrations, generated files, contracts, licences, secrets
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python -m ledger.contracts.build --check
	$(BIN)/python -m config.reference --check
	$(BIN)/python -m config.licences --check
	$(BIN)/python -m config.secret_scan --check

audit: setup ## known vulnerabilities of what requirements.txt pins; asks the package index, so it needs a network
	@$(BIN)/pip-audit --requirement requirements.txt --no-deps --disable-pip --strict --progress-spinner off || \
	{ echo "Not clean: the table above names what is vulnerable. Without a table the package index was not reached, or did not know a package, and nothing is said about any." >&2; exit 1; }

bench: setup ## what the secure job costs, beside stock CrypTen; FULL=1: more parties, a delay, growth
	@$(BIN)/python -m bench.engine $(if $(FULL),--full)

bench-extraction: setup ## what explanations give away of a secret model, by attacking some
	@$(BIN)/python -m bench.extraction

bench-verdict: setup ## what the authority check costs among 10,000 studies and 1,000,000 consents
	@$(BIN)/python -m bench.verdict

bench-log: setup ## what the log costs at 1,000,000 entries: recording, proofs, memory
	@$(BIN)/python -m bench.log

docs: setup ## write the generated pages: registries, API schema, third-party notice
	$(BIN)/python -m config.reference
	$(BIN)/python -m config.licences

screenshots: setup ## make the pictures of the desk in docs/images/ anew; needs Chromium
	CONCORDAT_SCREENSHOTS=docs/images $(BIN)/python -m pytest tests/browser/test_screenshots.py

clean: ## leave nothing behind
	rm -rf $(VENV) var build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
