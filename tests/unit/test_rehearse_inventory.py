"""make rehearse: what it reads of an inventory, rehearse.yml and the app's versions."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from app_tree import app_tree

from tools.new import vault
from tools.rehearse import inventory, settings, values, versions
from tools.rehearse.errors import Stopped

ROOT = Path(__file__).parents[2]
HOSTS = """
all:
  hosts:
    web1:
      ansible_host: 203.0.113.7
  vars:
    ansible_user: ubuntu
"""
VARIABLES = """
flask_app_name: shop
flask_app_src: "{{ inventory_dir }}/shop"
flask_app_domains: [shop.example.com]
flask_app_environment: {MODE: production, SERVER_NAME: shop.example.com, STATIC: "{{ folder }}/static"}
flask_app_secrets: "{{ vault_secrets }}"
folder: /srv/x
tls_mode: acme
flask_app_after_deploy: [tell the chat]
"""
SECRETS = """
vault_secrets: {SECRET_KEY: planted-key, STRIPE_API_KEY: planted-stripe}
ansible_become_password: planted-become
"""


@pytest.fixture
def made(tmp_path):
    """An inventory with an encrypted file and its password."""
    folder = app_tree(tmp_path / 'hosts', {'hosts.yml': HOSTS, 'group_vars/all/main.yml': VARIABLES})
    password = vault.write_password(folder)
    (folder / 'group_vars/all/vault.yml').write_bytes(vault.encrypt(SECRETS, password))
    return folder


def read(folder, limit='', given=None):
    password = folder / inventory.PASSWORD_FILE
    return inventory.read(folder, limit, given or {}, str(password) if password.exists() else '')


def test_the_plain_variables_and_the_names_of_secrets_are_read_and_no_secret(made):
    app = read(made)
    assert app.variables == {'flask_app_name': 'shop', 'flask_app_src': f'{made}/shop', 'flask_app_domains': ['shop.example.com']}
    assert app.environment == {'MODE': 'production', 'SERVER_NAME': 'shop.example.com', 'STATIC': '/srv/x/static'}
    assert app.secrets == {'SECRET_KEY', 'STRIPE_API_KEY'} and app.complete and app.tls
    assert 'planted' not in repr(app)


def test_without_the_password_it_says_that_names_are_unknown(made):
    (made / inventory.PASSWORD_FILE).unlink()
    app = read(made)
    assert app.secrets == set() and not app.complete
    assert app.notes == ['Encrypted, and read without the password: vault.yml. The names of the secrets in it are unknown.']


def test_a_wrong_password_is_like_none(made):
    (made / inventory.PASSWORD_FILE).write_text('wrong\n')
    assert not read(made).complete


def test_single_encrypted_values_are_names_only(made):
    encrypted = vault.encrypt('planted', 'x').decode().strip().replace('\n', '\n        ')
    text = VARIABLES.replace('MODE: production,', '').replace('flask_app_secrets: "{{ vault_secrets }}"', '')
    text = text.replace('{ SERVER', '{SERVER').replace(
        'flask_app_environment: {', 'flask_app_secrets:\n    KEY_OF_ALL: !vault |\n        ' + encrypted + '\nflask_app_environment: {'
    )
    (made / 'group_vars/all/main.yml').write_text(text)
    app = read(made)
    assert app.secrets == {'KEY_OF_ALL'} and 'ANSIBLE_VAULT' not in repr(app)


@pytest.mark.parametrize('line', [
    'mirrors_proxy: http://me:secret@proxy.example:3128',
    'mirrors_apt: ["https://me:secret@mirror.example/debian"]',
    'nginx_client_max_body_size: "{{ vault_size }}"',
])  # fmt: skip
def test_a_variable_that_cannot_be_used_is_named_and_can_be_given(made, line):
    with (made / 'group_vars/all/main.yml').open('a') as file:
        file.write(line + '\n')
    name = line.partition(':')[0]
    with pytest.raises(Stopped, match=f'^{name}: .*rehearse.yml') as stopped:
        read(made)
    assert 'secret' not in str(stopped.value)
    assert read(made, given={name: '1m'}).variables[name] == '1m'


def test_one_of_several_apps_is_chosen(tmp_path):
    two = HOSTS.replace('web1:', 'blog: {flask_app_name: blog}\n    shop:\n      flask_app_name: shop')
    folder = app_tree(tmp_path, {'hosts.yml': two})
    with pytest.raises(Stopped, match=r'several apps: blog, shop. .*--limit=blog'):
        read(folder)
    assert read(folder, 'shop').name == 'shop'
    with pytest.raises(Stopped, match=r"--limit .* got 'shoop'"):
        read(folder, 'shoop')


def test_two_hosts_of_an_app_are_one_app_and_balancers_are_none(tmp_path):
    text = """
        all:
          hosts: {web1: {}, web2: {}}
          vars: {flask_app_repo: "https://git.example/my-shop.git"}
          children: {balancers: {hosts: {front: {}}}}
        """
    app = read(app_tree(tmp_path, {'hosts.yml': text}))
    assert (app.host, app.name) == ('web1', 'my-shop')


@pytest.mark.parametrize('path', ['inventory/sandbox', 'inventory/production', 'examples/article', 'examples/own-tls'])
def test_the_inventories_of_this_project_can_be_read(path):
    app = read(ROOT / path)
    assert not [name for name in app.variables if name.startswith(('ansible_', 'tls_'))]


# -- values of environment variables

DOMAINS = ['shop.example.com']


@pytest.mark.parametrize('name, value', [
    ('DATABASE_URL', 'postgresql://shop@db.example.com/shop'), ('STRIPE_API_KEY', 'abc'), ('MAIL_SERVER', 'mail'), ('DB_HOST', 'localhost'),
    ('PIN', '8f14e45fceea167a5a36dedd4bea2543'), ('CACHE', '10.0.0.7:6379'), ('CACHE', '10.0.0.7'), ('ADMINS', 'a@b.com, c@d.com'),
    ('UPSTREAM', 'api.other.com'), ('api_token', 'x'), ('WEB_HOOK', 'https://hooks.example/T0/B1'), ('QUEUE', 'amqp://broker:5672'),
])  # fmt: skip
def test_addresses_and_keys_are_recognized(name, value):
    assert values.is_foreign(name, value, DOMAINS)


@pytest.mark.parametrize('name, value', [
    ('DATABASE_URL', 'sqlite:////srv/shop/shared/app.db'), ('MODE', 'production'), ('SERVER_NAME', 'shop.example.com'), ('WORKERS', 4),
    ('CONFIG', 'shop.config.Production'), ('CONFIG', '{release}/config.py'), ('RATELIMIT_STORAGE_URL', 'memory://'), ('DEBUG', False),
    ('MAX_CONTENT', '16777216'), ('TITLE', 'My shop: the best one'), ('API_KEY', ''), ('VERSION', '1.2.3'),
])  # fmt: skip
def test_plain_values_are_passed_on(name, value):
    assert not values.is_foreign(name, value, DOMAINS)


def test_what_has_no_value_stops_the_rehearsal_and_is_named():
    with pytest.raises(Stopped) as stopped:
        values.choose({'REDIS_URL': 'redis://cache.example/0', 'MODE': 'x'}, {'STRIPE_API_KEY', 'SECRET_KEY'}, {'MAIL_PASSWORD'}, {}, [])
    text = str(stopped.value)
    assert text.startswith('MAIL_PASSWORD, REDIS_URL, STRIPE_API_KEY: ') and 'SECRET_KEY' not in text and 'cache.example' not in text


def test_secrets_get_given_or_generated_values_and_never_the_inventorys():
    given = {'STRIPE_API_KEY': 'test', 'EXTRA': '1'}
    plain, private, generated = values.choose({'SECRET_KEY': 'real', 'MODE': 'x'}, {'SESSION_KEY', 'STRIPE_API_KEY'}, set(), given, [])
    assert plain == {'MODE': 'x', 'EXTRA': '1'} and generated == ['SECRET_KEY', 'SESSION_KEY']
    assert private['STRIPE_API_KEY'] == 'test' and private['SECRET_KEY'] != 'real' and len(private['SECRET_KEY']) > 40


def test_an_apps_code_names_what_it_needs_where_the_secrets_names_are_unknown(tmp_path):
    code = "import os\nA = os.environ['MAIL_PASSWORD']\nB = os.environ.get('SECRET_KEY')\nC = os.environ.get('PAGE_SIZE', '3')\n"
    app_tree(tmp_path, {'app.py': f'{code}from flask import Flask\napp = Flask(__name__)\n'})
    assert values.read_by(str(tmp_path)) == {'MAIL_PASSWORD', 'SECRET_KEY'}


# -- rehearse.yml


def test_settings_are_read(tmp_path):
    assert settings.read(tmp_path) == settings.Settings()
    text = """
        like: debian:12
        paths: [/, {path: /orders, method: POST, body: '{}', headers: {Content-Type: application/json}}]
        rate: 5
        """
    found = settings.read(app_tree(tmp_path, {'rehearse.yml': text}))
    assert (found.like, found.rate, found.requests) == ('debian:12', 5, 1500)
    assert [str(request) for request in found.paths] == ['GET /', 'POST /orders']


@pytest.mark.parametrize('given, said', [
    ({'pathes': []}, 'pathes does not exist'), ({'rate': 0}, 'rate must be a number from 1 to 200, got 0'), ({'rate': True}, 'rate must'),
    ({'paths': ['items']}, "paths must .* got 'items'"), ({'paths': [{'path': '/', 'methode': 'POST'}]}, 'paths must'),
    ({'paths': [{'path': '/', 'method': 'FETCH'}]}, 'paths must'), ({'paths': [{'path': '/', 'headers': {'A': 'b\nC: d'}}]}, 'paths must'),
    ({'environment': ['A=b']}, 'environment must be names with values.$'), ([], 'must have names with values, got list'),
])  # fmt: skip
def test_wrong_settings_are_named(given, said):
    with pytest.raises(Stopped, match=said):
        settings.parse(given)


def test_ansible_takes_rehearse_yml_for_no_inventory(made):
    app_tree(made, {'rehearse.yml': 'like: debian:12\n'})
    command = [Path(sys.executable).parent / 'ansible-inventory', '-i', made, '--vault-password-file', made / '.vault-password', '--list']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, '')


# -- versions


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository whose folder `shop` has three commits."""
    for name in ('GIT_AUTHOR_NAME', 'GIT_COMMITTER_NAME', 'GIT_AUTHOR_EMAIL', 'GIT_COMMITTER_EMAIL'):
        monkeypatch.setenv(name, 'x@example.com')
    folder = app_tree(tmp_path / 'repository', {'shop/app.py': '1', 'other': '1'})
    git(folder, 'init', '-q')
    for number in '123':
        (folder / 'shop/app.py').write_text(number)
        git(folder, 'add', '.')
        git(folder, 'commit', '-qm', number)
    (folder / 'other').write_text('2')
    git(folder, 'commit', '-qam', 'other')
    return folder


