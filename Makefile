# What this repository can do. `make help` lists it; each target says itself what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
export PATH := $(HOME)/.cargo/bin:$(PATH)

RUST_VERSION := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: cargo ## Start a server with nothing configured, and its demo page
	cargo run --release -- --demo

.PHONY: test
test: setup lint test-rust test-clients ## All that CI runs: set-up, lints, Rust tests, real clients

.PHONY: lint
lint: cargo ## rustfmt and clippy, warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

.PHONY: test-rust
test-rust: cargo ## Rust tests; those over real sockets with 1 and with 4 shards
	BOWLINE_SHARDS=1 cargo test --workspace
	BOWLINE_SHARDS=4 cargo test --test it

.PHONY: test-clients
test-clients: $(if $(BOWLINE_BIN),,cargo) ## Unmodified clients against the server, or against BOWLINE_BIN
	$(if $(BOWLINE_BIN),,cargo build --bin bowline)
	tests/clients/run

.PHONY: setup
setup: ## Install what the tests need: Debian packages (as root), npm and Python packages (here)
	scripts/setup

.PHONY: clean
clean: ## Remove what was built, installed and cached here
	rm -rf .cache dist tests/clients/node_modules
	cargo clean

.PHONY: cargo
cargo:
	@command -v cargo >/dev/null || { echo 'no cargo: install Rust $(RUST_VERSION) or newer, see https://rustup.rs' >&2; exit 1; }
	@have=$$(cargo --version | cut -d ' ' -f 2); printf '%s\n' '$(RUST_VERSION)' "$$have" | sort -VC || \
		{ echo "cargo $$have is older than $(RUST_VERSION): run 'rustup update stable', or see https://rustup.rs" >&2; exit 1; }

-include fuzz/fuzz.mk load-tests/bench.mk deploy/package.mk
