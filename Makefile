# Shortcuts for commands of Ansible and Molecule, which work without make too.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help up down test test-all new secrets rehearse deploy check drift remove rollback releases status logs run dev lint unit molecule bench bundle audit docs lock lock-app

HTTP_PORT ?= 8080
SCENARIO ?= default
# CORE=newest: the newest Ansible instead of the one that also manages Ubuntu 18.04 and 20.04, see docs/controller.md.
ifneq ($(filter-out newest,$(CORE)),)
$(error CORE must be newest or not set, got '$(CORE)')
endif
VENV := $(if $(CORE),.cache/$(CORE),.venv)

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export IMAGE ENGINE APP_PYTHON
# Molecule and ansible-lint store their files here, not in the home directory.
export ANSIBLE_HOME := $(CURDIR)/.cache/ansible
export MOLECULE_COMMAND_BORDERS := false

# MITOGEN=1 speeds up runs, see docs/bench. The first play runs without it and records the host's key.
ifdef MITOGEN
export ANSIBLE_STRATEGY := mitogen_linear
export ANSIBLE_STRATEGY_PLUGINS = $(dir $(shell $(VENV)/bin/python -c 'import ansible_mitogen; print(ansible_mitogen.__file__)'))plugins/strategy
endif

# HOST=[user@]address[:port] becomes -i 'address[:port],' -u user; INVENTORY=path replaces it.
comma := ,
host = -i '$(lastword $(subst @, ,$(HOST)))$(comma)' -u $(if $(findstring @,$(HOST)),$(firstword $(subst @, ,$(HOST))),ubuntu)
nohost = $(error No host given. Run make $@ HOST=[user@]address[:port] or make $@ INVENTORY=path)
target = $(if $(INVENTORY),-i '$(INVENTORY)' $(vault),$(if $(HOST),$(host),$(nohost)))
# the password of an inventory's secrets, where make new wrote one
vault = $(shell folder='$(INVENTORY)'; [ -d "$$folder" ] || folder=$$(dirname "$$folder"); \
	[ ! -f "$$folder/.vault-password" ] || echo "--vault-password-file '$$folder/.vault-password'")
# REPLACE=1: this run's machine settings replace those of the machine's other apps, see docs/neighbours.md
options = $(if $(KEY),--private-key '$(KEY)') $(if $(REPLACE),-e '{"preflight_replace": true}') $(ARGS)
app = $(if $(APP),-e 'flask_app_src=$(abspath $(APP))')

# make dev: an environment with the app's locked packages, on this computer
folder = $(or $(APP),files/flaskrandom)
environment = .cache/dev/$(notdir $(abspath $(folder)))

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' Makefile

up: $(VENV)/made ## create a machine here and deploy to it: the article's API answers on HTTP_PORT=8080; IMAGE= sets its OS
	ansible-playbook -i sandbox, -e machine_http_port=$(HTTP_PORT) tools/machines/create.yml
	ansible-playbook -i inventory/sandbox playbook.yml $(app) $(options)
	@cat .cache/machines/welcome.txt

down: $(VENV)/made ## remove that machine
	ansible-playbook -i sandbox, tools/machines/destroy.yml

# For other scenarios: make molecule SCENARIO=security
test: lint unit ## run lint, unit tests and the scenarios article, default and release, each on its own machine
	molecule test --scenario-name article --scenario-name default --scenario-name release

# ubuntu:18.04 needs an image registry; otherwise it is replaced by debian:12.
IMAGES ?= ubuntu:18.04 debian:11 debian:12 debian:13
test-all: ## run the scenario default on each of IMAGES=, and report their OS
	for image in $(IMAGES); do $(MAKE) molecule SCENARIO=default IMAGE=$$image || exit; done
	@for image in $(IMAGES); do IMAGE=$$image CACHE=.cache/machines tools/machines/engine image; done | sed -E 's/.*"os": "(.*)", "why": "(.*)".*/ran on \1: \2/'

