# Every target makes what it needs, the virtual environment included: only Python 3.11+ and make must be there.

VENV    := .venv
BIN     := $(VENV)/bin
STAMP   := $(VENV)/installed
# The book's browser scripts come through npm; where the machine has none, pip brings it.
EXTRAS  := $(shell command -v npm >/dev/null 2>&1 && echo book,test || echo book,test,node)

# One more package index for pip, beside its own. On Linux pip's torch is built for CUDA; PyTorch's index of CPU builds spares
# a machine without a GPU some GB: `make book INDEX=ADDRESS`, with the address that PyTorch's page of installation shows.
INDEX   ?=

CORPUS  ?= synthetic
PROFILE ?= demo
DEVICE  ?= cpu
SEED    ?= 0
TIMEOUT ?= 900

# The value of a variable as one word of the shell, whatever is in it: `make book CORPUS="folder:Anna's songs"`.
quoted = '$(subst ','\'',$(value $(1)))'

# Workers of the tests: as many as there are cores. Each takes whole files, whose tests share what is costly to prepare.
WORKERS ?= auto
BOOK_TESTS ?= book and not slow
PARALLEL = -n $(call quoted,WORKERS) --dist loadfile

# Of `make reproduce`. Not given: as published for Jamendo, a quick look for other songs; any device that is there.
SECOND  ?=
DRY_RUN ?=
QUICK_OR_PUBLISHED = $(if $(filter jamendo%,$(CORPUS)),published,demo)
REPRODUCE_PROFILE := $(if $(filter file,$(origin PROFILE)),$(QUICK_OR_PUBLISHED),$(PROFILE))
# Of what takes long: any device that is there, unless one is named.
LONG_DEVICE       := $(if $(filter file,$(origin DEVICE)),auto,$(DEVICE))

# Of `make claims`: songs on which nothing was trained, and songs of your own, if there are any.
REAL         ?=
SECOND_SONGS := synthetic-c:songs=20,seconds=60,seed=202
# Another detector, which judges inversions.
JUDGES       := svdlib/zoo/weights/second-detector.safetensors
OWN_SONGS     = $(if $(REAL),$(call quoted,REAL))

PIP      = $(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(INDEX),--extra-index-url $(call quoted,INDEX)) -c constraints.txt

GPU_DATA   := runs/gpu/log-mels.npz
GPU_PYTHON ?= $(if $(wildcard $(BIN)/python),$(BIN)/python,python3)

BOOK    := $(BIN)/python book/build.py --corpus $(call quoted,CORPUS) --profile $(call quoted,PROFILE) --device $(call quoted,DEVICE) \
	--seed $(call quoted,SEED) --timeout $(call quoted,TIMEOUT)

.DEFAULT_GOAL := help
.PHONY: help venv test test-all test-bench test-book claims lint notebooks html book nbval lab sizes worksheets lab-kit pdf launch bench gpu-data gpu gpu-bench \
	train-all reproduce clean

help:  ## Show this list
	@echo "make TARGET [CORPUS=synthetic|folder:PATH] [PROFILE=demo|laptop|full] [DEVICE=cpu|cuda] [SEED=0] [TIMEOUT=900] [INDEX=ADDRESS]"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(firstword $(MAKEFILE_LIST)) | while IFS='|' read -r target text; do \
		printf '  %-10s %s\n' "$$target" "$$text"; done

venv: $(STAMP)  ## Create .venv with the tested versions of everything

$(STAMP): pyproject.toml constraints.txt requirements-tagger.txt
	@if [ ! -x $(BIN)/python ]; then \
		found=; \
		for candidate in $(PYTHON) python3.11 python3 python3.12 python3.13 python3.14 python; do \
			if $$candidate -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
				found=$$candidate; break; \
			fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo "error: no Python 3.11 or newer with its venv module was found." >&2; \
			echo "Install one (on Debian and Ubuntu also python3-venv), or say where it is: make PYTHON=/path/to/python3.11 ..." >&2; \
			exit 1; \
		fi; \
		echo "Creating $(VENV) with $$($$found --version)"; \
		$$found -m venv $(VENV); \
	fi
	@echo "Installing the tested versions into $(VENV): some minutes the first time"
	@start=$$(date +%s); $(PIP) -e '.[$(EXTRAS)]' && $(PIP) --no-deps -r requirements-tagger.txt && echo $$(($$(date +%s) - start)) > $@

test: $(STAMP)  ## Run the fast tests [WORKERS=auto, as many as cores]
	$(BIN)/python -m pytest $(PARALLEL)

test-all: $(STAMP)  ## Run every test but those of the pages, the slow ones too
	$(BIN)/python -m pytest $(PARALLEL) -m 'not book'

test-bench: $(STAMP)  ## Run the slow tests of the benchmarks: that they work, not how fast anything is
	$(BIN)/python -m pytest -n $(call quoted,WORKERS) -m slow tests/test_benchmarks.py

test-book: $(STAMP)  ## Try the pages of the built book in a browser; needs Chromium or Chrome [BOOK_TESTS=book, the slow ones too]
	$(BIN)/python -m pytest $(PARALLEL) -m $(call quoted,BOOK_TESTS) tests/book

lint: $(STAMP)  ## Check the code and the workflow
	$(BIN)/ruff check .
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/mypy

notebooks: $(STAMP)  ## Execute the notebooks, without rendering the book
	@$(BOOK) notebooks

