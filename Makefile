# Two commands do all set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q
OUT    ?= out/demo

.PHONY: demo test format benchmarks clean

demo: $(VENV)/.ready
	$(BIN)/vidar-det demo --out $(OUT) --overwrite

# Torch and BLAS threads fight each other when test workers share cores: one thread each.
test: export OMP_NUM_THREADS = 1
test: $(VENV)/.ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2

format: $(VENV)/.ready-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

benchmarks: $(VENV)/.ready
	$(BIN)/python benchmarks/counts.py
	$(BIN)/python benchmarks/recordings.py
	$(BIN)/python benchmarks/commands.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/vidar-det bench --weights nano,small --out out/bench --overwrite
	$(BIN)/python -m benchmarks.parity nano small --out out/parity
	$(BIN)/python -m benchmarks.streaming nano --windows 2000 --out out/streaming

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing vidar-det into $(VENV) (a few minutes the first time) ..."
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(PIP) install -c constraints.txt -e ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) out build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
