# Every verb of this project. `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
JUDGES := tests/judges/node
JUDGES_READY := $(JUDGES)/node_modules/.ready

.DEFAULT_GOAL := help
.PHONY: help run demo test check bench bench-embedded faults chaos described soak storm photographs judges-debian helm deploy-judges fmt lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

run: $(READY) ## Start server, sandbox and a ready instance on this machine; Ctrl-C stops them
	@exec $(BIN)/heliograph dev

demo: $(READY) ## Show once that a notification finds the person; exit status says if it did
	@$(BIN)/heliograph dev --once && echo && $(BIN)/heliograph dev --once --dialect ibm

test: check $(JUDGES_READY) ## Check everything, then run every test
	$(BIN)/pytest -n auto

check: $(READY) ## Format, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(JUDGES_READY) ## Measure what sending costs: our sender and others, in turns
	@$(BIN)/heliograph bench --output build/bench

bench-embedded: $(READY) ## Measure the embedded server from publish to screen
	$(BIN)/python benchmarks/embedded.py

faults: $(READY) ## Send 100,000 notifications through every fault; SEED=7 repeats a run
	PYTHONPATH=.:tests $(BIN)/python -m benchmarks.faults $(if $(SEED),--seed $(SEED))

chaos: $(READY) ## Kill every process again and again in 50 rounds; SEED=7 replays, ROUNDS=5 is less
	PYTHONPATH=.:tests $(BIN)/python -m benchmarks.chaos --rounds $(or $(ROUNDS),50) $(if $(SEED),--seed $(SEED)) \
	  --output docs/reliability.md

photographs: $(JUDGES_READY) ## Take the pictures in docs/images that a browser shows (apt-get install firefox-esr)
	PYTHONPATH=.:tests $(BIN)/python -m judges.photographs

described: $(READY) ## Ask 10,000 requests that our description allows, or does not; SEED=7 asks others
	PYTHONPATH=.:tests $(BIN)/python -m benchmarks.described $(if $(SEED),--seed $(SEED))

soak: $(READY) ## Meet four hours' worth of broken connections in five minutes
	PYTHONPATH=.:tests $(BIN)/python -m benchmarks.soak

storm: $(READY) ## Launch an app on 10,000 phones at once, twice; COUNT=500 is less, ENGINE=--postgresql the other one
	PYTHONPATH=.:tests $(BIN)/python -m benchmarks.storm --count $(or $(COUNT),10000) $(ENGINE)

judges-debian: $(READY) ## Send to Debian's nghttpd (apt-get install nghttp2-server)
	@command -v nghttpd >/dev/null || { echo "nghttpd is missing: apt-get install nghttp2-server"; exit 1; }
	$(BIN)/pytest tests/judges/nghttpd.py

helm: ## Lint the chart and render its examples, after it was changed (needs helm)
	@command -v helm >/dev/null || { echo "helm is missing: https://helm.sh/docs/intro/install"; exit 1; }
	deploy/helm/render.sh

deploy-judges: $(READY) ## Ask systemd and Prometheus about deploy/ (apt-get install systemd prometheus)
	@for each in systemd-analyze promtool; do \
	  command -v $$each >/dev/null || { echo "$$each is missing: apt-get install systemd prometheus"; exit 1; }; done
	deploy/systemd/verify.sh $(abspath $(BIN))/heliograph
	promtool check rules deploy/prometheus/rules.yaml
	promtool test rules tests/deploy/rules.test.yaml

fmt: $(READY) ## Format and mend what can be mended by machine
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(READY) ## Choose the newest versions of everything that development needs
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade \
	  --output-file requirements-dev.lock
	$(BIN)/npm update --prefix $(JUDGES) --package-lock-only --ignore-scripts --no-audit --no-fund

clean: ## Remove the environment and everything that was made
	rm -rf $(VENV) $(JUDGES)/node_modules build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements-dev.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(JUDGES_READY): $(JUDGES)/package-lock.json $(JUDGES)/package.json | $(READY)
	$(BIN)/npm ci --prefix $(JUDGES) --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
