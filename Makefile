# One entry for everything: newcomers, CI and releases use the same commands.
# Needed: git, make, Python 3.10 to 3.14 with venv, a package registry. Everything is made under this folder,
# in places that git ignores (.venv/, .venv-…/, .work/).
#
#   make test ARGS="-k sources -x"          passes ARGS on to pytest, which then runs in one process
#   make test WORKERS=8                     runs the tests in so many processes
#   make test PYTHON=python3.12             uses this Python

PYTHON =
ARGS =
# Tests wait more than they work: six processes keep two processors busy. What ARGS chooses runs in one, which
# starts at once and can be debugged.
WORKERS = $(if $(ARGS),0,6)

WORK = $(CURDIR)/.work
# "make test" plays 300: what they find does not hang on the version of Python or Airflow.
FEWER_WORLDS = 30
PACKAGE = airflow_provider_lofty
# Read by hypothesis: what it remembers lies with the rest.
export HYPOTHESIS_STORAGE_DIRECTORY = $(WORK)/hypothesis
# The tests start Airflow dozens of times, which takes twice as long when it is compiled each time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL = help
.PHONY: help demo demo-ui first-contact test test-floor test-pythons test-browser test-celery test-databases screenshots simulate check docs build release-check sbom bench bench-quick constraints neighbours clean environment

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  PYTHON=python3.12 chooses the interpreter, ARGS="-k sources -x" goes to pytest.'

environment:
	@mkdir -p "$(WORK)"
	@tools/environment.sh .venv 3.10 3.14 constraints.txt "$(PYTHON)"

demo: environment ## post rows from a warehouse to a practice Lofty on this machine, with a real Airflow
	@AIRFLOW_HOME="$(WORK)/demo" .venv/bin/python -m demo

demo-ui: environment ## the same in Airflow's own pages, with the practice Lofty beside them, until Ctrl-C
	@AIRFLOW_HOME="$(WORK)/demo-ui" .venv/bin/python -m demo --ui

first-contact: environment ## make the first contact with the practice Lofty, under each of its switches
	@AIRFLOW_HOME="$(WORK)/test" .venv/bin/python -m pytest -n 0 tests/first_contact $(ARGS)

test: environment ## run all tests on the current Airflow, warnings as errors, with branch coverage
	@echo "==> testing with $$(.venv/bin/python -c '$(VERSIONS)')"
	@AIRFLOW_HOME="$(WORK)/test" .venv/bin/python -m pytest $(PYTEST_ARGS) --cov $(if $(ARGS),--cov-fail-under=0)

# Airflow 3.1 does not know Python 3.14: without an older one there is nothing to run it with.
test-floor: ## run the same tests on the oldest supported Airflow, 3.1, but for those that are marked "once"
	@tools/environment.sh .venv-floor 3.10 3.13 constraints-floor.txt "$(PYTHON)"; \
	case $$? in \
	0) echo "==> testing with $$(.venv-floor/bin/python -c '$(VERSIONS)')"; \
	   LOFTY_TEST_WORLDS=$(FEWER_WORLDS) AIRFLOW_HOME="$(WORK)/test-floor" .venv-floor/bin/python -m pytest -m "not once" $(PYTEST_ARGS);; \
	3) echo "==> SKIPPED: Airflow 3.1 needs Python 3.10 to 3.13, and none was found. NOTHING WAS TESTED on Airflow 3.1.";; \
	*) exit 1;; \
	esac

# None of these waits for a server, so that two processes are enough.
test-pythons: WORKERS = $(if $(ARGS),0,2)
test-pythons: ## run the tests that start no server on every other Python 3.10 to 3.14 that is found
	@LOFTY_TEST_WORLDS=$(FEWER_WORLDS) tools/test_pythons.sh "$(WORK)" "$(PYTHON)" -- -m "not server and not once" $(PYTEST_ARGS)

