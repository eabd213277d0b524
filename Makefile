# Everything here installs what it needs into .venv first; "make" alone lists the targets.
PORT ?= 8000
SYSTEM := tests/faults tests/loads tests/deploy
RUFF := .venv/bin/ruff
# Tests start many processes: where bytecode is not kept, each would compile everything again.
unexport PYTHONDONTWRITEBYTECODE
PYTHON_FILES := . scripts/conformance scripts/pin scripts/screenshots

.DEFAULT_GOAL := help
.PHONY: help run test system lint types format bench churn conformance faults loads screenshots pin clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

run: ## start the server (PORT=8000)
	@scripts/setup run
	@.venv/bin/hubbub serve --port $(PORT)

test: PYTEST ?= -n 4 --dist worksteal
test: ## run the tests, browser tests included, all but those of "make system" (PYTEST="-n 4" are pytest's arguments)
	@scripts/setup test
	@scripts/programs
	@HUBBUB_CHROMIUM=$$(scripts/browser) && export HUBBUB_CHROMIUM && \
		.venv/bin/python -m pytest $(SYSTEM:%=--ignore=%) $(PYTEST)

system: PYTEST ?= -n 2
system: ## run small forms of "make faults" and "make loads", and the tests of deploy/ behind real proxies
	@scripts/setup test
	@scripts/programs
	@.venv/bin/python -m pytest $(SYSTEM) $(PYTEST)

lint: ## check style and formatting
	@scripts/setup test
	$(RUFF) check $(PYTHON_FILES)
	$(RUFF) format --check $(PYTHON_FILES)

types: ## check the types, strictly
	@scripts/setup test
	.venv/bin/mypy
	.venv/bin/mypy --config-file scripts/types-windows.toml

format: ## format the code
	@scripts/setup test
	$(RUFF) check --fix $(PYTHON_FILES)
	$(RUFF) format $(PYTHON_FILES)

bench: ## measure fan-out beside the tutorial's manager
	@scripts/setup test
	@.venv/bin/python -m benchmarks

churn: ## let 200,000 clients come and go, and look for what they leave behind
	@scripts/setup test
	@.venv/bin/python -m benchmarks.churn

conformance: ## run the Autobahn suite against the server
	@scripts/setup test
	@.venv/bin/python scripts/conformance

faults: ## kill workers and brokers, cut links, at full size; prints the figures (minutes)
	@scripts/setup test
	@HUBBUB_FAULTS=full .venv/bin/python -m pytest tests/faults -s -n 0

loads: ## deploys, crashes, stalled and vanished peers under load, at full size; prints a table (20 minutes)
	@scripts/setup test
	@HUBBUB_FAULTS=full .venv/bin/python -m pytest tests/loads -n 0

screenshots: ## make the pictures of the pages in docs/images
	@scripts/setup test
	@HUBBUB_CHROMIUM=$$(scripts/browser) && export HUBBUB_CHROMIUM && .venv/bin/python scripts/screenshots

pin: ## renew constraints.txt (needs Python 3.11 to 3.14)
	@scripts/pin

clean: ## remove what was made here, .venv included
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find benchmarks examples src tests -name __pycache__ -prune -exec rm -rf {} +
