# Everything starts here: `make` lists what there is. Works with GNU make 3.81 and later, on Linux and macOS.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup run demo test check bench chaos chaos-kafka lock clean

BIN := .venv/bin
# Stamps: what they stand for is installed and no newer lock asks for more. They make the second start quick.
CAN_RUN := .venv/.can-run
CAN_STREAM := .venv/.can-stream
CAN_WORK := .venv/.can-work

# Whether `make run` is to take in images from Kafka, which asks for a client library more.
WANTS_KAFKA := $(findstring kafka,$(ARGS))$(MAYFLY_KAFKA)$(shell grep -s '^kafka' mayfly.toml)

# Any uv may install, since hashes decide what is accepted; only this version writes or compares locks.
LOCK_UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements-uv.txt)
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
LOCK_UV := $(if $(findstring uv $(LOCK_UV_VERSION),$(shell $(UV) --version 2>/dev/null)),$(UV),.tools/bin/uv)
# Compiled at once: without that, a start costs a second more wherever Python may not write its cache.
INSTALL := $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python
COMPILE := $(LOCK_UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
  --python-version 3.11 $(if $(UPGRADE),--upgrade)
# The build's tools are in requirements-build.txt, locked like the rest: nothing is fetched to build with.
LOCKED := --require-hashes --no-build-isolation

FIND_PYTHON := for name in python3.13 python3.12 python3.11 python3 python; do \
    if command -v $$name >/dev/null 2>&1 && $$name -c \
      'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; \
    then python=$$name; break; fi; \
  done; \
  if [ -z "$$python" ]; then \
    echo "Mayfly needs Python 3.11, 3.12 or 3.13, and none is on your PATH. Install one, then run make again." >&2; \
    exit 1; \
  fi

help: ## list these targets
	@echo "Usage: make TARGET"
	@echo
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' Makefile

setup: $(CAN_WORK) ## make .venv with Mayfly and everything to work on it

run: $(CAN_RUN) $(if $(WANTS_KAFKA),$(CAN_STREAM)) ## start Mayfly on this machine (ARGS="--port 9000" passes options on; --kafka brings its client)
	@exec $(BIN)/mayfly up $(ARGS)

demo: $(CAN_RUN) ## watch images live seven days in a minute (PHOTOS=folder takes your own)
	@exec $(BIN)/mayfly demo $(if $(PHOTOS),--photos "$$PHOTOS") $(ARGS)

test: $(CAN_WORK) ## run every test but the chaos campaigns (ARGS="-k name" narrows)
	@scripts/system.sh || true
	@exec $(BIN)/python -m pytest -m "not chaos" $(ARGS)

chaos: $(CAN_WORK) ## kill processes under load, 50 rounds (MAYFLY_CHAOS_ROUNDS=n changes that)
	@MAYFLY_CHAOS_ROUNDS=$${MAYFLY_CHAOS_ROUNDS:-50} exec $(BIN)/python -m pytest -m chaos $(ARGS)

chaos-kafka: $(CAN_WORK) ## 10,000 messages from Kafka under kills, restarts and a replay (PHOTOS=folder adds yours)
	@PYTHONPATH=tests exec $(BIN)/python -m support.chaos_kafka

bench: $(CAN_WORK) ## measure, each figure beside its yardstick
	@PYTHONPATH=tests exec $(BIN)/python -m benchmarks $(ARGS)

check: $(CAN_WORK) $(LOCK_UV) ## lint, format, types, import law, locks, notices, words
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/locks.py $(LOCK_UV)
	$(BIN)/python scripts/notices.py --check
	$(BIN)/python scripts/words.py

lock: $(LOCK_UV) ## write the locked requirements anew (UPGRADE=1 takes newer versions)
	$(COMPILE) pyproject.toml --all-extras --group dev --output-file requirements-dev.txt
	$(COMPILE) pyproject.toml --constraints requirements-dev.txt --output-file requirements.txt
	$(COMPILE) pyproject.toml --extra kafka --constraints requirements-dev.txt --output-file requirements-kafka.txt
	$(COMPILE) --group build --constraints requirements-dev.txt --output-file requirements-build.txt
	$(COMPILE) --group lock --output-file requirements-uv.txt
	@$(MAKE) --no-print-directory $(CAN_WORK)
	$(BIN)/python scripts/notices.py

clean: ## remove what make made (data folders stay)
	rm -rf .venv .tools .programs dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

.tools/bin/uv: requirements-uv.txt
	@echo "Installing uv into .tools"
	@$(FIND_PYTHON); \
	rm -rf .tools; \
	$$python -m venv .tools || { \
	  echo "$$python cannot make virtual environments (on Debian and Ubuntu: install python3-venv)." >&2; exit 1; }
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@touch $@

$(BIN)/python: | $(UV)
	@$(FIND_PYTHON); \
	rm -rf .venv; \
	echo "Making .venv with $$($$python --version)"; \
	$(UV) venv --quiet --no-python-downloads --python "$$(command -v $$python)" .venv

$(CAN_RUN): pyproject.toml requirements-build.txt requirements.txt | $(UV) $(BIN)/python
	@echo "Installing what Mayfly runs on"
	@$(INSTALL) $(LOCKED) -r requirements-build.txt
	@$(INSTALL) $(LOCKED) -r requirements.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src
	@touch $@

$(CAN_STREAM): $(CAN_RUN) requirements-kafka.txt
	@echo "Installing the Kafka client"
	@$(INSTALL) $(LOCKED) -r requirements-kafka.txt
	@touch $@

$(CAN_WORK): $(CAN_RUN) requirements-dev.txt
	@echo "Installing what working on Mayfly takes"
	@$(INSTALL) $(LOCKED) -r requirements-dev.txt
	@touch $@
