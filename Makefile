# makeinfra's own targets. `make test` is all that a fresh machine with Rust, git and make needs.

.DEFAULT_GOAL := help
.PHONY: help test test-cluster differential faults fuzz model tools lint bench examples outputs dist release test-dist mutants

help: ## Print this
	@awk '/^[a-z-]+:.*## / { target = text = $$0; sub(/:.*/, "", target); sub(/^.*## /, "", text); \
		printf "  %-18s %s\n", target, text }' Makefile

test: tools ## Run all tests, with the real git, git-crypt, make and kubectl, and on the test cluster where it is built
	tests/cluster/run cargo test --locked

test-cluster: tools ## Build a Kubernetes cluster for tests (once, a quarter of an hour, as root) and run the tests on it
	tests/cluster/build
	tests/cluster/run cargo test --locked --test it -- cluster::

differential: ## Read 100,000 random attribute files as git does; `make test` reads a tenth of them
	cargo test --locked --test it -- differential:: --ignored

faults: tools ## Try every fault of tests/it/faults.rs, of which `make test` tries a sample
	MAKEINFRA_FAULTS=all cargo test --locked --test it -- faults::

# The file below tests/it/fuzz whose targets run (none: all), seconds for each target, and the seed of its inputs.
FUZZ    =
SECONDS = 60
SEED    = $(shell date +%s)

fuzz: ## Try random inputs on every parser, or on those of FUZZ=yaml, for SECONDS=60 each
	PROPTEST_RNG_SEED=$(SEED) MAKEINFRA_FUZZ_SECONDS=$(SECONDS) cargo test --locked --profile fuzz --test it -- --nocapture \
		$(if $(FUZZ),fuzz::$(FUZZ),fuzz::)

model: tools ## Play random histories of clones, a GitLab and a cluster, with killed commands, for SECONDS=60
	PROPTEST_RNG_SEED=$(SEED) MAKEINFRA_MODEL_SECONDS=$(SECONDS) cargo test --locked --test it -- --nocapture model::no_token

mutants: tools ## Change the code of encryption, keyring, YAML edits and commits, one operator at a time: a test must fail (hours)
	@cargo mutants --version > /dev/null 2>&1 || \
		{ echo "cargo-mutants is not installed: cargo install --locked cargo-mutants" >&2; exit 1; }
	mkdir -p target/mutants/pure target/mutants/commits
	cargo mutants --output target/mutants/pure --timeout 300 \
		$(addprefix --file ,src/git_crypt.rs src/pull_secret/keyring.rs 'src/pull_secret/keyring/**' src/yaml_edit.rs 'src/yaml_edit/**') \
		-- --locked --lib -- git_crypt:: keyring:: yaml_edit::
	cargo mutants --output target/mutants/commits --timeout 900 \
		$(addprefix --file ,src/commands/transaction.rs src/repo/commit.rs src/repo/locks.rs src/repo/objects.rs src/files/batch.rs) \
		-- --locked --lib --test it -- transaction:: batch:: rotate secret_ add:: atomic:: places:: faults::

tools: ## Install the programs that the tests need, where that can be done
	@tests/tools

lint: ## Check formatting, lints, documentation and dependencies
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet
	cargo deny check licenses bans sources
	shellcheck -x -P SCRIPTDIR tests/tools tests/bench tests/quality/build tests/dist releases/add \
		$(addprefix packaging/,dist kubectl-makeinfra release tools zig) $(addprefix tests/cluster/,build debian down images node reset run up)

bench: tools ## Measure against the commands that makeinfra replaces
	@tests/bench

examples: ## Generate examples/ anew, picture included
	MAKEINFRA_UPDATE=1 cargo test --locked --test it -- examples:: picture::

outputs: ## Write tests/outputs anew: all that users see as a whole
	MAKEINFRA_UPDATE=1 cargo test --locked --test it -- outputs::

dist: ## Build archives and packages for Linux into dist/; packaging/README.md lists them
	packaging/dist

release: ## Archive the templates, check this commit, build it twice, try it; KEY=FILE signs, TRY=1 lists what is missing
	@packaging/release

test-dist: ## Try what `make dist` has built, on Debian 12 and 13 (as root)
	tests/dist
