"""make new: the files that it writes, the vault, and what make does with them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from app_tree import app_tree

ROOT = Path(__file__).parents[2]
ANSIBLE = Path(sys.executable).parent
APP = """
    import os
    from flask import Flask

    open(os.environ['PLANTED'], 'w').close()
    app = Flask(__name__)
    app.config['SECRET_KEY'] = os.environ['SECRET_KEY']
    app.config['SQLALCHEMY_DATABASE_URI'] = os.environ['DATABASE_URL']
    app.config['MAIL_SERVER'] = os.environ.get('MAIL_SERVER')
    app.config['SHOP_PAGE'] = os.environ.get('SHOP_PAGE', "it's: {{ 20 }} #1")
"""


def new(*options, **environment):
    """Runs the command and returns what it did."""
    return subprocess.run(
        [sys.executable, '-m', 'tools.new', *map(str, options)],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True,
    )  # fmt: skip


def make(*arguments):
    """What make would run, also where make runs these tests: it would print the folder then."""
    environment = {name: value for name, value in os.environ.items() if name not in ('MAKEFLAGS', 'MAKELEVEL')}
    command = ['make', '-n', '-o', '.venv/made', *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def decrypted(inventory):
    """What the vault of an inventory has."""
    password = (inventory / '.vault-password').read_bytes().strip()
    return yaml.safe_load(VaultLib([('default', VaultSecret(password))]).decrypt((inventory / 'group_vars/all/vault.yml').read_bytes()))


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """An app, its inventory, and what the command said."""
    folder = tmp_path_factory.mktemp('made')
    app = app_tree(folder / 'My Shop', {'app.py': APP, 'setup.py': APP, 'requirements.txt': 'flask==3.1.3\n', '.python-version': '3.12\n'})
    done = new('--app', app, '--dir', folder / 'inventories', '--host', 'me@203.0.113.7:2222', PLANTED=str(folder / 'planted'))
    assert done.returncode == 0, done.stderr
    return app, folder / 'inventories/my-shop', done.stdout


def test_no_code_of_the_app_runs(made):
    app, inventory, _ = made
    assert not (inventory.parents[1] / 'planted').exists()
    assert not list(app.rglob('__pycache__'))


def test_the_host_is_the_one_that_was_given(made):
    _, inventory, _ = made
    hosts = yaml.safe_load((inventory / 'hosts.yml').read_text())
    assert hosts == {'all': {'hosts': {'my-shop': {'ansible_host': '203.0.113.7', 'ansible_user': 'me', 'ansible_port': 2222}}}}


def test_the_variables_are_the_apps(made):
    app, inventory, _ = made
    text = (inventory / 'group_vars/all/main.yml').read_text()
    variables = yaml.safe_load(text)
    assert variables['flask_app_name'] == 'my-shop'
    assert variables['flask_app_src'] == str(app)
    assert variables['flask_app_wsgi'] == 'app:app'
    assert variables['flask_app_python'] == '3.12'
    assert '#   MAIL_SERVER: "" # app.py:9 reads it' in text
    lines = text.splitlines()
    assert all(lines[place - 1].startswith('# ') for place, line in enumerate(lines) if line.startswith('flask_app_'))


def test_what_is_commented_out_can_be_used(made):
    _, inventory, _ = made
    text = (inventory / 'group_vars/all/main.yml').read_text()
    assert yaml.safe_load(text.replace('\n# flask_app_environment', '\nflask_app_environment').replace('\n#   ', '\n  '))[
        'flask_app_environment'
    ] == {'MAIL_SERVER': '', 'PLANTED': '', 'SHOP_PAGE': ''}


def test_secrets_are_generated_into_the_vault_and_never_shown(made):
    _, inventory, said = made
    secrets = decrypted(inventory)['flask_app_secrets']
    assert list(secrets) == ['SECRET_KEY']
    assert len(secrets['SECRET_KEY']) >= 43
    shown = said + ''.join(path.read_text() for path in inventory.rglob('*.yml'))
    assert secrets['SECRET_KEY'] not in shown
    assert (inventory / '.vault-password').read_text().strip() not in shown
    assert (inventory / '.vault-password').stat().st_mode & 0o777 == 0o600


def test_the_password_stays_out_of_git(made):
    _, inventory, _ = made
    subprocess.run(['git', 'init', '-q', inventory], check=True)
    command = ['git', '-C', inventory, 'check-ignore', '.vault-password', 'group_vars/all/vault.yml']
    ignored = subprocess.run(command, stdout=subprocess.PIPE)
    assert ignored.stdout == b'.vault-password\n'
    assert '.vault-password' in (ROOT / '.gitignore').read_text().split()
    excluded = yaml.safe_load((ROOT / 'roles/flask-app/defaults/main.yml').read_text())['flask_app_exclude']
    assert '.vault-password' in excluded


def test_the_last_lines_say_what_to_keep_and_what_to_do(made):
    _, inventory, said = made
    assert said.splitlines()[-3:] == [
        f'Keep a copy of {inventory}/.vault-password: without it, the secrets are lost.',
        '',
        f'First fill in PLANTED in {inventory}/group_vars/all/main.yml, then fill in DATABASE_URL: make secrets INVENTORY={inventory}. '
        f'Next: make deploy INVENTORY={inventory}',
    ]
    assert 'DATABASE_URL: app.py:8 reads it and fails without it.' in said


def test_ansible_reads_the_inventory(made):
    _, inventory, _ = made
    command = [ANSIBLE / 'ansible-inventory', '-i', inventory, '--vault-password-file', inventory / '.vault-password', '--host', 'my-shop']
    variables = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    assert variables['flask_app_secrets'] == decrypted(inventory)['flask_app_secrets']
    assert variables['ansible_user'] == 'me'


def test_nothing_is_overwritten(made):
    app, inventory, _ = made
    before = {path: path.read_bytes() for path in inventory.rglob('*') if path.is_file()}
    done = new('--app', app, '--dir', inventory.parent)
    assert done.returncode == 1
    assert done.stderr == f'{inventory} is there already and stays as it is. Remove it, or give another name: NAME=...\n'
    assert before == {path: path.read_bytes() for path in inventory.rglob('*') if path.is_file()}
    assert [path.name for path in inventory.parent.iterdir()] == ['my-shop']


@pytest.mark.parametrize(
    'options, message',
    [
        ({'app': 'missing'}, 'APP must be the folder of a Flask app on this computer'),
        ({'name': 'Shop!'}, 'NAME must be up to 32 lower-case letters'),
        ({'name': 'nginx'}, 'no account of hosts'),
        ({'dir': 'shop'}, 'DIR must not be in the folder of the app'),
        ({'host': '203.0.113.7 -o x'}, 'HOST must be [user@]address[:port]'),
    ],
)
def test_what_cannot_be_used_is_refused(options, message, tmp_path):
    app_tree(tmp_path / 'shop', {'app.py': APP})
    paths = {'app': tmp_path / options.get('app', 'shop'), 'dir': tmp_path / options.get('dir', 'made')}
    done = new(*(word for name, value in {**options, **paths}.items() for word in (f'--{name}', value)))
    assert done.returncode == 1
    assert message in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ['shop']


def test_an_app_without_a_host_says_so_before_a_connection(tmp_path):
    app = app_tree(tmp_path / 'flask', {'shop/__init__.py': 'from flask import Flask\napp = Flask(__name__)\n'})
    done = new('--app', app, '--dir', tmp_path / 'x')
    inventory = tmp_path / 'x/flask-app'
    assert f'First write the address of the machine into {inventory}/hosts.yml.' in done.stdout
    assert decrypted(inventory) == {'flask_app_secrets': {}}
    password = ['--vault-password-file', inventory / '.vault-password']
    for playbook in ('playbook.yml', 'remove.yml'):
        command = [ANSIBLE / 'ansible-playbook', '-i', inventory, *password, playbook]
        run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert run.returncode == 2
        assert "ansible_host must be the address of the machine, got 'address-of-the-machine.invalid'" in ' '.join(run.stdout.split())
        assert 'UNREACHABLE' not in run.stdout


def test_what_ansible_would_run_is_left_out(tmp_path):
    """A template in an app's file would be evaluated on this computer by the next deploy."""
    template = "{{ lookup('pipe', 'touch planted') }}"
    files = {
        'app.py': f"""
            from flask import Flask
            app = Flask(__name__)
            config = {{"production{template}": 1, "default": 2}}
            UPLOAD_FOLDER = "uploads{template}"

            @app.route("/health/{template.replace(' ', '')}")
            def health():
                return ''
        """,
        'Procfile': f'release: flask db upgrade "{template}"\nweb: gunicorn -k "{template}" app:app\n',
        'Dockerfile\nflask_app_user: root': 'ENV FLASK_APP=app\n',
    }
    app = app_tree(tmp_path / 'shop', files)
    done = new('--app', app, '--dir', tmp_path / 'x')
    variables = yaml.safe_load((tmp_path / 'x/shop/group_vars/all/main.yml').read_text())
    assert set(variables) == {'flask_app_name', 'flask_app_src', 'flask_app_wsgi'}
    assert 'flask_app_release_commands is left out: what Procfile has for it is a template of Ansible.' in done.stdout
    assert new('--app', app_tree(tmp_path / '{{ 1 }}', files), '--dir', tmp_path / 'y').returncode == 1


