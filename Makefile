# Copyright: (c) 2026, the sep.sesam contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Every target is one command of tests/workbench, which sets up what it needs.
# The path goes by the environment: blanks and quotes in it do no harm there.

export MAKEFILE_PATH := $(MAKEFILE_LIST)

workbench = @sh "$$(dirname -- "$${MAKEFILE_PATH\# }")/tests/workbench/run"

.PHONY: help demo test matrix faults fuzz lint sanity bench docs build clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' "$${MAKEFILE_PATH# }"

demo: ## the main job on an embedded stand-in: nothing else is needed
	$(workbench) demo

test: ## every test, ten to twenty minutes on two cores (make test ARGS="-k name" for pytest)
	$(workbench) test $(ARGS)

matrix: ## the integration tests by both transports, ansible-core 2.16 to newest, Python 3.6 to 3.13: more than an hour
	$(workbench) matrix $(ARGS)

faults: ## every fault at every place, and a table of what came of each, half an hour to an hour and a half (make faults ARGS="crashes --every 5")
	$(workbench) faults $(ARGS)

fuzz: ## mutated inputs for all that reads inputs (make fuzz ARGS="--seconds 600")
	$(workbench) fuzz $(ARGS)

lint: ## ruff, mypy, vermin, yamllint, ansible-lint
	$(workbench) lint

sanity: ## ansible-test sanity with the newest ansible-core, and with 2.16 for Python 3.6
	$(workbench) sanity

bench: ## what the collection costs, against ping and others (root and sshd are needed; ARGS=--help)
	$(workbench) bench $(ARGS)

docs: ## the pages that are made from the code: docs/findings.md
	$(workbench) docs

build: ## the tarball of the collection, in build/
	$(workbench) build

clean: ## remove what the other commands have made
	$(workbench) clean
