VENV := .venv
MODERN := .venv-modern
LOWEST := .venv-lowest
BIN := $(VENV)/bin
PIP := bin/python -m pip --disable-pip-version-check
# The stamps are written last, so a half-finished installation does not count as installed.
INSTALLED := $(VENV)/.installed
TEST_INSTALLED := $(VENV)/.test-installed
MODERN_INSTALLED := $(MODERN)/.test-installed
LOWEST_INSTALLED := $(LOWEST)/.test-installed

# An interpreter is tried by running it: version managers leave commands on the PATH that do not run.
FITS := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))
PYTHON ?= $(shell for python in python3.11 python3.12 python3.10 python3; do \
	"$$python" -c "$(FITS)" >/dev/null 2>&1 && echo "$$python" && break; done)

PYTEST_ARGS ?=
# Half of the tests wait for processes and JVMs. A file's tests share sessions and trained models; the long files come first.
IN_PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder
# pytest's exit status if PYTEST_ARGS selects no tests of a part.
NONE_FITS := test $$? -eq 5
SOURCES := sentispark tests notebooks emr

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test test-modern test-lowest lint format options clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED)  ## Set up .venv with the pinned packages and sentispark itself (PYTHON=... picks the interpreter)

demo: $(INSTALLED)  ## Run all commands on generated reviews, with a report in demo/ (DEMO_ARGS="...")
	$(BIN)/sentispark demo --output demo --overwrite $(DEMO_ARGS)

test: $(TEST_INSTALLED)  ## Run the tests (PYTEST_ARGS="-k plan")
	$(BIN)/python -m pytest $(IN_PARALLEL) -m "not alone" $(PYTEST_ARGS) || $(NONE_FITS)
	$(BIN)/python -m pytest -m alone $(PYTEST_ARGS) || $(NONE_FITS)

test-modern: $(MODERN_INSTALLED)  ## Run the quick ones with PySpark 4, NumPy 2 and pandas 3, in .venv-modern
	HYPOTHESIS_PROFILE=few $(MODERN)/bin/python -m pytest $(IN_PARALLEL) -m "modern or not (spark or endtoend)" $(PYTEST_ARGS)

test-lowest: $(LOWEST_INSTALLED)  ## Run the quick ones with the lowest versions that setup.cfg names, in .venv-lowest
	HYPOTHESIS_PROFILE=few $(LOWEST)/bin/python -m pytest $(IN_PARALLEL) -m "modern or not (spark or endtoend)" $(PYTEST_ARGS)

lint: $(TEST_INSTALLED) $(MODERN_INSTALLED)  ## Check code and types without changing anything
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(MODERN)/bin/python -m mypy

format: $(TEST_INSTALLED)  ## Format the code and apply the linter's fixes
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

options: $(INSTALLED)  ## Write docs/options.md from the options' declarations
	$(BIN)/python -m sentispark.jobs.options_page > docs/options.md

clean:  ## Remove the environments and everything that was built
	rm -rf $(VENV) $(MODERN) $(LOWEST) build dist demo *.egg-info spark-warehouse .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

# A list of pinned packages and sentispark itself into the environment $(@D).
define install_pinned
	@test -n "$(PYTHON)" || { echo "sentispark needs Python 3.10, 3.11 or 3.12 and none runs here: \
	install one, or name it with 'make install PYTHON=/path/to/python3.11'." >&2; exit 1; }
	"$(PYTHON)" -m venv $(@D)
	$(@D)/$(PIP) install --no-deps -r $(1)
	$(@D)/bin/python requirements/torch_runtime.py $(1) > $(@D)/torch-runtime.txt
	test ! -s $(@D)/torch-runtime.txt || $(@D)/$(PIP) install --constraint $(1) -r $(@D)/torch-runtime.txt
	$(@D)/$(PIP) install --no-deps --no-build-isolation -e .
endef

$(INSTALLED): requirements/default.txt requirements/torch_runtime.py setup.cfg setup.py
	$(call install_pinned,$<)
	@touch $@

$(TEST_INSTALLED): $(INSTALLED) requirements/test.txt
	$(@D)/$(PIP) install --no-deps -r requirements/test.txt
	@touch $@

$(MODERN_INSTALLED): requirements/modern.txt requirements/test.txt requirements/torch_runtime.py setup.cfg setup.py
	@"$(PYTHON)" -c "import sys; sys.exit(sys.version_info < (3, 11))" || { \
	echo "NumPy 2.4 and pandas 3 need Python 3.11 or 3.12: name one with 'make $(MAKECMDGOALS) PYTHON=...'." >&2; exit 1; }
	$(call install_pinned,$<)
	$(@D)/$(PIP) install --no-deps -r requirements/test.txt
	@touch $@

# The list goes last once more: test.txt brings newer versions of some of its packages.
$(LOWEST_INSTALLED): requirements/lowest.txt requirements/test.txt requirements/torch_runtime.py setup.cfg setup.py
	@"$(PYTHON)" -c "import sys; sys.exit(sys.version_info >= (3, 12))" || { \
	echo "NumPy 1.24 needs Python 3.10 or 3.11: name one with 'make $(MAKECMDGOALS) PYTHON=...'." >&2; exit 1; }
	$(call install_pinned,$<)
	$(@D)/$(PIP) install --no-deps -r requirements/test.txt
	$(@D)/$(PIP) install --no-deps -r $<
	@touch $@
