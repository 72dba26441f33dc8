# Two commands for people: `make` (or `make run`) and `make test`. Both install what is missing.

.DEFAULT_GOAL := run
.PHONY: run test pages docs fast lint bench-run bench-difference bench-activations bench-trust bench-explain bench-rules bench-cases bench-scripts bench-transparent clean distclean help

# Bytecode is kept, whatever the shell says: a test starts many processes, and each would compile all.
unexport PYTHONDONTWRITEBYTECODE

# PYTHON=/path/to/python makes .venv with that Python and with no other.
export PYTHON

venv := .venv/bin
installed := .venv/.installed
browser := .venv/.browser

run: $(installed) ## run every case of the suite and write reports/index.html
	@$(venv)/keras-bridge run

# A file stays in one process, for its fixtures are dear; four processes hold what a laptop has.
# The files come in the order of tests/conftest.py: the long ones first.
test: lint $(browser) ## check the style and the types, then run all tests
	@$(venv)/python -m pytest -m "not pages" -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --durations=15

pages: $(installed) ## run the examples of the rules' pages in R: after a rule or its page was changed
	@$(venv)/python -m pytest -m pages -n auto --maxprocesses 4

docs: $(installed) ## build the site: build/docs/index.html
	@$(venv)/python docs/build.py

fast: $(installed) ## run the tests that need neither R nor TensorFlow, nor ten seconds
	@$(venv)/python -m pytest -m "not r and not tf and not slow" -n auto --maxprocesses 4 --dist loadfile

lint: $(installed) ## check the style and the types
	@$(venv)/ruff check .
	@$(venv)/ruff format --check .
	@$(venv)/mypy

bench-run: $(installed) ## measure a run against plain R and plain Python: benchmarks/RUN.md
	@$(venv)/python benchmarks/run.py

bench-difference: $(installed) ## measure the comparison of arrays (QUICK=1: small): benchmarks/DIFFERENCE.md
	@$(venv)/python benchmarks/difference.py

bench-trust: $(installed) ## measure whether the ladder can be trusted: benchmarks/TRUST.md (QUICK=1, ISA=all)
	@$(venv)/python -m benchmarks.trust $(if $(ISA),--isa $(ISA))

bench-explain: $(installed) ## measure whether the right cause is named: benchmarks/EXPLAIN.md (QUICK=1)
	@$(venv)/python -m benchmarks.explain

bench-rules: $(installed) ## measure the rules on planted faults: benchmarks/RULES.md (QUICK=1, ASK=options)
	@$(venv)/python -m benchmarks.rules $(ASK)

bench-cases: $(installed) ## measure the five founding questions: benchmarks/CASES.md (QUICK=1)
	@$(venv)/python -m benchmarks.cases

bench-scripts: $(installed) ## measure many small scripts: benchmarks/SCRIPTS.md (QUICK=1, ASK=options)
	@$(venv)/python -m benchmarks.scripts
	@$(venv)/python -m benchmarks.corpus $(ASK)

bench-transparent: $(installed) ## measure whether looking changes what is printed: benchmarks/TRANSPARENT.md (QUICK=1)
	@$(venv)/python -m benchmarks.transparent $(PLACES)

# Resumes where it stopped, and leaves alone what was measured here before; QUICK=1 samples float32.
# With memory that is kept, not given back after each array, it takes a quarter less time.
bench-activations: $(installed) ## measure the activations of the installed TensorFlow: hours
	@MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=4294967296 \
	  nice -n 19 $(venv)/python benchmarks/activations.py $(if $(QUICK),--quick)
	@$(venv)/python benchmarks/activation_report.py

clean: ## remove what the commands made
	rm -rf build dist reports .hypothesis .mypy_cache .pytest_cache .ruff_cache

distclean: clean ## remove the installation as well
	rm -rf .venv

help: ## say what there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

$(browser): $(installed)
	@sh scripts/install.sh browser
	@touch $@

$(installed): pyproject.toml $(wildcard constraints/*.txt) scripts/install.sh bridge/r/version_constraints.py
	@sh scripts/install.sh
	@touch $@
