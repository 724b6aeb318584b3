# The two commands: `make demo` completes real files with the real model, `make test` passes the tests.
# Both set up all they need in .venv. `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := 2.13.0
# Linux wheels of PyTorch carry CUDA unless they are the build for CPUs; elsewhere there is that build only.
TORCH_BUILD := $(TORCH)$(if $(filter Linux,$(shell uname -s)),+cpu)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow mutation check check-style check-types check-types-windows format bench soak rehearse clean vsix check-vscode editors test-editors bundle

help:
	@echo "make demo       infill real source files with the default model"
	@echo "make test       run the tests"
	@echo "make test-slow  run also the long tests and those of the real model"
	@echo "make mutation   change the code at random places and see which changes no test notices (hours)"
	@echo "make check      formatting, lint, types, grammar queries"
	@echo "make format     put the code into shape"
	@echo "make bench      measure forwards, decoding and the server, each beside its peer"
	@echo "make soak       edit for MINUTES=4: texts stay equal, memory flat, every request is answered"
	@echo "make rehearse   the training pipeline on a tiny model, to its last step (about 8 minutes)"
	@echo "make vsix       the VS Code extension, as vscode-client/setfill.vsix"
	@echo "make bundle     all wheels that Setfill needs on this kind of machine, in dist/bundle: it installs without a network"
	@echo "make check-vscode  formatting, lint, types and unit tests of the extension"
	@echo "make test-editors  the extension in real VS Codes, the newest and the oldest that it supports (downloads 300 MB)"
	@echo "make setup      only install into $(VENV)"
	@echo "make clean      remove $(VENV) and caches"

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt weights/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("setfill needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv module is missing; on Debian: apt-get install -y make python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "installing PyTorch $(TORCH), the CPU build"
	@$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/pip install -q "torch==$(TORCH_BUILD)" -c constraints.txt || { \
		echo; \
		echo "The CPU build of PyTorch $(TORCH) cannot be had from your package index."; \
		echo "Install it, or the build for your GPU, the way PyTorch's install page says, with"; \
		echo "    $(BIN)/pip install torch==$(TORCH) ..."; \
		echo "and run make again. (Plain 'pip install torch' also works; on Linux it brings gigabytes of CUDA.)"; \
		exit 1; }
	$(BIN)/pip install -q -c constraints.txt -e ".[dev]" -e ./weights
	@touch $@

demo: setup
	@$(BIN)/setfill demo

# What serving a team needs, 420 MB that only its tests and those who run a service have a use for.
$(VENV)/.team: $(VENV)/.installed
	$(BIN)/pip install -q -c constraints.txt -e ".[team]"
	@touch $@

test: setup $(VENV)/.team
	$(BIN)/python -m pytest

test-slow: setup $(VENV)/.team
	$(BIN)/python -m pytest --slow --timeout=3600

mutation: setup
	$(BIN)/pip install -q -e ".[mutation]"
	$(BIN)/python -m tests.mutation

# In parts, for `make -j2 check`: the two runs of mypy take most of the time, a core each.
check: check-types check-types-windows check-style

check-style: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m grammars.check

check-types: setup
	$(BIN)/mypy

check-types-windows: setup
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python -m benchmarks.forward
	$(BIN)/python -m benchmarks.decoding
	$(BIN)/python -m benchmarks.server

MINUTES ?= 4
soak: setup
	$(BIN)/python -m tests.soak --minutes $(MINUTES)

rehearse: setup
	$(BIN)/python -m model.training.rehearse

# The extension is built by a node of its own, whatever the machine has.
EDITORS := .cache/editors/vscode
CLIENT := vscode-client
NPM := cd $(CLIENT) && PATH="$(CURDIR)/$(EDITORS)/node/bin:$$PATH" npm

$(EDITORS)/node/.installed: $(CLIENT)/test/editors/install | setup
	PYTHON=$(CURDIR)/$(BIN)/python $(CLIENT)/test/editors/install $(EDITORS) node
	@touch $@

$(CLIENT)/node_modules/.package-lock.json: $(CLIENT)/package-lock.json $(EDITORS)/node/.installed
	$(NPM) ci --ignore-scripts --no-audit --no-fund
	@touch $@

vsix: $(CLIENT)/node_modules/.package-lock.json
	$(NPM) run --silent package

check-vscode: $(CLIENT)/node_modules/.package-lock.json
	$(NPM) run --silent check
	$(NPM) run --silent test

# For the Python that makes it: `setfill.environment.wheels` wants wheels for the one that the environment is made with.
bundle: setup
	rm -rf dist/.bundle dist/bundle build weights/build
	$(BIN)/pip wheel -q --no-deps --wheel-dir dist/bundle . ./weights
	$(BIN)/pip download -q --only-binary :all: -c constraints.txt -d dist/bundle "torch==$(TORCH_BUILD)" dist/bundle/setfill-*.whl
	@du -sh dist/bundle
	@touch dist/.bundle

# The tests take all but Setfill's own wheel from it, which the extension brings.
dist/.bundle: pyproject.toml constraints.txt weights/pyproject.toml
	$(MAKE) bundle

editors: $(EDITORS)/node/.installed
	PYTHON=$(CURDIR)/$(BIN)/python $(CLIENT)/test/editors/install $(EDITORS) all

test-editors: editors vsix dist/.bundle
	$(NPM) run --silent test:editors

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
