# Everything a developer runs; CI runs the same. On a fresh machine: Python 3.11 or newer, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_EVENTS ?= 40000

.DEFAULT_GOAL := help
.PHONY: help install demo examples follow test lint soak try-debezium bench bench-replay bench-pages bench-gateway bench-scale bench-outbox bench-peers generate screenshots lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(READY) ## Create the virtual environment with everything in it

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: Python 3.11 or newer is needed; set PYTHON=python3.x"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "make: this Python has no venv; on Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: $(READY) ## A simulated season (or FEED=path, a CLICS feed), checked; then live pages until Ctrl-C (ONCE=1: no pages)
	@$(BIN)/python -m devstack run -- $(BIN)/python -m bench.demo $(if $(FEED),--feed $(FEED),--events $(DEMO_EVENTS)) \
		$(if $(ONCE),--once)

examples: $(READY) ## The programs of examples/, in Go too (needs curl, node, a JDK, go), against a gateway and a real Kafka
	SOLVE_TEST_EXAMPLES=all $(BIN)/pytest tests/gateway/test_examples.py

follow: $(READY) ## Follow a contest's feed (FEED=path, or a made one) over HTTP with cuts; counts against its own scoreboard
	FEED=$(FEED) $(BIN)/pytest tests/sources/clics/test_following.py

lint: $(READY) ## ruff, mypy, import-linter, and whether generated files are current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m solve_schemas --check
	$(BIN)/python -m bench.settings_page --check

test: lint ## The linters, and the tests against a real Kafka, PostgreSQL and Valkey
	$(BIN)/pytest -m "not soak" -n 3 --dist loadfile # tests wait more than they compute

soak: $(READY) ## The long fault tests
	$(BIN)/pytest -m soak -s

try-debezium: $(READY) ## Debezium's connector on an outbox, as in docs/outbox.md; fetches Kafka Connect once
	$(BIN)/pytest -m soak -n0 tests/sources/outbox/test_debezium.py

bench: $(READY) ## Throughput beside the floor, latency, memory; then bench-replay; writes bench-results/*.json
	@$(BIN)/python -m devstack run -- $(BIN)/python -m bench.throughput
	@$(MAKE) --no-print-directory bench-replay

bench-replay: $(READY) ## A replay of 2 million events beside live projection and beside its floors
	@$(BIN)/python -m devstack run -- $(BIN)/python -m bench.replay

bench-pages: $(READY) ## Pages and API beside a bare route, and the delay of a live update; needs wrk
	@$(BIN)/python -m devstack run -- $(BIN)/python -m bench.pages

bench-gateway: $(READY) ## Events over HTTP beside a bare route, one and 100 in a request; needs wrk
	@$(BIN)/python -m devstack run -- $(BIN)/python -m bench.gateway

bench-scale: $(READY) ## The read model with 1,000,000 users and 10 million verdicts beside its promises; writes bench-results/scale.json
	@$(BIN)/python -m devstack run --shared-buffers 1GB -- $(BIN)/python -m bench.scale

bench-outbox: $(READY) ## The relay of an outbox beside its floor, and from commit to count; writes bench-results/outbox.json
	@$(BIN)/python -m devstack run -- $(BIN)/python -m bench.outbox

bench-peers: $(READY) ## Alternatives in the same run; writes bench-results/peers.json
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --requirement bench/peers/requirements.txt
	@$(BIN)/python -m devstack run -- $(BIN)/python -m bench.throughput --peers .venv-peers/bin/python

generate: $(READY) ## Write what is generated: JSON Schemas, the AsyncAPI document, the tables of docs/settings.md
	$(BIN)/python -m solve_schemas
	$(BIN)/python -m bench.settings_page

screenshots: $(READY) ## Take the README's screenshots, of a simulated season; needs chromium
	@$(BIN)/python -m devstack run -- $(BIN)/python -m bench.screenshots

lock: $(READY) ## Pin every dependency again, with hashes and without addresses
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--all-extras --group dev pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --constraint requirements.lock --extra api --extra gateway --extra import pyproject.toml --output-file requirements.runtime.lock

clean: ## Remove everything that these targets created
	rm -rf $(VENV) .venv-peers .mypy_cache .ruff_cache .pytest_cache .hypothesis bench-results