def test_many_variables_that_the_app_has_values_for_are_one_comment(tmp_path):
    reads = ''.join(f"os.getenv('SHOP_{number}', 'a')\n" for number in range(50))
    app = app_tree(tmp_path / 'shop', {'app.py': 'import os\nfrom flask import Flask\napp = Flask("x")\n' + reads})
    said = new('--app', app, '--dir', tmp_path / 'x').stdout
    text = (tmp_path / 'x/shop/group_vars/all/main.yml').read_text()
    assert 'flask_app_environment' not in text
    assert all(f'SHOP_{number}' in text for number in range(50))
    assert max(map(len, text.splitlines())) <= 140
    assert 'SHOP_7 and 42 more from the environment' in said


def test_a_repository_is_offered_without_its_password(tmp_path):
    app = app_tree(tmp_path / 'work/shop', {'app.py': 'from flask import Flask\napp = Flask(__name__)\n'})
    subprocess.run(['git', 'init', '-q', tmp_path / 'work'], check=True)
    subprocess.run(['git', '-C', tmp_path / 'work', 'remote', 'add', 'origin', 'https://me:hidden@git.example/shop.git'], check=True)
    new('--app', app, '--dir', tmp_path / 'x')
    text = (tmp_path / 'x/shop/group_vars/all/main.yml').read_text()
    assert '# flask_app_repo: https://git.example/shop.git\n# flask_app_repo_path: shop\n' in text
    assert 'hidden' not in text


