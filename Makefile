# Needs Python 3.11 or later, git and make. Everything else goes into .venv, nothing outside this folder.
PYTHON ?= python3
# Most tests wait for processes rather than compute: more workers than cores pay.
WORKERS ?= 4

VENV := .venv
# Paths with spaces: only relative names here, and no console script is run by its shebang line.
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
RUN := $(PY) -m provisioner

.DEFAULT_GOAL := help
.PHONY: help venv apply destroy test test-slow check format docs bench interop clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' Makefile

# The key holds what the environment was made from; it is remade when the key no longer matches,
# and only then: not on every checkout, as file times would have it. Another Python, or another
# place, needs a new environment: half of the old one would be left over otherwise.
venv: ## Create or refresh .venv
	@python="$$($(PYTHON) -c 'import sys; print(sys.version.split()[0], sys.base_prefix)') $$(pwd)"; \
	key="$$(cat pyproject.toml constraints.txt | cksum) $$python"; \
	if [ -x "$(PY)" ] && [ "$$(cat "$(STAMP)" 2>/dev/null)" = "$$key" ]; then exit 0; fi; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: $$($(PYTHON) -V) is too old: Python 3.11 or later is needed." >&2; \
	  echo "  fix: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }; \
	echo "Setting up .venv (once; a minute or two) ..." >&2; \
	case "$$(cat "$(STAMP)" 2>/dev/null)" in *" $$python") clear= ;; *) clear=--clear ;; esac; \
	set -e; rm -f "$(STAMP)"; \
	$(PYTHON) -m venv $$clear "$(VENV)"; \
	"$(PY)" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'; \
	printf '%s' "$$key" > "$(STAMP)"

apply: venv ## Deploy manifests/ to the local emulator and write out/*.env
	@$(RUN) apply --emulator --yes -f manifests/

destroy: venv ## Remove from the emulator what manifests/ names
	@$(RUN) destroy --emulator --yes -f manifests/

test: venv ## Run the tests (under three minutes)
	$(PY) -m pytest -n $(WORKERS) --dist worksteal -m "not interop and not slow"

test-slow: venv ## Run the tests that take longer: scenes, fleets, other servers
	$(PY) -m pytest -n $(WORKERS) --dist worksteal -m "slow and not interop"

check: venv ## Lint, formatting, types and layers
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

format: venv ## Rewrite the code in the house's format
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

docs: venv ## Rewrite the generated pages
	$(PY) -m provisioner.cli.errors_page > docs/errors.md
	$(PY) -m provisioner.manifest.reference > docs/manifest.md
	$(PY) docs/terminal.py
	$(PY) -m provisioner.plan.schema > docs/plan.schema.json

bench: venv ## Measure what docs/performance.md claims
	$(PY) -m benchmarks

interop: venv ## Unmodified third-party clients against the emulator
	$(PY) -m pytest -m interop

clean: venv ## Stop the emulator; remove its state and what was written
	@$(RUN) emulator stop >/dev/null 2>&1 || true
	rm -rf .provisioner out
