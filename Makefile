# Each target sets up what it needs: a virtual environment, uv, the Rust extension, Debian packages for the tests.
.DEFAULT_GOAL := help
SHELL := /bin/bash
UV := .uv/bin/uv
RUN := $(UV) run --no-sync --quiet
export MATURIN_NO_INSTALL_RUST := 1
export UV_PYTHON_DOWNLOADS := never
# Compiled once, as an installed program is: without bytecode each start takes twice as long and 5 MB more.
export UV_COMPILE_BYTECODE := 1
unexport PYTHONDONTWRITEBYTECODE
export CARGO_TARGET_DIR := $(CURDIR)/engine/target
FUZZ_INPUTS ?= 200000

help:  ## What there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

setup:  ## The virtual environment with ShadowMesh and its extension in it
	@scripts/setup.sh
	@python=$$(scripts/python.sh) && $(UV) sync --python "$$python" --locked --all-extras --quiet

demo: setup  ## Two light nodes, a backbone and real traffic, in network namespaces
	@scripts/debian-packages.sh demo
	$(RUN) shadowmesh demo

test: setup  ## Everything that CI runs; as root also the end-to-end tests
	@scripts/debian-packages.sh test
	cargo test --manifest-path engine/Cargo.toml --workspace --exclude shadowmesh-python --release --quiet
	$(RUN) python -m pytest --durations=10

unit: setup  ## The fast tests alone: no root needed
	$(RUN) python -m pytest tests/unit --quiet

check: setup  ## Format, lint, types, import directions, a test for each module
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(RUN) python -m mypy.stubtest shadowmesh._engine
	$(RUN) lint-imports
	$(RUN) deptry src
	$(RUN) python scripts/check_mirror.py
	cargo fmt --manifest-path engine/Cargo.toml --all --check
	cargo clippy --manifest-path engine/Cargo.toml --workspace --all-targets --features shadowmesh-fuzz/libfuzzer \
		--release --quiet -- -D warnings

format: setup  ## Put the code in the form that `check` wants
	$(RUN) ruff check --fix .
	$(RUN) ruff format .
	cargo fmt --manifest-path engine/Cargo.toml --all

grid: setup  ## Real nodes behind every pair of NAT kinds, beside what theory says (root; three minutes)
	@scripts/debian-packages.sh test
	$(RUN) python -m bench.nat_grid

bench: setup  ## The figures, each as a ratio to what it is compared with (root, Go; about sixteen minutes)
	@scripts/debian-packages.sh bench
	$(RUN) python -m bench

pairs: setup  ## 10,000 random pairs of networks on a virtual internet, compared with the theory
	$(RUN) python -m tests.sim.random_pairs --pairs 10000 --seed 1

fuzz: setup  ## Mutated input for every decoder, input chosen by coverage for the engine; FUZZ_INPUTS for each target
	@scripts/debian-packages.sh fuzz
	$(RUN) python -m fuzz --inputs $(FUZZ_INPUTS)
	scripts/fuzz-engine.sh run $(FUZZ_INPUTS)

model: .tools/bin/verifpal  ## Verifpal on the session's exchange, every verdict compared (two minutes, and three to build it once)
	python3 docs/spec/model/check.py $<

.tools/bin/verifpal:
	env -u CARGO_TARGET_DIR cargo install --locked --ignore-rust-version verifpal --version 1.5.0 --root .tools --quiet

clean:  ## Remove what was built
	rm -rf .venv .uv .tools engine/target src/shadowmesh/_engine*.so

.PHONY: help setup demo test unit check format grid bench pairs fuzz model clean
