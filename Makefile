# Everything here sets itself up: Python 3.11, a Rust toolchain and make are enough. What was done is remembered by
# stamps under .venv, so a second run is fast.
#
#   make demo      watch the market maker quote and fill: a session at the matching venue, then a recording where one is found
#   make setup     everything the commands need, research and live too, in .venv
#   make test      every check and test; what .ci/run calls
#   make bench     ratios and timings (release build); PEERS_PYTHON=... adds the peers
#   make peers     our fills against hftbacktest's, in an environment of its own
#   make verify    the slow proofs
#   make mutants   FILE=...: which mutants of a file no test kills
#   make lock      pins the dependencies anew

PYTHON ?= python3.11
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
# Recordings beside the repository; a demo and some tests read them where they are.
RECORDING ?= $(firstword $(wildcard ../shared/data/hyperliquid-2025-09-04 ../data/hyperliquid-2025-09-04))
COIN ?= ETH
OUT ?= out

export PYO3_PYTHON := $(BIN)/python
export VIRTUAL_ENV := $(VENV)
export CARGO_TERM_COLOR ?= auto

# `fast` is release without link-time optimization: tests build in a fraction of the time. demo and bench use release.
RUST_SOURCES := $(shell find rust -name '*.rs' -o -name 'Cargo.toml' | grep -v /target/) Cargo.toml
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)
ifdef NEXTEST
RUST_TEST := cargo nextest run --cargo-profile fast --no-fail-fast
else
RUST_TEST := cargo test --profile fast --lib --bins --tests --no-fail-fast
endif

.PHONY: demo setup test bench peers verify mutants lock wheel format rust-lint rust-test rust-doc extension python-lint python-test clean

demo: $(VENV)/.demo-packages
	$(call build,release)
	$(BIN)/python -m hypermm.cli demo --out $(OUT)/demo $(if $(RECORDING),--data $(RECORDING) --coin $(COIN))

setup: $(VENV)/.packages
	$(call build,release)
	@echo "try: .venv/bin/hypermm --help"

# Two at a time where one alone leaves a core idle: the packages beside clippy, linters and rustdoc beside pytest.
PAIRED := --no-print-directory --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
test:
	@$(MAKE) $(PAIRED) $(VENV)/.packages rust-lint
	@$(MAKE) --no-print-directory rust-test extension
	@$(MAKE) $(PAIRED) python-test python-lint rust-doc
	@echo "make test: everything passed"

bench: $(VENV)/.packages
	$(call build,release)
	cargo bench --workspace --exclude hypermm-bindings
	PEERS_PYTHON="$(PEERS_PYTHON)" $(BIN)/python -m pytest benches/python -o addopts="--import-mode=importlib" \
		-o python_files="bench_*.py test_*.py" -W default -ra -s --benchmark-columns=min,median,iqr,rounds

# hftbacktest wants older NumPy and numba: it has an environment of its own, pinned like ours.
PEERS_VENV := $(CURDIR)/.venv-peers
peers: $(VENV)/.packages $(PEERS_VENV)/.packages
	$(call build,release)
	PEERS_PYTHON=$(PEERS_VENV)/bin/python $(BIN)/python -m pytest benches/python/test_fills_against_peer.py \
		-o addopts="--import-mode=importlib" -W default -ra -s

verify: $(VENV)/.packages
	$(call build,release)
	LAW_CASES=20000 cargo test --profile fast -p hypermm-simulation --test laws engine_storm -- --nocapture
	LAW_CASES=100000 cargo test --profile fast -p hypermm-simulation --test laws matching_ -- --nocapture
	LAW_CASES=500 cargo test --profile fast -p hypermm-simulation --test laws loopback_ -- --nocapture
	cargo test --profile fast -p hypermm-simulation --test laws matching_speed -- --nocapture --ignored
	cargo test --profile fast -p hypermm-simulation --test laws calibrated_engine -- --ignored --nocapture --test-threads 1
	cargo test --profile fast -p hypermm-simulation --test laws scenario_incidents -- --ignored --nocapture --test-threads 1
	cargo test --profile fast -p hypermm-simulation --test laws planted_forecast -- --ignored --nocapture --test-threads 1
	$(BIN)/python -m pytest tests/python -o addopts="--import-mode=importlib" -ra -s -m verify

# Every mutant of the pricing mathematics must fail a test; hours on two cores, so by file: make mutants FILE=rust/core/src/pricing/risk.rs
FILE ?= rust/core/src/pricing/reservation.rs
mutants: $(VENV)/.packages
	cargo mutants --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-mutants
	cargo mutants --package hypermm-core --test-package hypermm-simulation --test-package hypermm-core --file $(FILE) --profile fast --timeout 120 --output target/mutants

wheel: $(VENV)/.demo-packages
	$(BIN)/maturin build --release --out dist

# An editable install: the extension module stands in python/hypermm, the stamp says which profile it was built with.
define build
@if [ "$$(cat $(VENV)/.built 2>/dev/null)" != "$(1)" ] || [ -n "$$(find rust Cargo.toml pyproject.toml -newer $(VENV)/.built \( -name '*.rs' -o -name '*.toml' \) | head -1)" ]; then \
	echo "building the extension module, profile $(1)"; \
	$(BIN)/maturin develop --profile $(1) > $(VENV)/build.log 2>&1 || { cat $(VENV)/build.log; exit 1; }; \
	printf %s $(1) > $(VENV)/.built; \
fi
endef

# --- checks, one by one -----------------------------------------------------------------------------------------

# pyo3 asks the interpreter only.
rust-lint: | $(BIN)/python
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --profile fast -- -D warnings

rust-test: $(VENV)/.packages
	$(RUST_TEST)
	cargo test --doc --profile fast

rust-doc: $(VENV)/.packages
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --profile fast

extension: $(VENV)/.packages
	$(call build,fast)

python-lint: extension
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m mypy.stubtest hypermm._core

python-test: extension
	$(BIN)/python -m pytest -m "not verify"

format:
	cargo fmt --all
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# --- set-up -----------------------------------------------------------------------------------------------------

# Half of pip's time went into compiling modules nobody imports; those that are compile when they are.
INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-packages: requirements-demo.lock | $(BIN)/python
	$(BIN)/python $(INSTALL) --only-binary :all: -r requirements-demo.lock
	@touch $@

$(VENV)/.packages: requirements.lock | $(BIN)/python
	$(BIN)/python $(INSTALL) -r requirements.lock
	@touch $@ $(VENV)/.demo-packages

$(PEERS_VENV)/.packages: requirements-peers.lock
	$(PYTHON) -m venv $(PEERS_VENV)
	$(PEERS_VENV)/bin/python $(INSTALL) --only-binary :all: -r requirements-peers.lock
	@touch $@

# requirements.lock is for tests, requirements-demo.lock a subset of it with the same pins.
lock: | $(BIN)/python
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile -q --upgrade --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --all-extras --group test pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --extra cli --extra report --group build --constraint requirements.lock pyproject.toml -o requirements-demo.lock
	$(BIN)/uv pip compile -q --upgrade --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --group pyproject.toml:peers -o requirements-peers.lock

clean:
	rm -rf $(OUT) dist $(VENV) $(PEERS_VENV) python/hypermm/*.so
