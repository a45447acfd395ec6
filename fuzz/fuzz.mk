# Fuzzing, bounded: `make fuzz`, `make fuzz FUZZ_SECONDS=600`, `make fuzz FUZZ_TARGETS=frames`.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= frames events requests names strangers config
# No sanitizer: the crate forbids unsafe code, and without one twice as many inputs are tried.
# The longest input: above every bound that the parsers have.
FUZZ_BYTES_MAX ?= 4096

.PHONY: fuzz
fuzz: cargo ## Fuzz every parser for FUZZ_SECONDS (60) each
	@if ! cargo fuzz --version >/dev/null 2>&1; then \
		echo 'skipped: no cargo-fuzz; install it with: cargo install --locked cargo-fuzz'; \
	else \
		for target in $(FUZZ_TARGETS); do \
			echo "fuzzing $$target for $(FUZZ_SECONDS) s"; \
			mkdir -p fuzz/corpus/$$target; \
			RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$target fuzz/corpus/$$target $$(ls -d fuzz/seeds/$$target 2>/dev/null) -- \
				-max_total_time=$(FUZZ_SECONDS) -max_len=$(FUZZ_BYTES_MAX) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1; \
		done; \
	fi
