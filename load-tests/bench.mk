# What the server costs, beside the physical bound and beside Soketi: see load-tests/README.md.
BENCH_TARGET := $(or $(CARGO_TARGET_DIR),target)
BENCH_SERVER ?= $(BENCH_TARGET)/release/bowline
# A program that starts Soketi with the environment that it is given; without it there are no ratios to Soketi.
BENCH_SOKETI ?=
# Questions (fanout, publish, ...); all unless named.
BENCH_QUESTIONS ?=
BENCH_FLAGS ?=
bench_run = $(BENCH_TARGET)/release/bowline-bench $(BENCH_QUESTIONS) --server $(BENCH_SERVER) \
	$(if $(BENCH_SOKETI),--soketi $(BENCH_SOKETI)) --json $(BENCH_TARGET)/bench.json $(BENCH_FLAGS)

.PHONY: bench
bench: bench-build ## Measure the server beside its bounds and, by BENCH_SOKETI, beside Soketi: 15 minutes
	$(bench_run)

.PHONY: bench-quick
bench-quick: bench-build ## The same at a glance: 3 minutes
	$(bench_run) --quick

.PHONY: bench-build
bench-build: cargo
	cargo build --release -p bowline -p bowline-bench
