# Thin: each target is one command that the README explains.
# Always the whole workspace: cargo unifies features over what is selected, and another selection
# would compile half of the tree again.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
# One selection for building and for testing: `--all-targets` unifies features as `cargo test` does.
BUILD := $(CARGO) build --workspace --all-targets
# For each target of the fuzzer.
SECONDS ?= 1200
export REEVE_BIN = $(TARGET)/debug/reeve

.PHONY: help prepare guests check test demo oracle generate plugins cluster bench soak storm fuzz image dist book audit clean

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

prepare: ## Install what Debian's packages give and name what else is missing
	@tests/prepare.sh

cluster: prepare ## Build the real control plane and the oracle CLIs (once, into target/cluster)
	@tests/cluster/build.sh >/dev/null

plugins: prepare ## Build the guests of plugins/ into target/plugins
	@plugins/build.sh

guests: prepare ## Build the guests in Go, JavaScript and Python as their authors would, and run their cases
	$(BUILD)
	@plugins/guests.sh

check: prepare ## Formatting, lints, shape and unit tests
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) test --workspace --lib --test shape

test: prepare plugins cluster ## Everything: check, cases, guests, scenarios on a real cluster
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@tests/cluster/build.sh gitea >/dev/null
	@tests/forges/build.sh >/dev/null
	$(BUILD)
	@plugins/guests.sh
	REEVE_REQUIRE_CLUSTER=1 $(CARGO) test --workspace

demo: prepare plugins cluster ## Play the story on a real cluster; ONCE=1 exits when it was seen to be true
	$(BUILD)
	@$(TARGET)/debug/demo $(if $(ONCE),--once)

oracle: prepare plugins cluster ## Ask the real kustomize what it makes of every case, the real opa of the policies, and a real Flux of what it hands over
	REEVE_REQUIRE_CLUSTER=1 $(CARGO) test --workspace --test oracle
	REEVE_REQUIRE_CLUSTER=1 $(CARGO) test --workspace --test scenarios opa
	@tests/cluster/build.sh kustomize-controller >/dev/null
	$(BUILD)
	REEVE_SOAK=1 REEVE_REQUIRE_CLUSTER=1 $(CARGO) test --workspace --test scenarios migrate::real

generate: ## Rewrite every generated file
	REEVE_BLESS=1 $(CARGO) test --workspace --lib

bench: prepare plugins cluster ## What is promised in numbers, with a release build: WHAT=push, forge, render, plugins, policies, neighbours, drift, fair, tenants, shards, onboard, fetch or writeback for one
	$(if $(filter-out forge,$(WHAT)),,@tests/cluster/build.sh gitea >/dev/null)
	$(CARGO) build --release --workspace --bin reeve --bin bench
	@RUST_LIB_BACKTRACE=0 REEVE_BIN=$(TARGET)/release/reeve $(TARGET)/release/bench $(WHAT)

# The scenarios in which something breaks, and how often a soak runs each.
FAULTS := faults:: outage:: leader:: shards:: stop:: superseded:: withdraw:: git::fault::
ROUNDS ?= 20

# What fails does not keep the rest from being run: nobody reads along. An earlier version is built for the upgrade (target/older).
soak: prepare plugins cluster ## The full numbers: every generator, and each fault ROUNDS=20 times; hours
	@tests/cluster/build.sh kustomize-controller >/dev/null
	$(CARGO) build --release --workspace --bin reeve
	@export REEVE_BIN=$(TARGET)/release/reeve REEVE_REQUIRE_CLUSTER=1; failed=0; \
	REEVE_SOAK=1 REEVE_ROUNDS=$(ROUNDS) $(CARGO) test --workspace --no-fail-fast -- --nocapture || failed=1; \
	for round in $$(seq $(ROUNDS)); do echo "round $$round of $(ROUNDS)"; \
		$(CARGO) test --workspace --test scenarios -- $(FAULTS) || failed=1; done; \
	exit $$failed

storm: prepare plugins cluster ## A push to fifty tenants with each fault ROUNDS=20 times, a line each in target/storm.tsv; hours
	$(CARGO) build --release --workspace --bin reeve
	REEVE_BIN=$(TARGET)/release/reeve REEVE_SOAK=1 REEVE_ROUNDS=$(ROUNDS) REEVE_REQUIRE_CLUSTER=1 \
		$(CARGO) test --workspace --test scenarios -- --nocapture storm::

fuzz: prepare ## Feed the YAML reader, whole builds and policies what a fuzzer invents: SECONDS=1200 for each of six
	tests/fuzz/run.sh $(SECONDS)

# Of the image's layers together, compressed.
MOST ?= 41943040

image: prepare plugins ## An OCI image from a release build, with its SBOM, into target/image; no container engine is needed
	$(CARGO) build --release --workspace --bin reeve --bin image
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(TARGET)/release/image --binary $(TARGET)/release/reeve \
		--plugins target/plugins --into target/image --revision $$(git rev-parse HEAD) --most-bytes $(MOST)

dist: image ## All that a release has, with its checksums, into target/dist
	@tests/dist.sh $(TARGET)/release/reeve

book: ## The book of docs/ as pages, into docs/book; mdbook has to be installed
	mdbook build docs

# Plugins and the fuzzer are workspaces of their own; the fuzzer goes to nobody, so its licences are nobody's concern.
audit: ## What is known against the dependencies, their licences and where they come from; cargo-deny has to be installed
	$(CARGO) deny --workspace --locked check
	$(CARGO) deny --manifest-path ./plugins/Cargo.toml --locked check --config deny.toml advisories licenses sources
	$(CARGO) deny --manifest-path ./tests/fuzz/Cargo.toml --locked check --config deny.toml advisories sources

clean: ## Remove what was built
	$(CARGO) clean
