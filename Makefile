# make demo   sets up .venv and runs the main job        make test   sets up .venv and passes the tests
# make tour   plays the commands of five tutorials on fresh clusters, and compares what they show
# make seeds N=1000   plays a thousand random stories of a cluster on all cores; FIRST=... says with which seed to begin
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test seeds tour wire containers lint mission bench clean setup mutations

demo: $(READY)
	@$(BIN)/muster demo

# two processes or a few; real nodes take the machine for themselves
test: $(VENV)/.tests-ready
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --ignore tests/containers
	@$(BIN)/python -m pytest tests/containers

N     ?= 500
FIRST ?= 0

seeds: $(VENV)/.tests-ready
	@$(BIN)/python -m muster.rehearsal.story_seeds --count $(N) --first $(FIRST)

# breaks the controllers by hand, one at a time, and sees each breach caught (tests/mutations/mutations.py lists them)
mutations: $(VENV)/.tests-ready
	@$(BIN)/python tests/mutations/run.py

tour: $(READY)
	@$(BIN)/python examples/tour/play.py

wire: $(VENV)/.tests-ready
	@$(BIN)/python -m pytest tests/wire

# real pods, with the scenarios that take long: needs root and containerd
containers: $(VENV)/.tests-ready
	@MUSTER_LONG=1 $(BIN)/python -m pytest tests/containers

lint: $(VENV)/.tests-ready
	@$(BIN)/ruff check .
	@$(BIN)/mypy

mission: $(VENV)/.tests-ready
	@$(BIN)/python tools/mission_table.py

# quick figures, less than a minute in all; `muster bench --help` says how to ask for more (docs/performance.md)
bench: $(READY)
	@$(BIN)/muster bench all --nodes 300 --seconds 0.5

setup: $(READY)

$(READY): pyproject.toml | check-python
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  echo "Python's venv module is missing. On Debian or Ubuntu: sudo apt install python3-venv, then again: make demo" >&2; \
	  rm -rf $(VENV); exit 1; }
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[explain]'
	@touch $@

$(VENV)/.tests-ready: $(READY)
	@echo "installing what the tests need ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[explain,test]'
	@touch $@

.PHONY: check-python
check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Muster needs Python 3.11 or newer; '$(PYTHON)' is not that. Install it, or say which one: make PYTHON=python3.12 demo" >&2; exit 1; }

clean:
	rm -rf $(VENV)
