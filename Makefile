# make demo   rehearse phase 2 on a twin of the lab, and say where the report lies
# make rehearse   all runbooks in order on one twin, and a look weeks later
# make test   every test that needs no root, the notebooks included

VENV := .venv
PYTHON ?= python3
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
PROGRAMS := $(VENV)/.programs
# A file is one's alone, so that what its tests share is made once.
BOTH := -n 2 --dist loadfile --no-loadscope-reorder
# Each kernel that a test starts would compile the library anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo rehearse test test-contract test-real test-browser test-all test-crash test-kills test-mutants test-machine \
    test-kube \
    lab fidelity guides notebooks bench lint example clean

demo: $(INSTALLED)
	$(PY) -m papermill --engine runbook runbooks/phase2.ipynb reports/phase2.ipynb

# Every runbook of the lab in order on one twin, a look at all of it, and another weeks later.
rehearse: $(INSTALLED)
	$(PY) -m papermill --engine runbook runbooks/house.ipynb reports/house.ipynb
	@echo "The page of the house: reports/index.html"

test: $(INSTALLED) lint
	$(PY) -m pytest -q $(BOTH) -m "not (real or long or slow or sample or contract or mutant or browser or machine or kube)" \
	    $(addprefix --ignore tests/,contract real kube machine browser)
	$(PY) -m pytest -q $(BOTH) -c tests/nbval.ini --rootdir . --nbval notebooks

# Real programs in network namespaces of their own: needs root on Debian, and is skipped elsewhere.
test-real: $(INSTALLED)
	$(PY) -m pytest -q -m "real"

# The twin, our calls and our readers, held against what the appliances say of themselves.
test-contract: $(INSTALLED) $(PROGRAMS)
	HOMELAB_STRICT=1 $(PY) -m pytest -q $(BOTH) -m "contract"

# Reports and notebooks in a real Chromium, which is skipped where there is none.
test-browser: $(INSTALLED)
	$(PY) -m pytest -q -m "browser"

# What CI runs: besides those, the slower tests, and a sample of the faults at the changes of every runbook.
test-all: test test-contract test-real test-browser
	$(PY) -m pytest -q $(BOTH) -m "sample or slow"

# Every change of every runbook under every kind of fault, and every kind of read, on as many copies
# of the twin at a time as there are processors (HOMELAB_JOBS): hours. What came of it is written down.
test-crash: $(INSTALLED)
	$(PY) tests/proof.py crash -- -q $(BOTH) -m "sample or long" --ignore tests/notebooks/test_kills.py

# Phase 2 by papermill, killed sixty times at random moments; it ends as if undisturbed.
test-kills: $(INSTALLED)
	$(PY) tests/proof.py kills -- -q -m "long" tests/notebooks/test_kills.py

# Faults that once went unnoticed, put in anew one by one: whether a test fails for each.
test-mutants: $(INSTALLED)
	$(PY) tests/proof.py mutants -- -q -m "mutant"

# Debian with OpenZFS under qemu, built once as root; the runbooks are run on it, its power is cut.
test-machine: $(INSTALLED)
	HOMELAB_STRICT=1 $(PY) tests/proof.py machine -- -q -m "machine"

# Kubernetes' own control plane, built once from Debian's source; the twin's answers beside its.
test-kube: $(INSTALLED)
	HOMELAB_STRICT=1 $(PY) tests/proof.py kube -- -q -m "kube"

lint: $(INSTALLED)
	$(PY) -m ruff check homelab_lib tests benchmarks conftest.py
	$(PY) -m ruff format --check -q homelab_lib tests benchmarks conftest.py
	$(PY) -m mypy --no-error-summary

lab: $(INSTALLED)
	$(PY) -m jupyterlab

# What each call of the twin rests on, written down.
fidelity: $(INSTALLED)
	PYTHONPATH=tests $(PY) -m contract.table

# The design's companion guides, as the runbooks have them.
guides: $(INSTALLED)
	$(PY) -m homelab_lib guide data phase1 --host firewall --title "Setting up OPNsense" \
	    -o docs/opnsense-setup-guide.md
	$(PY) -m homelab_lib guide data phase1_proxmox phase1_network \
	    --title "Setting up the network of the X870 Taichi Creator" \
	    -o docs/x870-taichi-creator-network-setup.md

# Run the notebooks anew and keep what they print.
notebooks: $(INSTALLED)
	$(PY) -m homelab_lib draw -o notebooks/figures/topology.svg
	$(PY) -m jupyter nbconvert --to notebook --execute --inplace \
	    --ExecutePreprocessor.record_timing=False notebooks/*.ipynb

# The record that is kept as an example, made anew.
example: $(INSTALLED)
	$(PY) -m papermill --engine runbook --no-progress-bar runbooks/phase2.ipynb reports/phase2.ipynb
	rm -rf reports/example
	mv "$$(ls -td reports/*_phase2_twin_* | head -n 1)" reports/example
	rm reports/phase2.ipynb

bench: $(INSTALLED)
	$(PY) benchmarks/demo.py
	$(PY) benchmarks/files.py
	$(PY) benchmarks/ssh_commands.py
	$(PY) benchmarks/models.py
	$(PY) benchmarks/topology.py

$(PROGRAMS): $(INSTALLED) tests/contract/programs.txt
	$(PY) -m pip install -q --disable-pip-version-check --no-deps --upgrade -t $(VENV)/programs \
	    -r tests/contract/programs.txt
	@touch $(PROGRAMS)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[dev,cluster]"
	@touch $(INSTALLED)

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis
