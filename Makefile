# On a fresh machine: python3 3.11 to 3.13, git, make. Everything goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
export GX_ANALYTICS_ENABLED := false

.PHONY: install demo ui browser engines servers contracts picture test test-all check format lock schemas bench bench-month bench-releases bench-fused bench-engines bench-pulls clean

install: .venv/.installed

.venv/.installed: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else f"qala needs Python 3.11 to 3.13, this is {v[0]}.{v[1]}; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@$(PYTHON) -m venv .venv || { echo "no venv module; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: install  ## simulate twelve cities over two years, run the main job, show what came of it
	$(BIN)/qala demo

ui: install  ## Dagster UI on http://localhost:3000, on the demo's data unless QALA_HOME says otherwise
	QALA_HOME=$${QALA_HOME:-qala-demo} $(BIN)/qala ui

browser:  ## Chromium, in which tests look at the report: the one found, or Debian's package where root can install it
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && grep -qs '^ID=debian' /etc/os-release; then \
		get="apt-get -qq -o Acquire::http::Timeout=10 -o Acquire::Retries=0"; \
		{ $$get update && $$get install --yes --no-install-recommends chromium fonts-liberation; } >/dev/null 2>&1 && exit 0; fi; \
	echo "no Chromium: tests that look at pages of the report will be skipped"

engines:  ## Java for Spark and ClickHouse's server, with which tests measure: those found, or Debian's packages where root can install them
	@PATH="$$PATH:/usr/sbin"; wanted=; \
	command -v java >/dev/null || wanted="$$wanted openjdk-17-jre-headless"; \
	command -v clickhouse-server >/dev/null || wanted="$$wanted clickhouse-server"; \
	[ -z "$$wanted" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && grep -qs '^ID=debian' /etc/os-release; then \
		get="apt-get -qq -o Acquire::http::Timeout=10 -o Acquire::Retries=0"; export DEBIAN_FRONTEND=noninteractive; \
		$$get update >/dev/null 2>&1; \
		for one in $$wanted; do $$get install --yes --no-install-recommends $$one >/dev/null 2>&1; done; fi; \
	command -v java >/dev/null || echo "no Java: tests that measure with Spark will be skipped"; \
	command -v clickhouse-server >/dev/null || echo "no ClickHouse server: tests with a cluster of two will be skipped"

servers:  ## OpenSSH's sshd and PostgreSQL, from which tests fetch: those found, or Debian's packages where root can install them
	@PATH="$$PATH:/usr/sbin"; wanted=; \
	command -v sshd >/dev/null || wanted="$$wanted openssh-server"; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || wanted="$$wanted postgresql"; \
	[ -z "$$wanted" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && grep -qs '^ID=debian' /etc/os-release; then \
		get="apt-get -qq -o Acquire::http::Timeout=10 -o Acquire::Retries=0"; export DEBIAN_FRONTEND=noninteractive; \
		$$get update >/dev/null 2>&1; \
		for one in $$wanted; do $$get install --yes --no-install-recommends $$one >/dev/null 2>&1; done; fi; \
	command -v sshd >/dev/null || echo "no sshd: tests that fetch by SFTP will be skipped"; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || echo "no PostgreSQL: tests that fetch from it will be skipped"

picture: install  ## docs/images/scorecard.png from the demo's report
	$(BIN)/python -m tools.picture

test: install browser servers  ## the fast tests
	$(BIN)/python -m pytest

test-all: install browser engines servers  ## all tests, slow ones included, properties with all their examples
	QALA_TEST_EXAMPLES=full $(BIN)/python -m pytest -m "slow or not slow"

check: install  ## lint, format, types, contracts and definitions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/sqlfluff lint --quiet warehouse connectors pipelines
	$(BIN)/mypy
	$(BIN)/qala check

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock:  ## renew the hashed lock; needs uv
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header --no-annotate pyproject.toml --output-file requirements/base.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header --no-annotate --extra dev --constraint requirements/base.txt pyproject.toml --output-file requirements/dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header --no-annotate --extra bench --constraint requirements/base.txt pyproject.toml --output-file requirements/bench.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header --no-annotate requirements/datacontract.in --output-file requirements/datacontract.txt

.venv-datacontract/.installed: requirements/datacontract.txt  # apart: datacontract-cli wants DuckDB 1
	@$(PYTHON) -m venv .venv-datacontract
	.venv-datacontract/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/datacontract.txt
	@touch $@

contracts: install .venv-datacontract/.installed  ## datacontract test of every table of a release: QALA_HOME=…
	$(BIN)/qala contracts
	@cd $${QALA_HOME:-qala-home} && for contract in released-contracts/*.odcs.yaml; do \
	  $(CURDIR)/.venv-datacontract/bin/datacontract test $$contract || exit 1; done

schemas: install  ## JSON Schemas for editors, from the models
	$(BIN)/qala schemas

SIZE ?= 10m
ROUNDS ?= 3
ONLY ?= duckdb,qala,pandas,dbt

bench: .venv-bench/.installed  ## qala beside plain DuckDB, pandas and dbt: SIZE=100k, 1m, 10m or 50m
	.venv-bench/bin/python -m benchmarks $(SIZE) --rounds $(ROUNDS) --only $(ONLY)

bench-month: .venv-bench/.installed  ## one month more, on 12, 36 and 60 months of history
	.venv-bench/bin/python -m benchmarks.month --rounds $(ROUNDS)

bench-releases: .venv-bench/.installed  ## a release after 1, 130 and 10,000 changed rows, made of the former one and whole
	.venv-bench/bin/python -m benchmarks.releases --rounds $(ROUNDS)

bench-fused: .venv-bench/.installed  ## after make bench: twelve KPIs of one table beside one
	.venv-bench/bin/python -m benchmarks.fused --rounds $(ROUNDS)

bench-engines: install  ## the same cells on DuckDB, chdb, ClickHouse and Spark: SIZE=1m, 10m or 50m
	$(BIN)/python -m benchmarks.engines $(SIZE)

bench-pulls: install servers  ## 1 GB pulled from a server on this machine, beside the server's own tool
	$(BIN)/python -m benchmarks.pulls --rounds $(ROUNDS)

.venv-bench/.installed: requirements/bench.txt  # apart: dbt and mypy exclude each other
	@$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/bench.txt
	@touch $@

clean:
	rm -rf .bench .venv .venv-bench .venv-datacontract qala-demo .pytest_cache .ruff_cache .mypy_cache
