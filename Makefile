# Everything here runs in a virtual environment of the project's own, .venv. Needs Python 3.11 or later.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One stamp for each set of dependencies; a change of pyproject.toml installs them again.
RUN := $(VENV)/.run
DEV := $(VENV)/.dev
TRAIN := $(VENV)/.train

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(RUN): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(DEV): $(RUN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(TRAIN): $(RUN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[train]'
	@touch $@

.PHONY: venv
venv: $(DEV) ## set up .venv with everything for development

.PHONY: compiler
compiler:
	@command -v "$${CC:-cc}" >/dev/null || { \
		echo "there is no C compiler ($${CC:-cc}), which 'make compiled' needs. Install one: on Debian and Ubuntu"; \
		echo "'apt-get install gcc libc6-dev python3-dev', on Fedora 'dnf install gcc python3-devel', on macOS"; \
		echo "'xcode-select --install'. newsmill does the same without one, as pure Python."; exit 2; } >&2

# Whatever else is made afterwards wants the sources as they are: without their stamps these are installed again first.
.PHONY: compiled
compiled: compiler $(RUN) ## install newsmill with its hot modules compiled (`make venv`: the sources again)
	rm -f $(RUN) $(DEV) $(TRAIN)
	HATCH_BUILD_HOOKS_ENABLE=true $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--force-reinstall .
	@cd $(VENV) && bin/newsmill --version

.PHONY: demo
demo: $(RUN) ## run the samples through all stages and show what comes of them
	@mkdir -p out
	@$(BIN)/newsmill run samples --table --out out/articles.ndjson --duplicates out/duplicates.ndjson \
		--dead-letters out/dead-letters.ndjson
	@echo
	@echo 'What to look at next:'
	@echo '  out/articles.ndjson       the articles, one JSON object a line'
	@echo '  out/duplicates.ndjson     what was recognised as a copy: of which article, by which rule, how similar'
	@echo '  out/dead-letters.ndjson   what was refused: the reason, where it came from, and the bytes as they were'
	@echo '  samples/README.md         what the samples are, and what should come of each'
	@echo 'Try:'
	@echo '  $(BIN)/newsmill run samples --until dedup      stop after a stage and see its records'
	@echo '  $(BIN)/newsmill run YOUR-FILES --state out/state --out out/mine.ndjson      exactly once, killed or not'
	@echo '  $(BIN)/newsmill up                             the same on a local Apache Kafka (needs Java 17 and Maven)'

.PHONY: schemas
schemas: $(RUN) ## generate the JSON Schemas in schemas/json from the typed messages
	$(BIN)/python -m schemas.jsonschema

.PHONY: lint
lint: $(DEV) ## check style, formatting and the import rule
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

.PHONY: types
types: $(DEV) ## check types
	$(BIN)/mypy

.PHONY: test
test: lint types ## run everything that must pass: lint, types, all tests but the long ones
	$(BIN)/python -m pytest -m 'not chaos and not gameday' --numprocesses 2 --dist loadfile

.PHONY: chaos
chaos: $(DEV) ## run the long tests: workers and brokers killed over and over
	$(BIN)/python -m pytest -m chaos

.PHONY: fuzz
fuzz: $(DEV) ## fuzz what reads bytes from outside, SECONDS_EACH (60); findings go to out/fuzz
	@set -e; for target in ingest warc webfeed json gateway dedup-log snapshot; do echo "== $$target"; \
		$(BIN)/python -m tests.fuzz $$target --seconds $${SECONDS_EACH:-60} --corpus out/fuzz-corpus/$$target; done

.PHONY: gameday
gameday: $(DEV) ## break everything in turn under load, and see which alerts fire and end: half an hour
	$(BIN)/python -m pytest -m gameday

.PHONY: dashboards
dashboards: $(DEV) ## write the Grafana dashboards (deploy/grafana/dashboards) from their code
	$(BIN)/python -m deploy.grafana.source

.PHONY: metrics-doc
metrics-doc: $(DEV) ## write docs/metrics.md from the catalogue of metrics
	$(BIN)/python -m newsmill.metricsdoc > docs/metrics.md

.PHONY: console-pictures
console-pictures: $(DEV) ## take the pictures of the console (docs/images) again, in a real Chromium
	$(BIN)/python -m tests.support.console_pictures

.PHONY: data
data:
	@test -d '$(DATA)' || { echo 'name the folder of training data: make train-... DATA=FOLDER'; exit 2; }

.PHONY: train-entities
train-entities: data $(TRAIN) ## make the lexicon of entities, then train the weights from DATA/entities/*.conll
	$(BIN)/python -m workers.entities.lexicon_build
	$(BIN)/python -m workers.entities.train --data '$(DATA)/entities' --out workers/entities/data/english.npz

.PHONY: train-ingest
train-ingest: data $(TRAIN) ## train the weights of ingest's model of lines from DATA/{articles,webpages}.ndjson.gz and our labelled pages
	$(BIN)/python -m workers.ingest.train --articles '$(DATA)/articles.ndjson.gz' --pages tests/data/ingest/pages \
		--web '$(DATA)/webpages.ndjson.gz' --out workers/ingest/lines.weights

.PHONY: train-classify
train-classify: data $(TRAIN) ## train and calibrate the weights of classify from DATA/{subjects,extraction} and DATA/{articles,webpages}.ndjson.gz
	$(BIN)/python -m workers.classify.train \
		--media-topics '$(DATA)/subjects/iptc-media-topics.json' --articles '$(DATA)/articles.ndjson.gz' \
		--labels tests/data/classify/tune.tsv --collected tests/data/classify/web.tsv --collected-from '$(DATA)' \
		--out workers/classify

.PHONY: classify-vectors
classify-vectors: data $(TRAIN) ## make the vectors of words for classify (needs the extra `vectors`; train-classify after it)
	$(BIN)/python -m workers.classify.vectors_build --data '$(DATA)' --labels tests/data/classify/tune.tsv \
		--collected tests/data/classify/web.tsv --out workers/classify/vectors.bin

.PHONY: clean
clean: ## remove .venv, caches and output; the local cluster's data stays
	rm -rf $(VENV) out .cache/compiled .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