# Only from the command line: on WSL, for instance, the environment has a NAME too.
given = $(if $(findstring command line,$(origin $1)),$(if $($1),--$2 '$($1)'))
new: $(VENV)/made ## write the inventory of APP=folder of a Flask app: HOST= of the machine, DIR= of the inventory, NAME= of the app
	@python -m tools.new $(or $(call given,APP,app),$(error No app given. Run make new APP=folder)) \
		$(foreach option,HOST:host KEY:key DIR:dir NAME:name,$(call given,$(firstword $(subst :, ,$(option))),$(lastword $(subst :, ,$(option)))))

novault = $(error No .vault-password beside INVENTORY=$(INVENTORY). Run make secrets INVENTORY=path of an inventory that make new wrote)
secrets: $(VENV)/made ## edit the secrets of INVENTORY=path, which make new wrote
	ansible-vault edit $(or $(vault),$(novault)) \
		"$$([ -d '$(INVENTORY)' ] && echo '$(INVENTORY)' || dirname '$(INVENTORY)')/group_vars/all/vault.yml"

# python -m tools.rehearse has its own exit statuses (--help); make exits with 2 for any failure.
rehearse: $(VENV)/made ## try the deploy of INVENTORY=path under load on a machine here, with a rollback; ARGS=--json, --keep
	@python -m tools.rehearse '$(or $(INVENTORY),$(error No inventory given. Run make rehearse INVENTORY=path))' $(ARGS)

deploy: $(VENV)/made ## deploy to HOST=[user@]address[:port] or INVENTORY=path; KEY=private key, APP=folder of another Flask app
	ansible-playbook $(target) playbook.yml $(app) $(options)

check: $(VENV)/made ## show what deploy would change, with the same variables
	ansible-playbook $(target) playbook.yml $(app) $(options) --check --diff

# tools/drift has its own exit statuses (tools/drift --help); make exits with 2 for any failure.
drift: $(VENV)/made ## show manual changes on HOST= or INVENTORY=, with the same variables; ARGS=--json
	tools/drift $(target) $(app) $(options)

remove: $(VENV)/made ## uninstall the app, and what deploy installed for it, from HOST= or INVENTORY=
	ansible-playbook $(target) remove.yml $(options)

rollback: $(VENV)/made ## roll back to the previous release on HOST= or INVENTORY=
	ansible-playbook $(target) rollback.yml $(options)

releases: $(VENV)/made ## list the releases on HOST= or INVENTORY=
	ansible-playbook $(target) releases.yml $(options)

# tools/status has its own exit statuses (tools/status --help); make exits with 2 for any failure.
status: $(VENV)/made ## show what runs on HOST= or INVENTORY=, problems first; ARGS=--json
	@tools/status $(target) $(options)

# given on the command line, as it was typed: make expands nothing in it, nor does the shell, and its lines stay one command
define newline


endef
quoted = '$(subst $(newline),'$$'\n'',$(subst ','\'',$(value $1)))'
chosen = $(if $(findstring command line,$(origin $1)),--$2=$(call quoted,$1))
logs: $(VENV)/made ## show an app's logs on HOST= or INVENTORY=; SINCE=2h, GREP=text, PROCESS=worker or nginx, FOLLOW=1
	@python -m tools.remote logs $(target) $(options) $(call chosen,SINCE,since) $(call chosen,GREP,grep) \
		$(call chosen,PROCESS,process) $(if $(FOLLOW),--follow)

nocommand = $(error No command given. Run make run CMD='flask shell' INVENTORY=path)
run: $(VENV)/made ## run CMD='flask shell' as the app, in its serving release, on HOST= or INVENTORY=
	@python -m tools.remote run $(target) $(options) -- sh -c $(if $(value CMD),$(call quoted,CMD),$(nocommand))

# FOR=3.6-x86_64 instead of a host: wheels only
bundle: $(VENV)/made ## download what hosts like HOST= or INVENTORY= need without a network to .cache/bundle
	ansible-playbook $(if $(FOR),-i localhost$(comma) -e bundle_for=$(FOR),$(target)) bundle.yml \
		$(app) $(options)

dev: $(environment)/made ## run the app on this computer with flask run and .flaskenv, reloading on changes; APP=folder
	cd '$(folder)' && '$(CURDIR)/$(environment)/bin/flask' run

