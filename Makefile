# Mingle's commands. Each sets up what it needs first and is quick when that is done already.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
WORLDS := flite espeak-ng wordnet-base asterisk-core-sounds-en-g722 fonts-noto-color-emoji fonts-dejavu-core tesseract-ocr

.DEFAULT_GOAL := help
.PHONY: help demo test worlds check format constraints clean browser nano nano-quick

help:
	@echo 'make demo         the tour on nano, the embedded small model'
	@echo 'make test         everything that must be green: make check, then the tests'
	@echo 'make worlds       what training on the procedural worlds needs of Debian'
	@echo 'make nano         train nano anew from public packages, in build/nano: hours'
	@echo 'make nano-quick   the same road in minutes, a few steps of each run: it ends with a nano that knows nothing'
	@echo 'make check        lint, format, types, import contracts'
	@echo 'make browser      the page in headless Chromium; as root on Debian it installs what it needs'
	@echo 'make format       write the format, mend what the linter can mend'
	@echo 'make constraints  pin what is installed now in constraints.txt'
	@echo 'make clean        remove $(VENV) and caches; models stay in their own folder'

demo: $(INSTALLED)
	@$(BIN)/mingle pull nano
	@$(BIN)/mingle demo

test: check worlds
	@$(BIN)/mingle pull nano
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

# Free voices, emoji and sentences for the training worlds: system packages, for PyPI has none of them.
worlds:
	@dpkg -s $(WORLDS) >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq $(WORLDS); } \
	  >/dev/null 2>&1 || echo 'Tests of the training worlds are skipped. To run them, as root:' \
	  'apt-get install $(WORLDS)'

nano: $(INSTALLED) worlds
	@$(BIN)/mingle pull nano
	OMP_NUM_THREADS=1 $(BIN)/python recipes/nano/chain.py --to build/nano

nano-quick: $(INSTALLED) worlds
	@$(BIN)/mingle pull nano
	OMP_NUM_THREADS=1 $(BIN)/python recipes/nano/chain.py --to build/nano-quick --share 0.002

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

constraints: $(INSTALLED)
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' > constraints.txt

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "Mingle needs Python 3.11 or newer, this one is " + sys.version.split()[0] + \
	  "; name another: make PYTHON=python3.12 ...")'
	@echo 'Setting up: a private Python environment in $(VENV) with the packages of constraints.txt.'
	@echo 'The first time takes 2 to 10 minutes and 2 to 6 GB of disk; later it is quick.'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --quiet -c constraints.txt -e '.[dev]'
	@touch $@

browser: $(INSTALLED)
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium; } || { \
	  echo 'The browser tests need Chromium; as root: apt-get install chromium'; exit 3; }
	@$(BIN)/python -m pip install --quiet --quiet -c constraints.txt -e '.[browser]'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/browser