def git(folder, *command):
    environment = {name: value for name, value in os.environ.items() if name not in ('GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE')}
    return subprocess.run(['git', '-C', folder, *command], env=environment, check=True, capture_output=True, text=True).stdout.strip()


def found(folder, tmp_path, revision='', wanted='', **variables):
    app = inventory.App('web1', {'flask_app_src': str(folder), **variables})
    before, new = versions.find(app, wanted, '', tmp_path / 'work', versions.Serving(revision, '', 'production did not tell'))
    return (Path(before.folder) / 'app.py').read_text(), (Path(new.folder) / 'app.py').read_text(), before.name


def test_the_release_that_serves_in_production_is_the_version_before(repository, tmp_path):
    first = git(repository, 'rev-list', '--max-parents=0', 'HEAD')
    before, new, name = found(repository / 'shop', tmp_path, revision=first[:12])
    assert (before, new, name) == ('1', '3', f'{first[:12]} (serves in production)')


def test_without_production_it_is_the_commit_before_that_changed_the_app(repository, tmp_path):
    before, new, name = found(repository / 'shop', tmp_path)
    assert (before, new) == ('2', '3') and name.endswith('(the commit before; production did not tell)')


def test_the_last_commit_is_before_uncommitted_changes(repository, tmp_path):
    (repository / 'shop/app.py').write_text('4')
    assert found(repository / 'shop', tmp_path)[:2] == ('3', '4')


