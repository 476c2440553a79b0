# Two commands do everything: `make demo` and `make test`. Both set up a virtual environment of their own first.
# Another interpreter (`make test PYTHON=python3.13`) gets a virtual environment of its own.
PYTHON ?= python3
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])'))
PY := $(VENV)/bin/python
PEERS := .venv-bench
MINUTES ?= 60
UV := $(shell command -v uv 2>/dev/null)
TESTS ?= tests
# One process more than there are cores, eight at most: it uses the time in which tests wait.
WORKERS ?= $(shell python3 -c 'import os; print(min(8, 1 + (os.cpu_count() or 1)))')

.PHONY: demo test soak bench tour lint types check wheel release setup clean

setup: $(VENV)/.ready

# uv, found or brought by pip, installs in half of pip's time. Where it cannot (an index that only pip reaches), pip does it.
# Byte code is compiled at installation: without it the cockpit takes four times as long to start.
define install
	$(if $(UV),$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV),$(PYTHON) -m venv $(VENV) && { $(PIP) $(UV_RANGE) 2>/dev/null || true; })
	@echo "installing .[$(1)] into $(VENV)"
	@$(if $(UV),,eval "$$($(PIP_SETTINGS))";) $(or $(UV),$(VENV)/bin/uv) pip install --quiet --python $(PY) --compile-bytecode --editable ".[$(1)]" || { \
	  echo "uv cannot; pip does it, which takes longer" && $(PIP) --editable ".[$(1)]" && { $(PY) -m compileall -q -j 0 $(VENV)/lib || true; }; }
	$(PY) -m compileall -q core cli tui screens
	touch $@
endef
PIP = $(PY) -m pip install --quiet --disable-pip-version-check --no-compile
UV_RANGE = "uv>=0.5,<1"
# What pip is configured with, in uv's variables: lines such as global.index-url='…', of which those of the environment count most.
PIP_SETTINGS = $(PY) -m pip config list | sed "s/^:env:/~env/" | LC_ALL=C sort | sed -n -e "s/^[^.]*\.index-url=/export UV_DEFAULT_INDEX=/p" \
  -e "s/^[^.]*\.extra-index-url=/export UV_INDEX=/p" -e "s/^[^.]*\.find-links=/export UV_FIND_LINKS=/p" \
  -e "s/^[^.]*\.no-index=/export UV_NO_INDEX=/p" -e "s/^[^.]*\.constraint=/export UV_CONSTRAINT=/p" \
  -e "s/^[^.]*\.cert=/export SSL_CERT_FILE=/p" -e "s/^[^.]*\.trusted-host=/export UV_INSECURE_HOST=/p"; \
  echo export UV_INDEX_STRATEGY=unsafe-best-match

$(VENV)/.ready: pyproject.toml setup.py
	$(call install,dev)

# The demonstration needs no tools of development.
$(VENV)/.ready-demo: pyproject.toml setup.py
	$(call install,demo)

demo: $(if $(wildcard $(VENV)/.ready),setup,$(VENV)/.ready-demo)
	$(VENV)/bin/podium demo $(ARGS)

test: setup
	$(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

lint: setup
	$(VENV)/bin/ruff check .

types: setup
	$(VENV)/bin/pyright --pythonpath $(PY)

# The tests that kill at random, for as long as it takes, which need a Docker engine for half of them, among them 200 pushes to a
# Git host that fails; a thousand faults of every kind; ten minutes of strange input for each reader of any; all of the tests that take
# turns; then an hour of pushes, traffic, kills and retention at once.
soak: export PODIUM_TEST_TURNS = all
soak: setup
	PODIUM_CHAOS_ROUNDS=$${PODIUM_CHAOS_ROUNDS:-60} PODIUM_CHAOS_PUSHES=$${PODIUM_CHAOS_PUSHES:-200} PODIUM_CHAOS_HOSTS=$${PODIUM_CHAOS_HOSTS:-30} PODIUM_CHAOS_SWARM=$${PODIUM_CHAOS_SWARM:-12} $(PY) -m pytest tests/chaos
	$(PY) -m tests.chaos --faults $${PODIUM_CHAOS_FAULTS:-1000}
	PODIUM_FUZZ_MINUTES=$${PODIUM_FUZZ_MINUTES:-10} $(PY) -m pytest tests/fuzz
	PODIUM_FEEDBACK_KILLS=$${PODIUM_FEEDBACK_KILLS:-50} $(PY) -m pytest tests/feedback/test_killed.py
	$(PY) -m pytest -m in_turn --ignore tests/chaos tests
	$(PY) -m tests.soak --minutes $(MINUTES)

# What is measured beside Podium and is no part of it, in an environment of its own. Without one of them `make bench` goes on,
# says at the end what it could not measure, and is not green.
$(PEERS)/.ready: benchmarks/peers.txt
	-python3 -m venv $(PEERS)
	@all=yes; for peer in $$(grep -v '^#' benchmarks/peers.txt); do \
	  echo "installing $$peer into $(PEERS)"; \
	  $(PEERS)/bin/python -m pip install -qq --disable-pip-version-check "$$peer" || { all=no; echo "$$peer: it cannot be installed here"; }; \
	done; if [ $$all = yes ]; then touch $@; fi

bench: setup $(PEERS)/.ready
	PODIUM_BENCH_PEERS=$(PEERS) $(PY) -m benchmarks $(ARGS)

# Pictures of every screen, in docs/tour/, and the page about them; ARGS="runs models" draws only these anew.
tour: setup
	$(PY) -m tests.tour $(ARGS)

wheel: setup
	rm -rf build dist
	$(PY) -m build --wheel --outdir dist . >/dev/null

# What a release consists of, in dist/: sdist, wheel, bill of materials (CycloneDX), and their SHA-256.
release: setup
	PYTHON=$(PY) bash .ci/release

check: lint types test

clean:
	rm -rf .venv .venv-* build dist *.egg-info
