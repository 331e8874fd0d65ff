# Two commands do everything on a fresh machine: `make demo` and `make test`. While working, `make quick`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test tests quick proof lint bench install lock screenshots clean

# Set-up is a virtual environment and plain pip; the stamp makes it happen once. The lock names every package, the build
# backend among them, so pip resolves nothing and takes no file whose hash is not in it.
install: $(VENV)/.installed
$(VENV)/.installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes --no-deps --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/pip check
	touch $@

# Renews both files of exact versions for every supported Python; `make lock UPGRADE=--upgrade` takes the newest ones.
lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile --quiet $(UPGRADE) --universal --python-version 3.11 --generate-hashes --extra dev \
		--no-header --no-annotate --output-file requirements.lock pyproject.toml
	grep -v '^ ' requirements.lock | sed 's/ *\\$$//' > constraints.txt
	rm -rf $(VENV)-lock

# Sample photographs and paintings, a sweep over them, the catalog and a contact sheet; offline, on a CPU.
demo: install
	$(BIN)/nst samples demo/samples
	$(BIN)/nst run demo/samples/quickstart.yaml --root demo/out
	$(BIN)/python -c "import pandas as pd; print(pd.read_parquet('demo/out/catalog/results').groupby('style_weight')[['style_loss', 'content_loss', 'ssim_content']].mean())"
	@echo "Open demo/out/gallery/*/index.html in a browser. For pictures of your own: $(BIN)/nst init PHOTOGRAPHS PAINTINGS"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The tests of nst that start no process, in less than half a minute on two cores; tests/conftest.py says which they are.
quick: install
	$(BIN)/pytest -n 2 --dist loadgroup -m quick

# Types are checked beside the tests, which wait for processes now and then: three at a time keep two cores busy.
test: install
	+$(MAKE) --no-print-directory --jobs 2 lint tests

tests: install
	$(BIN)/pytest -n 3 --dist loadgroup -m "not proof"

# What is drawn at random, by NST_SEED: NST_KILLS runs killed at random moments, then all tests in another order and with
# other examples than `make test`, which takes the same ones always.
proof: export NST_KILLS := $(or $(NST_KILLS),20)
proof: export NST_SEED := $(or $(NST_SEED),$(shell date +%s))
proof: install
	@echo NST_KILLS=$$NST_KILLS NST_SEED=$$NST_SEED
	$(BIN)/pytest -m proof
	$(BIN)/pytest -n 2 --dist loadgroup -m "not proof" --randomly-seed=$$NST_SEED

bench: install
	for bench in tests/benchmarks/bench_*.py; do $(BIN)/python $$bench || exit 1; done

# The pictures of the page in the README, taken by Chromium of a sweep over the samples; some minutes on two CPU cores.
screenshots: install
	$(BIN)/python tests/screenshots.py demo/screenshots

clean:
	rm -rf $(VENV) demo
