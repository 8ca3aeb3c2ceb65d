# `make` lists the commands. Needs only Python 3.11 or newer and git: a missing
# uv is installed from the package index. Generated files go to .build and
# .tools, never into the template.

PYTHON ?= python3
PROJECT := {{cookiecutter.project_slug}}
BUILD := $(CURDIR)/.build
VENV := $(BUILD)/venv
BAKE := $(BUILD)/bake
# What KEEP=1 leaves running is served from its directory, so it keeps one.
DEMO := $(BUILD)/demo$(if $(KEEP),-kept)
PY := $(VENV)/bin/python

ifndef UV
UV := $(shell uv --version >/dev/null 2>&1 && command -v uv || echo $(CURDIR)/.tools/bin/uv)
endif

# The one of the project: its "audit" is a preview, which another may not have.
UV_VERSION := $(shell sed -n 's/^UV_VERSION := //p' '$(PROJECT)/Makefile')

# Every cache outside of the template, since a bake copies what lies there.
export PYTHONDONTWRITEBYTECODE = 1
export PYTEST_ADDOPTS += -p no:cacheprovider
export RUFF_CACHE_DIR = $(BUILD)/ruff
export MYPY_CACHE_DIR = $(BUILD)/mypy
export HYPOTHESIS_STORAGE_DIRECTORY = $(BUILD)/hypothesis
export COVERAGE_FILE = $(BUILD)/coverage
export UV_PYTHON_DOWNLOADS = never
export UV_SYSTEM_CERTS ?= 1

# What is slow runs in CI, and when you ask: make test-bake ARGS='-m slow'
NOT_SLOW := $(if $(filter true,$(CI)),,-m 'not slow')

# The project in the template directory, with the environment made here.
IN_PLACE = $(MAKE) --no-print-directory -C '$(PROJECT)' UV='$(UV)' VENV='$(VENV)'
PATH_OF_PYTHON = $$($(PYTHON) -c 'import sys; print(sys.executable)')

# The tests of what a project is deployed with, run as its own would be.
DEPLOYMENT = -c pyproject.toml --rootdir=. --confcutdir=../tests/project \
	-o pythonpath='. ../tests' ../tests/project

.DEFAULT_GOAL := help
.PHONY: help demo test smoke test-bake test-project test-sqlite check \
	simulate bench audit format clean python

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(firstword $(MAKEFILE_LIST)) \
	| while IFS='|' read -r name text; \
	do printf '  make %-14s %s\n' "$$name" "$$text"; done

demo: $(BAKE)/.ready ## bake a project and process one order (KEEP=1 leaves it running)
	@rm -rf '$(DEMO)' && mkdir -p '$(DEMO)/template'
	@$(PYTHON) tests/clean_copy.py '$(DEMO)/template'
	@echo 'Baking a project with the default answers ...'
	@'$(BAKE)/bin/cookiecutter' '$(DEMO)/template' --no-input --default-config --output-dir '$(DEMO)' >'$(DEMO)/log' || { cat '$(DEMO)/log' >&2; exit 1; }
	@$(MAKE) --no-print-directory -C '$(DEMO)/order_desk' demo UV='$(UV)' PYTHON='$(PYTHON)' KEEP='$(KEEP)'

test: check test-project test-bake ## run every check and test

test-project: $(VENV)/.synced-dev ## run the project's tests in place, on both databases, and those of its deployment
	@$(IN_PLACE) coverage ARGS='-n 3 --dist worksteal $(ARGS)'
	@cd '$(PROJECT)' && $(PY) -m pytest $(DEPLOYMENT) -n 3 --dist worksteal $(NOT_SLOW) $(ARGS)

test-sqlite: $(VENV)/.synced-dev ## run the project's tests on SQLite only
	@$(IN_PLACE) test test-engine ARGS='-n 3 --dist worksteal $(ARGS)'

smoke: $(VENV)/.synced-dev ## run the tests of engine, sample and site on SQLite (PYTHON=python3.13)
	@$(IN_PLACE) test ARGS='-n 3 --dist worksteal -m "not slow" -k "not twice" tests orders/tests django_hookflow/tests/engine $(ARGS)'

test-bake: $(VENV)/.synced-dev ## bake projects and test them
	@UV='$(UV)' $(PY) -m pytest -n 3 --dist worksteal $(NOT_SLOW) $(ARGS)

check: $(VENV)/.synced-dev ## check style, words, types, layers, migrations, deployment
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(PY) tests/plain_english.py
	@$(VENV)/bin/mypy
	@$(IN_PLACE) check

simulate: $(VENV)/.synced-dev ## run the engine through random histories (N=20000; SEED=4711 repeats one)
	@$(IN_PLACE) simulate $(if $(N),N='$(N)') $(if $(SEED),SEED='$(SEED)')

bench: $(VENV)/.synced-dev ## measure it beside other engines (QUICK=1 ONLY=steps)
	@UV='$(UV)' $(PY) -m benchmarks $(if $(QUICK),--quick) $(if $(ONLY),--only '$(ONLY)') $(ARGS)

# The project's versions are in a lock once it is baked and installed.
audit: | python $(filter %/.tools/bin/uv,$(UV))
	@mkdir -p '$(BUILD)/audit'
	@cp '$(PROJECT)/pyproject.toml' '$(PROJECT)/Makefile' '$(BUILD)/audit'
	@cd '$(BUILD)/audit' && $(UV) lock --quiet --upgrade
	@$(MAKE) --no-print-directory -C '$(BUILD)/audit' audit UV='$(UV)' $(if $(OSV),OSV='$(OSV)')

format: $(VENV)/.synced-dev ## format the code
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .
	@$(IN_PLACE) format

clean: ## delete all generated files
	rm -rf .build .tools

# One environment with what the template and the project need. The stamp's
# name is the one the project's Makefile looks for, so it installs nothing.
$(VENV)/.synced-dev: pyproject.toml $(PROJECT)/pyproject.toml | python $(filter %/.tools/bin/uv,$(UV))
	@echo 'Installing what development needs into .build/venv ...'
	@$(UV) venv --quiet --clear --python "$(PATH_OF_PYTHON)" '$(VENV)'
	@$(UV) pip install --quiet --python '$(PY)' --group dev --requirements '$(PROJECT)/pyproject.toml' --group '$(PROJECT)/pyproject.toml:dev'
	@$(if $(DJANGO),$(UV) pip install --quiet --python '$(PY)' 'django==$(DJANGO)')
	@touch '$(VENV)/.synced-run' '$@'

$(BAKE)/.ready: pyproject.toml | python $(filter %/.tools/bin/uv,$(UV))
	@echo 'Installing cookiecutter into .build/bake ...'
	@$(UV) venv --quiet --clear --python "$(PATH_OF_PYTHON)" '$(BAKE)'
	@$(UV) pip install --quiet --python '$(BAKE)/bin/python' --group bake
	@touch '$@'

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	|| { echo '"$(PYTHON)" is not Python 3.11 or newer: install one, or name yours, e.g. make PYTHON=python3.12' >&2; exit 1; }

$(CURDIR)/.tools/bin/uv: | python
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	|| { echo 'uv is missing and cannot be installed, since $(PYTHON) has no venv module: install uv, or e.g. apt install python3-venv' >&2; exit 1; }
	@echo 'Installing uv into .tools ...'
	@$(PYTHON) -m venv .tools
	@.tools/bin/pip install --quiet --disable-pip-version-check 'uv==$(UV_VERSION)'