def test_make_passes_the_password_along(made):
    _, inventory, _ = made
    option = f"--vault-password-file '{inventory}/.vault-password'"
    for target in ('deploy', 'check', 'drift', 'remove', 'rollback', 'releases', 'bundle'):
        assert option in make(target, f'INVENTORY={inventory}')[1]
    assert option in make('deploy', f'INVENTORY={inventory}/hosts.yml')[1]
    assert '--vault-password-file' not in make('deploy', 'INVENTORY=inventory/production')[1]
    assert '--vault-password-file' not in make('deploy', 'HOST=203.0.113.7')[1]
    assert make('secrets', f'INVENTORY={inventory}')[1].split()[:2] == ['ansible-vault', 'edit']
    assert 'No .vault-password beside' in make('secrets', 'INVENTORY=inventory/production')[2]


def test_make_new_takes_its_options_from_the_command_line_only(monkeypatch):
    monkeypatch.setenv('NAME', 'my-computer')
    said = make('new', 'APP=shop', 'HOST=me@203.0.113.7', 'DIR=a b')[1]
    assert "--app 'shop'" in said
    assert "--host 'me@203.0.113.7'" in said
    assert "--dir 'a b'" in said
    assert '--name' not in said
    assert 'No app given. Run make new APP=folder' in make('new')[2]
