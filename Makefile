# Each target does its own set-up; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin

.PHONY: help run test test-asterisk check bench lock clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: .stamps/run ## set up everything and start the demonstration house
	$(BIN)/hotline demo

# Many tests wait for real sound, so three at a time; a file's tests share its set-up. What fails beside others is tried once more
# alone: calls are real, and a machine that is busy tears their sound. What fails alone too has failed.
test: check ## set up everything and run every check and test
	$(BIN)/pytest -n 3 --dist loadfile || { echo 'Once more, alone:'; $(BIN)/pytest --last-failed --last-failed-no-failures none; }

check: .stamps/test ## style, types and floors only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-asterisk: .stamps/test ## the exchange's real calls on a real Asterisk, unpacked from Debian sid if none is installed
	.ci/asterisk .stamps/asterisk
	HOTLINE_TEST_ENGINE=asterisk $(BIN)/pytest tests/test_exchange_calls.py tests/test_exchange_sip.py

bench: .stamps/test ## measure; prints ratios against floors run beside it
	$(BIN)/python -m tests.bench

lock: .stamps/test ## pin the newest versions that pyproject.toml allows
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean: ## remove what set-up made (never any data)
	rm -rf .venv .stamps

.stamps/venv: .ci/packages
	.ci/packages run
	python3 -c 'import sys; sys.exit("Python 3.11 or newer is needed") if sys.version_info < (3, 11) else None'
	python3 -m venv .venv
	@mkdir -p .stamps && touch $@

.stamps/run: .stamps/venv requirements.lock pyproject.toml
	$(BIN)/pip install -q --require-hashes -r requirements.lock
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q hotline ivr asr tickets worker # or the first start would
	@touch $@

.stamps/test: .stamps/run requirements-dev.lock
	.ci/packages test
	$(BIN)/pip install -q --require-hashes -r requirements-dev.lock
	@touch $@