def test_an_unknown_commit_of_production_is_named(repository, tmp_path):
    before, _, name = found(repository / 'shop', tmp_path, revision='abcdefabcdef')
    assert before == '2' and 'production serves abcdefabcdef, which is not in the repository here' in name


def test_a_repository_is_checked_out_twice(repository, tmp_path):
    before, new, _ = found('', tmp_path, flask_app_src='', flask_app_repo=str(repository), flask_app_repo_path='shop')
    assert (before, new) == ('2', '3')


def test_rehearse_yml_can_name_the_version_before(repository, tmp_path):
    assert found(repository / 'shop', tmp_path, wanted='HEAD~3')[0] == '1'
    with pytest.raises(Stopped, match=r"before must be .* got 'nowhere'"):
        found(repository / 'shop', tmp_path, wanted='nowhere')


def test_without_an_earlier_version_the_same_is_deployed_twice(tmp_path):
    app_tree(tmp_path / 'app', {'app.py': '1'})
    before, new, name = found(tmp_path / 'app', tmp_path)
    assert (before, new) == ('1', '1') and name.startswith('the same as the new one: it is in no repository')


@pytest.mark.parametrize('row, revision', [
    ('* 0123456789ab  2026-11-24T10:00:00  1a2b3c4d5e6f        serving', '1a2b3c4d5e6f'),
    ('* 0123456789ab  2026-11-24 10:00:00  1a2b3c4d5e6f-dirty  serving', '1a2b3c4d5e6f'),
    ('* 0123456789ab  2026-11-24 10:00:00  -                   serving', ''),
    ('  0123456789ab  2026-11-24 10:00:00  1a2b3c4d5e6f        available for rollback', ''),
])  # fmt: skip
def test_the_serving_commit_is_read_from_the_list_of_releases(row, revision):
    found = versions.parse(['  RELEASE       SINCE                REVISION            STATE', row, 'This host runs ubuntu 22.04.'])
    assert (found.commit, found.system, bool(found.reason)) == (revision, 'ubuntu:22.04', not revision)


# -- the command


@pytest.mark.parametrize('path, said', [
    ('nowhere', "INVENTORY must be the path of an inventory, got 'nowhere'"), ('examples/two-apps', 'several apps: shop, blog'),
])  # fmt: skip
def test_what_cannot_be_rehearsed_ends_with_status_2(path, said):
    done = subprocess.run([sys.executable, '-m', 'tools.rehearse', path], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, '') and said in done.stderr


def test_make_asks_for_the_inventory():
    environment = {name: value for name, value in os.environ.items() if name not in ('MAKEFLAGS', 'MAKELEVEL')}
    done = subprocess.run(['make', '-n', '-o', '.venv/made', 'rehearse'], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and 'make rehearse INVENTORY=path' in done.stderr