lint: $(VENV)/made .cache/gixy/made ## run ansible-lint, yamllint, ruff, shellcheck and gixy
	ansible-lint --offline
	yamllint --strict .
	ruff check
	shellcheck $$(git grep -lE '^#!.*[ /](ba)?sh$$')
	tools/gixy/run

unit: $(VENV)/made ## run the tests that need no machine; fails if less than 90 % of the release tool's branches are covered
	pytest --cov --numprocesses=auto --dist=loadfile
	tests/app/run
	tests/release/run

molecule: $(VENV)/made ## run one scenario: SCENARIO=default, IMAGE=debian:13, APP_PYTHON=python3.8
	molecule test --scenario-name $(SCENARIO)

lock-app: $(VENV)/made ## update the lock of the app's packages on HOST= or INVENTORY= to newer versions
	ansible-playbook $(target) lock.yml $(app) $(options)

bench: $(VENV)/made ## benchmark against the article's stack and write docs/bench (15 minutes); ARGS=--quick writes nothing (2 minutes)
	tools/bench/run $(ARGS)

audit: .cache/audit/made ## report known vulnerabilities of all locked packages; fails if the database is unreachable
	.cache/audit/bin/python tools/audit/run

docs: $(VENV)/made ## generate docs/variables.md from the roles' argument specs
	python tools/variables >docs/variables.md

lock: $(VENV)/made ## update the lock files; ARGS=--upgrade for newer versions
	$(lock) --python-version 3.10 requirements.in -o requirements.txt
	$(lock) --python-version 3.12 --override requirements-newest.in requirements.in -o requirements-newest.txt
	$(lock) --python-version 3.10 tools/audit/requirements.in -o tools/audit/requirements.txt
	$(lock) --python-version 3.10 tools/gixy/requirements.in -o tools/gixy/requirements.txt
	$(lock) --python-version 3.10 roles/python-venv/files/uv.in -o roles/python-venv/files/uv.txt
	python tools/pythons >roles/python-venv/files/pythons.json
	for tool in pdm pip pipenv poetry; do $(lock) --python-version 3.10 $(tools)/$$tool.in -o $(tools)/$$tool.txt || exit; done
	$(lock) --python-version 3.6 files/flaskrandom/requirements.in -o files/flaskrandom/requirements.txt
	$(lock) --python-version 3.6 tests/app/requirements.in -o tests/app/requirements.txt
	$(lock) --python-version 3.6 molecule/connections/app/requirements.in -o molecule/connections/app/requirements.txt
	$(lock) --python-version 3.6 molecule/data/app/requirements.in -o molecule/data/app/requirements.txt
	$(lock) --python-version 3.6 molecule/processes/app/requirements.in -o molecule/processes/app/requirements.txt
	$(lock) --python-version 3.6 molecule/release/app/requirements.in -o molecule/release/app/requirements.txt

tools = roles/flask-app/files/tools
lock = uv pip compile --quiet --universal --no-strip-extras --generate-hashes --no-emit-index-url --custom-compile-command "make lock" $(ARGS)

# Not the thousands of modules for hosts, which would take longer than the rest. Compiled here, because with
# PYTHONDONTWRITEBYTECODE every run would compile them again.
$(VENV)/made: requirements$(if $(CORE),-$(CORE)).txt
	tools/venv $(VENV) $(if $(CORE),3.12)
	$(VENV)/bin/pip install -qq --no-compile --require-hashes -r $<
	$(VENV)/bin/python -m compileall -q -j 0 -x '/(ansible_collections|ansible/modules)/' $(VENV)/lib
	@touch $@

.cache/audit/made .cache/gixy/made: .cache/%/made: tools/%/requirements.txt
	tools/venv .cache/$*
	.cache/$*/bin/pip install -qq --require-hashes -r tools/$*/requirements.txt
	@touch $@

$(environment)/made: $(folder)/requirements.txt
	tools/venv '$(environment)'
	'$(environment)/bin/pip' install -qq --require-hashes -r '$(folder)/requirements.txt'
	@touch '$@'
