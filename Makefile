# Everything here works in a fresh clone: a target installs what it needs first, into .venv/.
# `make` alone lists the targets.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# The stamp carries a checksum of where the checkout is: an environment does not survive a move.
STAMP  := $(VENV)/.installed-$(shell pwd | cksum | cut -d' ' -f1)
# The Express service of the tests; node and npm come from a Python wheel.
EXPRESS := tests/e2e/apps/express_todo
# SDKs of others for the API that a system speaks, which its tests drive.
SDKS := $(wildcard systems/*/tests/sdk)
NODE_STAMPS := $(patsubst %,%/node_modules/.installed,$(EXPRESS) $(SDKS))
TYPED  := src $(wildcard systems/*/src)
SYSTEM ?= systems/shortener

# Tests run side by side, a file at a time in each process, in the order they are named: the long
# ones come first, since a long one that starts last keeps everybody waiting. No more processes than
# the smallest CI machine has cores: with a third one three tests in 6,093 saw what it disturbed.
SIDE_BY_SIDE := -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help install review test check lint types kernels unit bench acceptance ledger lock clean

help: ## list the targets
	@echo "Loadpath. In a fresh clone, start with: make review"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv/ and install everything into it

$(STAMP): requirements.lock pyproject.toml tools/install.sh $(wildcard systems/*/pyproject.toml)
	@PYTHON="$(PYTHON)" VENV="$(VENV)" STAMP="$(STAMP)" sh tools/install.sh

review: $(STAMP) ## measure the link shortener that ships here, and say what gives out first (minutes)
	@$(BIN)/loadpath run $(SYSTEM) || case $$? in \
	  1) echo "The review is whole; its answer is that an objective is missed (loadpath: exit 1)." ;; \
	  3) echo "The review is whole; its answer is inconclusive, as said above (loadpath: exit 3)." ;; \
	  *) exit $$? ;; \
	esac

test: $(STAMP) ## every check there is: lint, types, layers, all tests; what CI runs
	@$(MAKE) --no-print-directory -j3 types kernels $(NODE_STAMPS) lint
	$(BIN)/pytest $(SIDE_BY_SIDE) tests/e2e tests/integration systems tests/unit

check: lint types unit ## the fast checks: lint, types, layers, unit tests

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache

types: $(STAMP)
	$(BIN)/mypy $(TYPED)

# Compiled before the tests start: several would compile the same at once, beside what is measured.
kernels: $(STAMP)
	@$(BIN)/python tools/kernels.py

$(NODE_STAMPS): %/node_modules/.installed: %/package-lock.json tools/npm.py | $(STAMP)
	@echo "Installing the packages of $*"
	@$(BIN)/python tools/npm.py ci --silent --no-audit --no-fund --ignore-scripts --prefix $*
	@touch $@

unit: kernels
	$(BIN)/pytest $(SIDE_BY_SIDE) tests/unit

bench: $(STAMP) ## the benchmarks, each beside its peers, into docs/reference/benchmarks.md
	@status=0; for file in $(wildcard bench/*.py); do \
	  echo "== $$file"; $(BIN)/python $$file --write || status=1; \
	done; exit $$status

acceptance: $(STAMP) ## everything that is promised, resumable (hours; STEPS="--only knees", --fresh)
	@$(BIN)/python tools/acceptance $(STEPS)

ledger: $(STAMP) ## predictions made, then measured, resumable (hours; ARGS="--list", "--only NAME")
	@PYTHONPATH=bench $(BIN)/python -m accuracy $(ARGS)

lock: $(STAMP) ## resolve the dependencies again and write requirements.lock (UPGRADE=--upgrade: newest)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@PATH="$(BIN):$$PATH" $(BIN)/python tools/lock.py $(UPGRADE)

clean: ## remove .venv/ and every cache; keeps .loadpath/, where the recordings are
	rm -rf $(VENV) $(patsubst %,%/node_modules,$(EXPRESS) $(SDKS)) .bench
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.loadpath/*' -type d -prune -exec rm -rf {} +
