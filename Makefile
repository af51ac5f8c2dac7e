# `make` lists what there is to do.

SHELL := bash
PORT ?= 8000
BIND ?= 127.0.0.1

TARGET := $(or $(CARGO_TARGET_DIR),target)
SERVER := $(TARGET)/release/epsilon-lab
CLIENT := $(TARGET)/client.stamp

# What the client is made of; the server's own files are not.
CLIENT_SOURCES := index.html Trunk.toml Cargo.toml Cargo.lock .cargo/config.toml .ci/env .ci/finish-client.mjs \
	$(shell find src style assets -type f -not -path 'src/server/*' -not -path 'src/cli/*' -not -name main.rs)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: serve
serve: dist ## Build what is missing and serve the Lab at http://BIND:PORT (127.0.0.1:8000)
	@exec $(SERVER) serve --bind $(BIND) --port $(PORT)

.PHONY: dist
dist: setup $(CLIENT) server ## Build dist/, ready for any static host, with .br and .gz beside its files
	@$(SERVER) pack dist

.PHONY: client
client: setup $(CLIENT) ## Build the page and its engine into dist/, uncompressed

.PHONY: server
server: ## Build the server and the command line
	cargo build --release --locked

.PHONY: test
test: ## Check formatting and lints, run every test; the last line is "N passed, N failed"
	@.ci/setup tests
	@.ci/test

.PHONY: bench
bench: dist ## Measure size and speed; target/bench.json
	@.ci/setup tests
	node benches/run.mjs

.PHONY: bench-peers
bench-peers: dist ## The same beside tfjs and onnxruntime-web
	@.ci/setup tests
	node benches/run.mjs --peers

.PHONY: fuzz
fuzz: server ## Send the server requests of every shape (schemathesis, which this installs with pip)
	@.ci/fuzz

.PHONY: miri
miri: ## Run the network's portable kernels under Miri, with a nightly compiler that this installs
	rustup toolchain install nightly --profile minimal --component miri --component rust-src
	MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test --lib -- executor::tests::of_equal executor::tests::equal_cells

.PHONY: screenshot
screenshot: ## Take the README's picture anew: docs/screenshot.png
	@.ci/setup tests
	@.ci/test screenshot

.PHONY: fmt
fmt: ## Format the code
	cargo fmt

.PHONY: clean
clean: ## Remove what was built; installed tools stay
	cargo clean
	rm -rf dist tests/e2e/test-results

# Looks for the tools and installs those that are missing.
.PHONY: setup
setup:
	@.ci/setup client

# A stamp is older than no source, and worthless without what it stands for.
ifeq ($(wildcard dist/index.html),)
.PHONY: $(CLIENT)
endif

$(CLIENT): $(CLIENT_SOURCES) | setup
	@. .ci/env && with_wasm trunk build --skip-version-check
	@mkdir -p $(@D) && touch $@
