# Short names for Ansible's and Molecule's own commands, which do without make as well.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help up down test test-all deploy check drift remove rollback releases dev lint unit molecule bench bundle audit docs lock

HTTP_PORT ?= 8080
SCENARIO ?= default
PYTHON = $(shell for python in python3 python3.12 python3.11 python3.10; do \
	$$python -c 'import ensurepip, sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$python && break; done)

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export IMAGE ENGINE APP_PYTHON
# Molecule and ansible-lint keep their files here, not in the home directory.
export ANSIBLE_HOME := $(CURDIR)/.cache/ansible
export MOLECULE_COMMAND_BORDERS := false

# MITOGEN=1: quicker runs, see docs/bench. The first play, which goes without it, learns the host's key.
ifdef MITOGEN
export ANSIBLE_STRATEGY := mitogen_linear
export ANSIBLE_STRATEGY_PLUGINS = $(dir $(shell .venv/bin/python -c 'import ansible_mitogen; print(ansible_mitogen.__file__)'))plugins/strategy
endif

# HOST=[user@]address[:port], as Ansible's own -i 'ADDRESS,' takes it, or INVENTORY=path, which then says it all.
comma := ,
host = -i '$(lastword $(subst @, ,$(HOST)))$(comma)' -u $(if $(findstring @,$(HOST)),$(firstword $(subst @, ,$(HOST))),ubuntu)
nohost = $(error Say which machine: make $@ HOST=[user@]address[:port] or make $@ INVENTORY=path)
target = $(if $(INVENTORY),-i '$(INVENTORY)',$(if $(HOST),$(host),$(nohost)))
# REPLACE=1: this run's settings of the machine take the place of other apps', see docs/neighbours.md
options = $(if $(KEY),--private-key '$(KEY)') $(if $(REPLACE),-e '{"preflight_replace": true}') $(ARGS)
app = $(if $(APP),-e 'flask_app_src=$(abspath $(APP))')

# make dev: the app's own locked packages, on this computer
folder = $(or $(APP),files/flaskrandom)
environment = .cache/dev/$(notdir $(abspath $(folder)))

help: ## this list
	@sed -En 's/^([a-z-]+):.*## /\1\t/p' Makefile | column -ts $$'\t'

up: .venv/made ## make a machine here and set it up: the article's API answers on HTTP_PORT=8080; IMAGE= is its OS
	ansible-playbook -i sandbox, -e machine_http_port=$(HTTP_PORT) tools/machines/create.yml
	ansible-playbook -i inventory/sandbox playbook.yml $(app) $(options)
	@cat .cache/machines/welcome.txt

down: .venv/made ## remove that machine
	ansible-playbook -i sandbox, tools/machines/destroy.yml

# The others, such as security and tls: make molecule SCENARIO=security
test: lint unit ## lint, unit tests and the scenarios article, default and release, each on a machine of its own
	molecule test --scenario-name article --scenario-name default --scenario-name release

# The first is Ubuntu 18.04 itself where an image registry gives it.
IMAGES ?= ubuntu:18.04 debian:11 debian:12 debian:13
test-all: ## the scenario default on each of IMAGES=, and what each was
	for image in $(IMAGES); do $(MAKE) molecule SCENARIO=default IMAGE=$$image || exit; done
	@for image in $(IMAGES); do IMAGE=$$image CACHE=.cache/machines tools/machines/engine image; done | sed -E 's/.*"os": "(.*)", "why": "(.*)".*/ran on \1: \2/'

deploy: .venv/made ## set up HOST=[user@]address[:port] or INVENTORY=path; KEY=private key, APP=folder of another Flask app
	ansible-playbook $(target) playbook.yml $(app) $(options)

check: .venv/made ## what deploy would change, with the same variables
	ansible-playbook $(target) playbook.yml $(app) $(options) --check --diff

# The command's own exit status has a meaning (tools/drift --help); make's is 2 for any failure.
drift: .venv/made ## what somebody changed by hand on HOST= or INVENTORY=, with the same variables; ARGS=--json
	tools/drift $(target) $(app) $(options)

remove: .venv/made ## take away what deploy made on HOST= or INVENTORY=
	ansible-playbook $(target) remove.yml $(options)

rollback: .venv/made ## back to the release that served before, on HOST= or INVENTORY=
	ansible-playbook $(target) rollback.yml $(options)

releases: .venv/made ## list the releases on HOST= or INVENTORY=
	ansible-playbook $(target) releases.yml $(options)

# FOR=3.6-x86_64 instead of a machine: the wheels only
bundle: .venv/made ## fetch what machines like HOST= or INVENTORY= need without a network, into .cache/bundle
	ansible-playbook $(if $(FOR),-i localhost$(comma) -e bundle_for=$(FOR),$(target)) bundle.yml \
		$(app) $(options)

dev: $(environment)/made ## flask run on this computer as .flaskenv says, reloading on every change; APP=folder
	cd '$(folder)' && '$(CURDIR)/$(environment)/bin/flask' run

lint: .venv/made .cache/gixy/made ## ansible-lint, yamllint, ruff, shellcheck, gixy
	ansible-lint --offline
	yamllint --strict .
	ruff check
	shellcheck $$(git grep -lE '^#!.*\b(ba)?sh$$')
	tools/gixy/run

unit: .venv/made ## the tests that need no machine; fails where less than 90 % of the release tool's branches are covered
	pytest --cov
	tests/app/run
	tests/release/run

molecule: .venv/made ## one scenario: SCENARIO=default, IMAGE=debian:13, APP_PYTHON=python3.8
	molecule test --scenario-name $(SCENARIO)

bench: .venv/made ## measure against the article's stack and write docs/bench; some 15 minutes, ARGS=--quick for two and no files
	tools/bench/run $(ARGS)

audit: .cache/audit/made ## known vulnerabilities of all locked packages; fails when the database cannot be asked
	.cache/audit/bin/python tools/audit/run

docs: .venv/made ## write docs/variables.md anew from the roles' argument specs
	python tools/variables >docs/variables.md

lock: .cache/uv/made ## make the locks again; ARGS=--upgrade to newer versions
	$(lock) --python-version 3.10 requirements.in -o requirements.txt
	$(lock) --python-version 3.10 tools/audit/requirements.in -o tools/audit/requirements.txt
	$(lock) --python-version 3.10 tools/gixy/requirements.in -o tools/gixy/requirements.txt
	$(lock) --python-version 3.10 roles/python-venv/files/uv.in -o roles/python-venv/files/uv.txt
	$(lock) --python-version 3.6 files/flaskrandom/requirements.in -o files/flaskrandom/requirements.txt
	$(lock) --python-version 3.6 tests/app/requirements.in -o tests/app/requirements.txt
	$(lock) --python-version 3.6 molecule/release/app/requirements.in -o molecule/release/app/requirements.txt

lock = .cache/uv/bin/uv pip compile --quiet --universal --no-strip-extras --generate-hashes --no-emit-index-url --custom-compile-command "make lock" $(ARGS)
new = $(if $(PYTHON),$(PYTHON) -m venv --clear,$(error \
	Python 3.10, 3.11 or 3.12 with its venv module is needed here; on Debian and Ubuntu: apt install python3-venv))

# Compiling the thousands of modules for hosts would take longer than all the rest. The others are compiled here, because
# where Python is told to keep no bytecode, every run would compile them anew.
.venv/made: requirements.txt
	$(new) .venv
	.venv/bin/pip install -qq --no-compile --require-hashes -r requirements.txt
	.venv/bin/python -m compileall -q -j 0 -x '/(ansible_collections|ansible/modules)/' .venv/lib
	@touch $@

.cache/audit/made .cache/gixy/made: .cache/%/made: tools/%/requirements.txt
	$(new) .cache/$*
	.cache/$*/bin/pip install -qq --require-hashes -r tools/$*/requirements.txt
	@touch $@

$(environment)/made: $(folder)/requirements.txt
	$(new) '$(environment)'
	'$(environment)/bin/pip' install -qq --require-hashes -r '$(folder)/requirements.txt'
	@touch '$@'

.cache/uv/made: roles/python-venv/files/uv.txt
	$(new) .cache/uv
	.cache/uv/bin/pip install -qq --require-hashes -r $<
	@touch $@
