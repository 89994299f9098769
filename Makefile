# The usual commands. `make run` and `make test` need Python 3.11, 3.12 or 3.13 and a
# package index; the tests also need the packages of .ci/system-packages.

PYTHON ?= python3
VENV ?= .venv
# The wheel index for torch, e.g. the CPU-only one that pytorch.org names; empty: pip's own.
TORCH_INDEX ?=
CONFIG ?= configs/default.toml
# The Python of the environment with servers by others (docs/how-to/servers.md).
INTEROP_PYTHON ?= build/interop/venv/bin/python

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast test-stalled test-torch test-gpu lint format bench bench-ears bench-load bench-gpu transport interop docs site images licences manual wheel clean

help: ## List the targets of this file
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.torch: constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	@touch $@

# Installing builds the C library; again when its source has changed.
$(VENV)/.voicebench: $(VENV)/.torch pyproject.toml $(wildcard voicebench/engines/native/*/*.[ch])
	$(PIP) --editable '.[all]'
	@touch $@

# It brings all that `setup` installs.
$(VENV)/.test: $(VENV)/.torch pyproject.toml $(wildcard voicebench/engines/native/*/*.[ch])
	$(PIP) --editable '.[dev]'
	@touch $(VENV)/.voicebench $@

setup: $(VENV)/.voicebench ## Make the environment in .venv

# Exit codes 3 (a gate failed) and 5 (undecided) are results, which the tables show, not errors of make.
run: $(VENV)/.voicebench ## Measure on the embedded models and print the tables
	@$(BIN)/voicebench run $(CONFIG) || case $$? in 3|5) ;; *) exit $$?;; esac

# Much of the suite waits for programs, servers and sound: the tests of clients and servers compute in a third of
# their time. So three tests run at a time on two cores. The tests of a file stay together: they share what it starts.
WORKERS ?= 3

# Some shells and containers forbid to keep compiled modules. Each of the hundreds of programs that tests start
# would compile them again.
unexport PYTHONDONTWRITEBYTECODE

test: $(VENV)/.test ## Run the whole test suite
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

# The rooms that need no engine, no server and no screen. They take seconds.
CORE := $(addprefix tests/,turn figures judging text audio settings results) $(filter-out tests/test_architecture.py,$(wildcard tests/test_*.py))

test-fast: $(VENV)/.test ## Run the tests of the core, in seconds
	$(BIN)/python -m pytest -p no:schemathesis -m "not models and not sound and not slow" $(CORE)

# Tests of code that waits for another thread, process or machine.
STALLED ?= tests/server tests/targets tests/remote tests/cli tests/audio tests/docs \
	tests/pipeline tests/measuring

test-stalled: $(VENV)/.test ## Run the tests with threads while one thread stops for a second: more than an hour
	PYTHONPATH=tests/support $(BIN)/python -m pytest -p stalling -m "not models" $(STALLED)

# The oldest and the newest supported torch are 2.9.1 and 2.14.1. Each gets its own environment.
TORCH ?= 2.9.1
OTHER := build/torch-$(TORCH)

test-torch: ## Run the engines' tests with another torch: make test-torch TORCH=2.14.1
	$(PYTHON) -m venv $(OTHER)
	grep -v '^torch==' constraints.txt > $(OTHER)/constraints.txt
	$(OTHER)/bin/python -m pip install --quiet --constraint $(OTHER)/constraints.txt torch==$(TORCH)
	$(OTHER)/bin/python -m pip install --quiet --constraint $(OTHER)/constraints.txt --editable '.[test]'
	$(OTHER)/bin/python -m pytest tests/engines

test-gpu: $(VENV)/.test ## Run the tests that compute on a GPU (a CUDA device)
	$(BIN)/python -m pytest -m gpu tests/engines tests/machine

lint: $(VENV)/.test ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.test ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.voicebench ## Update the generated parts of the documentation
	$(BIN)/python tools/write_docs.py

# The note about a successor of mkdocs is for its users, not for a build.
site: $(VENV)/.test ## Build the documentation site into build/site; any warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

licences: $(VENV)/.test ## Write THIRD_PARTY_LICENSES.md from the packages' metadata
	$(BIN)/python tools/write_licences.py

manual: $(VENV)/.voicebench ## Write the manual page from the help, to build/voicebench.1
	mkdir -p build
	$(BIN)/python tools/write_manual.py build/voicebench.1

images: $(VENV)/.test ## Draw the pictures of the documentation (needs Chromium)
	$(BIN)/python tools/draw_images.py

bench: $(VENV)/.test ## Measure the promises of speed on this machine
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/progress_cost.py
	$(BIN)/python benchmarks/built_library.py
	$(BIN)/python -m benchmarks.joins
	$(BIN)/python -m benchmarks.conversations
	$(BIN)/python -m benchmarks.first_audio
	$(BIN)/python -m benchmarks.long_prompts
	$(BIN)/python -m benchmarks.many_turns
	$(BIN)/python -m benchmarks.callers

bench-ears: $(VENV)/.test ## Measure how soon the agent in process answers a voice, and what it hears
	$(BIN)/python -m benchmarks.ears

# Each is a program in an environment of its own; AIPerf needs a folder with a Hugging Face tokenizer.
GUIDELLM ?=
AIPERF ?=
TOKENIZER ?=

bench-load: $(VENV)/.test ## Compare load with GuideLLM and AIPerf: make bench-load GUIDELLM=… AIPERF=… TOKENIZER=…
	$(BIN)/python -m benchmarks.load_peers $(if $(GUIDELLM),--guidellm $(GUIDELLM)) \
		$(if $(AIPERF),--aiperf $(AIPERF) --tokenizer $(TOKENIZER))

bench-gpu: $(VENV)/.test ## Measure decoders and voices on a GPU, on models of random weights
	$(BIN)/python -m benchmarks.gpu --out build/gpu

interop: $(VENV)/.voicebench ## Measure servers, agents and clients by others (docs/how-to/servers.md)
	$(BIN)/python benchmarks/interop.py --python $(INTEROP_PYTHON)
	$(BIN)/python -m benchmarks.peers

transport: $(VENV)/.voicebench ## Measure what each route of serve costs
	$(BIN)/python benchmarks/transport.py

# Both are compiled by the package ziglang, and run on every Linux with glibc 2.17 or newer.
wheel: $(VENV)/.voicebench ## Build the wheels for x86-64 and aarch64 into dist/
	VOICEBENCH_PLATFORM=linux-x86_64 $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	VOICEBENCH_PLATFORM=linux-aarch64 $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## Remove the environment and caches, never results
	rm -rf $(VENV) build voicebench/engines/native/built *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
