.DEFAULT_GOAL := help
.PHONY: help run bronze silver gold plan sync listen schedule status doctor docs sandbox bench test test-all soak lint lock clean

# One stamp a lock file: the environment is rebuilt when, and only when, its lock changes.
VENV := .venv
PYTHON := $(VENV)/bin/python
INSTALL := $(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes

export DO_NOT_TRACK := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export RUNTIME__DLTHUB_TELEMETRY := false

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

run: $(VENV)/run ## Ingest, build, publish and sync, once; without any settings, on sample data
	@$(PYTHON) -m boxoffice run

bronze: $(VENV)/run ## Land the sources (SOURCE=sheets, eventbrite or airtable for one)
	@$(PYTHON) -m ingest $(SOURCE)

silver: $(VENV)/run ## Build the silver models
	@$(PYTHON) -m boxoffice build silver

gold: $(VENV)/run ## Build the gold models, and what destinations should hold
	@$(PYTHON) -m boxoffice build gold

plan: $(VENV)/run ## Show what would be written back, and write nothing (DEST=airtable for one)
	@$(PYTHON) -m reverse_etl $(DEST) --plan

sync: $(VENV)/run ## Write back what changed (DEST=airtable for one)
	@$(PYTHON) -m reverse_etl $(DEST)

listen: $(VENV)/run ## Take what Eventbrite tells of changes, and work on it at once, until Ctrl-C
	@$(PYTHON) -m webhooks

schedule: $(VENV)/run ## Run every SCHEDULE_MINUTES, until Ctrl-C
	@$(PYTHON) -m boxoffice schedule

status: $(VENV)/run ## Tell what ran, how fresh each source is and what was refused
	@$(PYTHON) -m boxoffice status

doctor: $(VENV)/run ## Find what is set up wrong, and how to mend it
	@$(PYTHON) -m boxoffice doctor

docs: $(VENV)/run ## Write the documentation of every table and column
	@$(PYTHON) -m boxoffice docs

sandbox: $(VENV)/run ## Run the stand-ins in the foreground
	@$(PYTHON) -m sandbox

bench: $(VENV)/run ## Measure speed and size against a floor
	@$(PYTHON) -m benchmarks

test: $(VENV)/dev ## Every check of a change, in under 8 minutes
	$(MAKE) --no-print-directory lint
	$(PYTHON) -m pytest -m "not slow"

test-all: $(VENV)/dev ## What takes longer than `make test` allows
	$(PYTHON) -m pytest -m slow

soak: $(VENV)/dev ## Wild inputs by the thousand; then hundreds of runs killed, against a twin (hours)
	$(PYTHON) -m pytest -m hypothesis --hypothesis-profile=soak
	@$(PYTHON) -m tests.soak

lint: $(VENV)/dev ## Style and types: ruff, sqlfluff, mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/sqlfluff lint --processes 2 --disable-progress-bar models tests/singular

lock: ## Pin the dependencies of pyproject.toml again (needs uv)
	uv pip compile pyproject.toml --universal --generate-hashes --no-strip-extras --no-annotate --no-header --no-emit-index-url -o requirements.lock
	echo "duckdb==1.4.5" | uv pip compile - --universal --generate-hashes --no-strip-extras --no-annotate --no-header --no-emit-index-url -o requirements-reader.lock
	uv pip compile pyproject.toml --extra dev --extra postgres --universal --generate-hashes --no-strip-extras --no-annotate --no-header --no-emit-index-url -c requirements.lock -o requirements-dev.lock

clean: ## Remove the environment and what dbt compiled; data stays
	rm -rf $(VENV) target logs

$(VENV)/run: requirements.lock
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "boxoffice needs Python 3.11 or newer as python3."; exit 2; }
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { echo "Creating the environment in $(VENV): once, about a minute."; python3 -m venv --clear $(VENV); }
	@$(INSTALL) -r requirements.lock
	@touch $@

$(VENV)/dev: requirements-dev.lock requirements-reader.lock $(VENV)/run
	@$(INSTALL) -r requirements-dev.lock
	@# The oldest DuckDB that must open the marts file, aside from the environment's own.
	@$(INSTALL) --upgrade --target $(VENV)/duckdb14 -r requirements-reader.lock
	@touch $@