# From an environment in which the provider is a wheel, and from a folder in which the checkout is not found.
test-browser: build ## walk through Airflow's pages in a real browser, the provider installed from its wheel
	@command -v chromium >/dev/null || { echo "There is no Chromium. On Debian and Ubuntu: apt-get install chromium"; exit 1; }
	@tools/environment.sh .venv-browser 3.10 3.14 constraints.txt "$(PYTHON)" '.[test]'
	@.venv-browser/bin/python -m pip install -qq --no-compile --no-deps --force-reinstall dist/*.whl
	@echo "==> testing with $$(.venv-browser/bin/python -c '$(VERSIONS)')"
	@cd "$(WORK)" && AIRFLOW_HOME="$(WORK)/test-browser" LOFTY_FROM_WHEEL=1 ../.venv-browser/bin/pytest ../tests/browser $(ARGS)

# Redis is not a Python package, and what else this needs, no other test does.
test-celery: ## run shards on three Celery workers, and a task as in a pod, while machines and databases go; needs Redis
	@command -v redis-server >/dev/null || { echo "==> SKIPPED: there is no Redis (Debian and Ubuntu: apt-get install redis-server). NOTHING WAS TESTED on Celery."; exit 0; }; \
	tools/environment.sh .venv-celery 3.10 3.14 constraints.txt "$(PYTHON)" '--editable=.[test,test-celery]' && \
	{ echo "==> testing with $$(.venv-celery/bin/python -c '$(VERSIONS)')"; \
	AIRFLOW_HOME="$(WORK)/test-celery" .venv-celery/bin/python -m pytest -n 0 tests/many_workers $(ARGS); }

# An environment of its own: it is large, and Airflow's provider for MySQL brings a driver that is compiled.
NEEDED = mariadbd mariadb-install-db gcc pkg-config
test-databases: ## run the tests on MariaDB, Snowflake's stand-in, DuckDB and S3's stand-in
	@missing=; for each in $(NEEDED); do command -v $$each >/dev/null || missing="$$missing $$each"; done; \
	pkg-config --exists libmariadb || pkg-config --exists mysqlclient || missing="$$missing libmariadb-dev"; \
	if [ -n "$$missing" ]; then \
		echo "==> SKIPPED: missing here:$$missing. NOTHING WAS TESTED on MariaDB, Snowflake, DuckDB and S3."; \
		echo "    On Debian and Ubuntu: apt-get install mariadb-server libmariadb-dev gcc pkg-config"; \
	else \
		tools/environment.sh .venv-databases 3.11 3.14 constraints-databases.txt "$(PYTHON)" -e '.[test,databases]' || exit 1; \
		echo "==> testing with $$(.venv-databases/bin/python -c '$(VERSIONS)')"; \
		AIRFLOW_HOME="$(WORK)/test-databases" .venv-databases/bin/python -m pytest \
			-n 0 tests/databases $(ARGS); \
	fi

screenshots: export LOFTY_PICTURES = $(CURDIR)/docs
screenshots: test-browser ## take the README's pictures anew, into docs/

# A night's work, on all processors. SEED=17 shows the history of one world instead.
SEEDS = 1000
FIRST = 0
simulate: environment ## play SEEDS=1000 worlds from FIRST=0 on: whole tasks, their faults and crashes, in simulated time
	@AIRFLOW_HOME="$(WORK)/simulate" PYTHONPATH=tests .venv/bin/python -m simulation \
		$(if $(SEED),--seed $(SEED),$(if $(DAYS),--days $(DAYS),--seeds $(SEEDS)) --first $(FIRST))

check: environment ## check lint rules, formatting, types, and for known vulnerabilities where the registry answers
	@echo "==> ruff check"
	@.venv/bin/python -m ruff check --output-format concise .
	@echo "==> ruff format --check"
	@.venv/bin/python -m ruff format --check .
	@echo "==> mypy --strict $(PACKAGE)"
	@.venv/bin/python -m mypy $(PACKAGE)
	@echo "==> pip-audit"
	@.venv/bin/python tools/audit.py

# Into the environment that is there, because the reference is made of the package itself.
docs: environment ## build the documentation as a site, into .work/docs/; warnings are errors, links are checked
	@.venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "make docs needs Python 3.11 or later: make docs PYTHON=python3.13"; exit 1; }
	@.venv/bin/python -c 'import furo, myst_parser' 2>/dev/null \
		|| .venv/bin/python -m pip install -qq --no-compile -c constraints.txt -e '.[docs]'
	@AIRFLOW_HOME="$(WORK)/docs-airflow" .venv/bin/python -m sphinx --quiet --fail-on-warning --jobs auto -d "$(WORK)/doctrees" docs "$(WORK)/docs"
	@echo "==> $(WORK)/docs/index.html"

# build/ is what setuptools left of the last time: a module deleted since would go into the wheel.
build: environment ## build the source distribution and the wheel into dist/, look into both, install and try both
	@rm -rf build dist "$(WORK)/installed"
	@echo "==> building the source distribution, and the wheel from it"
	@.venv/bin/python -m build --outdir dist . >"$(WORK)/build.log" 2>&1 || { cat "$(WORK)/build.log"; exit 1; }
	@.venv/bin/python -m twine check --strict dist/*
	@.venv/bin/python tools/check_dist.py dist/*
	@.venv/bin/python tools/check_installed.py "$(WORK)/installed" dist/*

# What only a release needs: RELEASING.md.
TAG =
release-check: ## say what is missing before this version can be released; TAG=v0.1.0 is compared with it
	@python=$$(tools/find_python.sh 3.10 3.14 "$(PYTHON)") && "$$python" tools/check_release.py $(TAG)

sbom: environment ## list what the provider is installed with, as a CycloneDX bill of materials, into dist/
	@tools/environment.sh .venv-sbom 3.10 3.14 constraints.txt "$(PYTHON)" .
	@.venv/bin/python -m venv "$(WORK)/cyclonedx"
	@"$(WORK)/cyclonedx/bin/pip" install -qq -c constraints.txt cyclonedx-bom
	@mkdir -p dist
	@"$(WORK)/cyclonedx/bin/cyclonedx-py" environment --output-file dist/$(PACKAGE).cdx.json .venv-sbom

# Makes the other clients' environments under .work/ too, about a minute the first time.
bench: environment ## measure the provider against what people use instead, below 20 minutes; writes bench/RESULTS.md
	@.venv/bin/python -m bench $(ARGS)

bench-quick: environment ## see whether the benchmark works, below 3 minutes; writes into .work/
	@.venv/bin/python -m bench --quick $(ARGS)

constraints: ## resolve constraints.txt and constraints-floor.txt anew, for every Python 3.10 to 3.14 that is found
	@python=$$(tools/find_python.sh 3.10 3.14 "$(PYTHON)") && "$$python" tools/renew_constraints.py

# Only asks pip; minutes for each Python, and mysqlclient wants MySQL's headers (Debian: default-libmysqlclient-dev).
neighbours: ## see whether the providers that people have beside this one can be installed with constraints.txt
	@python=$$(tools/find_python.sh 3.10 3.14 "$(PYTHON)") && "$$python" tools/renew_constraints.py --neighbours $(ARGS)

clean: ## remove everything these targets made
	@rm -rf .venv .venv-* .work build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# worksteal: the few long tests are not all left to one process.
PYTEST_ARGS = -n $(WORKERS) --dist worksteal $(ARGS)

VERSIONS = import sys; from importlib.metadata import version; \
	print("Python %d.%d.%d," % sys.version_info[:3], "Airflow", version("apache-airflow"))
