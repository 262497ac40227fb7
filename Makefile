# Two commands on a clean machine: `make demo` shows it, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
WORKERS ?= 2

.PHONY: help demo test check docs screenshots bench clean
.DEFAULT_GOAL := help

help:
	@echo "make demo         install, then run the matching demo on real job titles (in .demo)"
	@echo "make test         install, then run all tests"
	@echo "make check        ruff, mypy --strict, import-linter"
	@echo "make bench        measure against plain Python and other trackers, and write docs/benchmarks.md (see bench/README.md)"
	@echo "make docs         write the generated pages of docs/ anew"
	@echo "make screenshots  take the pictures of the viewer anew (docs/images; needs Chromium; some minutes)"
	@echo "make clean        remove what the above made"

# The environment is built anew when it is missing, when pyproject.toml changed, or when it does not work
# (another Python, a checkout that was moved).
ifneq ($(shell $(BIN)/python -c 'import corrida, os; print(os.path.dirname(corrida.__file__))' 2>/dev/null),$(CURDIR)/src/corrida)
.PHONY: $(VENV)/base
endif

$(VENV)/base: pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit("corrida needs Python 3.11 or later, this is " + sys.version.split()[0] + "; try make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@echo "installing corrida into $(VENV) …"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -e '.[ui]'
	@touch $@

$(VENV)/dev: $(VENV)/base
	@echo "installing what the tests need …"
	@$(PIP) -e '.[dev]'
	@touch $@

demo: $(VENV)/base
	@rm -rf .demo
	@$(BIN)/corrida demo matching --to .demo/matching
	@echo "  (corrida is in $(BIN); put it on the path with: . $(BIN)/activate)"

test: $(VENV)/dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

check: $(VENV)/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/dev
	$(BIN)/python tools/write_docs.py

# ONLY= names of pages. The demos are played in a temporary folder first.
screenshots: $(VENV)/dev
	$(BIN)/python tools/screenshots.py $(if $(ONLY),--only $(ONLY))

# ONLY= starts of case names, ROUNDS= how often, PEERS= all, none or names. The page is written when all was measured.
bench: $(VENV)/base
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(PEERS),--peers $(PEERS)) \
		$(if $(ONLY)$(PEERS),,--output docs/benchmarks.md)

clean:
	rm -rf $(VENV) .demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
