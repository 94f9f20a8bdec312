# makeinfra's own targets. `make test` is all that a fresh machine with Rust, git and make needs.

.DEFAULT_GOAL := help
.PHONY: help test tools lint bench examples

help: ## Print this
	@awk '/^[a-z]+:.*## / { target = text = $$0; sub(/:.*/, "", target); sub(/^.*## /, "", text); \
		printf "  %-10s %s\n", target, text }' Makefile

test: tools ## Run all tests, with the real git, git-crypt, make and kubectl
	cargo test --locked

tools: ## Install the programs that the tests need, where that can be done
	@tests/tools

lint: ## Check formatting, lints, documentation and dependencies
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet
	cargo deny check licenses bans sources

bench: tools ## Measure against the commands that makeinfra replaces
	@tests/bench

examples: ## Generate examples/ anew, picture included
	MAKEINFRA_UPDATE=1 cargo test --locked --test it -- examples:: picture::