html: $(STAMP)  ## Render the book from the notebooks that were executed last
	@$(BOOK) html

book: $(STAMP)  ## Execute the notebooks and render the book
	@$(BOOK)

nbval: $(STAMP)  ## Run the executed notebooks again and check their marked outputs
	TQDM_DISABLE=1 OMP_NUM_THREADS=1 SVDLIB_PROCESSES=1 $(BIN)/python -m pytest $(PARALLEL) --nbval-lax --nbval-current-env --nbval-cell-timeout=$(TIMEOUT) _build/source/notebooks

lab: $(STAMP)  ## Open the notebooks in JupyterLab, to change them
	@$(PIP) -e '.[lab]'
	$(BIN)/jupyter lab notebooks

sizes: $(STAMP)  ## Print how long each chapter is: words, open lines of code, figures, height
	@$(BIN)/python book/sizes.py

worksheets: $(STAMP)  ## Write the notebooks without the solutions, for students
	@$(BIN)/python book/worksheets.py

pdf: $(STAMP)  ## Print every page of the built book as PDF; needs Chromium or Chrome
	@$(BIN)/python book/pdf.py

lab-kit: $(STAMP)  ## Write the assessed lab: worksheets, key, points and rubric
	@$(BIN)/python book/lab_kit.py

launch: $(STAMP)  ## Write the notebooks for Binder and Colab, if _config.yml has the repository's address
	@$(BIN)/python book/launch.py

bench: $(STAMP)  ## Print how fast everything is, as ratios; the tables go to runs/bench
	@$(BIN)/python -m benchmarks --device $(call quoted,DEVICE) --out runs/bench

# Prepared anew whenever it is asked for: the file does not know by its name which corpus is in it.
gpu-data: $(STAMP)  ## Prepare the one file that training on a GPU needs
	$(BIN)/python -m svdlib.lab.gpu_job prepare --corpus $(call quoted,CORPUS) --data $(GPU_DATA)

# On the GPU's machine the prepared file is there already, and Python with torch and NumPy is all it takes.
$(GPU_DATA):
	@$(MAKE) --no-print-directory gpu-data

gpu: $(GPU_DATA)  ## Train on a GPU for 8 minutes, always under the profile full, going on where the last run stopped
	@code=0; $(GPU_PYTHON) -m svdlib.lab.gpu_job train --corpus $(call quoted,CORPUS) --seed $(call quoted,SEED) --data $(GPU_DATA) || code=$$?; \
	if [ $$code -eq 3 ]; then echo "Not finished yet: run make gpu again."; else exit $$code; fi

train-all: $(GPU_DATA)  ## Train everything on this machine, for hours or days; after Ctrl-C the same command goes on
	$(BIN)/python -m svdlib.lab.gpu_job train --corpus $(call quoted,CORPUS) --seed $(call quoted,SEED) --data $(GPU_DATA) --device $(call quoted,LONG_DEVICE) \
		--minutes inf --folder runs/all
	$(BIN)/python -m svdlib.lab.gpu_job collect --corpus $(call quoted,CORPUS) --seed $(call quoted,SEED) --data $(GPU_DATA) --folder runs/all \
		--out runs/all/weights

gpu-bench:  ## Measure how fast everything is on a GPU, 8 minutes at once; needs only torch and NumPy
	@code=0; $(GPU_PYTHON) -m svdlib.lab.gpu_job bench || code=$$?; \
	if [ $$code -eq 3 ]; then echo "Not finished yet: run make gpu-bench again."; else exit $$code; fi

claims: $(STAMP)  ## Measure anew what the ledger of claims rests on, and print it [REAL=folder:PATH]
	$(BIN)/python -m svdlib.lab.studies.reconstruction_error --others $(call quoted,SECOND_SONGS) $(OWN_SONGS) --out runs/claims/reconstruction_error.json
	$(BIN)/python -m svdlib.lab.studies.round_trip --others $(call quoted,SECOND_SONGS) $(OWN_SONGS) --judges $(JUDGES) --out runs/claims/round_trip.json
	$(BIN)/python -m svdlib.lab.studies.kept_structure --corpus synthetic $(call quoted,SECOND_SONGS) $(OWN_SONGS) --out runs/claims/kept_structure.json
	$(BIN)/python -m svdlib.lab.studies.inversion_by_optimisation --corpus synthetic $(OWN_SONGS) --per-song 1 --out runs/claims/inversion_by_optimisation.json
	$(if $(REAL),$(BIN)/python -m svdlib.lab.studies.inverter_ablation --real $(OWN_SONGS) --resume --folder runs/claims/trainings \
		--out runs/claims/inverter_ablation.json,@echo "Without REAL=folder:PATH the trainings are left out.")
	$(BIN)/python -m svdlib.lab.studies.claims --results runs/claims

reproduce: $(STAMP)  ## Repeat the whole paper: CORPUS=jamendo [SECOND=rwc] [PROFILE=published] [DRY_RUN=1, only a plan]
	@$(BIN)/python -m svdlib.lab.studies.reproduce --corpus $(call quoted,CORPUS) $(if $(SECOND),--second $(call quoted,SECOND)) \
		--profile $(call quoted,REPRODUCE_PROFILE) --device $(call quoted,LONG_DEVICE) --seed $(call quoted,SEED) \
		$(if $(DRY_RUN),--dry-run)

clean:  ## Delete what was built; the virtual environment stays
	rm -rf _build build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
