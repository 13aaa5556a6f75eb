"""Packages that an index has only as source are built by an account without rights, or not at all."""

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

FOLDER = Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY'])
CHECKOUT = Path(os.environ['MOLECULE_PROJECT_DIRECTORY'])
MACHINE = yaml.safe_load((FOLDER / 'instance_config.yml').read_text())[0]
SETUP = {
    'sneaky': Path(__file__).with_name('sneaky.py').read_text(),
    'broken': 'import sys\nsys.exit("Error: pg_config executable not found.")\n',
    # leaves a link to a file of root's among the wheels
    'linker': (
        'import os\nfrom setuptools import setup\n'
        'link = os.environ["HOME"] + "/../wheels/shadow-1.0-py3-none-any.whl"\n'
        'os.path.lexists(link) or os.symlink("/etc/shadow", link)\n'
        'setup(name="linker", version="1.0")\n'
    ),
}


def sdist(name, setup):
    """A source package; the same bytes each time."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode='w') as archive:
        for file, text in [('setup.py', setup), ('PKG-INFO', f'Metadata-Version: 1.0\nName: {name}\nVersion: 1.0\n')]:
            entry = tarfile.TarInfo(f'{name}-1.0/{file}')
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(packed.getvalue(), mtime=0)


def inside(*command, stdin=None, check=True):
    """Runs a command of root's on the machine; returns what it printed."""
    done = subprocess.run(
        [MACHINE['engine'], 'exec', '--interactive', MACHINE['container'], *command], input=stdin, stdout=subprocess.PIPE, check=check
    )
    return done.stdout.decode().strip()


def play(playbook, *options):
    """Runs a playbook; returns its exit code and its output on one line."""
    done = subprocess.run(
        ['ansible-playbook', '-i', FOLDER / 'inventory', playbook, *options],
        cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        env=os.environ | {'ANSIBLE_FORCE_COLOR': '0', 'ANSIBLE_NOCOLOR': '1'},
    )  # fmt: skip
    return done.returncode, ' '.join(done.stdout.split()).replace("''", "'")  # as YAML writes it


def deploy(name, packages=('make',), **variables):
    """Deploys the app that needs a package, with these Debian packages to build it."""
    variables['flask_app_build_packages'] = packages
    return play('playbook.yml', '-e', f'flask_app_src={FOLDER}/{name}', '-e', json.dumps(variables))


def python():
    """Version of the machine's Python, such as 3.11."""
    return inside('python3', '-c', 'import sys; print("%d.%d" % sys.version_info[:2])')


def pip_lock():
    """The lock of the pip that this project installs for the machine's Python."""
    files = CHECKOUT / 'roles/python-venv/files'
    own = files / f'pip-{python()}.txt'
    return (own if own.exists() else files / 'pip.txt').read_text()


def asked_for(path):
    """How often the index was asked for a path."""
    return inside('journalctl', '--unit=index', '--output=cat').count(f'"GET {path} ')


@pytest.fixture(scope='module', autouse=True)
def index():
    """Starts an index on the machine that has the packages, and makes an app for each."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode='w') as files:
        files.add(Path(__file__).parents[1] / 'index.py', 'index.py')
        for name, setup in SETUP.items():
            content = sdist(name, setup)
            entry = tarfile.TarInfo(f'files/{name}-1.0.tar.gz')
            entry.size = len(content)
            files.addfile(entry, io.BytesIO(content))
            shutil.copytree(CHECKOUT / 'files/flaskrandom', FOLDER / name, dirs_exist_ok=True)
            with open(FOLDER / name / 'requirements.txt', 'a') as lock:
                # and pip itself, which some packages need
                lock.write(f'{name}==1.0 \\\n    --hash=sha256:{hashlib.sha256(content).hexdigest()}\n{pip_lock()}')
    inside('mkdir', '-p', '/opt/index')
    inside('tar', '--extract', '--directory=/opt/index', stdin=archive.getvalue())
    said = subprocess.run([sys.executable, '-m', 'pip', 'install', '--help'], stdout=subprocess.PIPE, text=True, check=True).stdout
    upstream = re.search(r'index-url.*?default:? (https?://[^ )]+)', ' '.join(said.split())).group(1)
    inside('systemd-run', '--unit=index', 'python3', '-u', '/opt/index/index.py', '/opt/index/files', upstream)


def test_without_packages_to_build_with_the_host_builds_nothing(index):
    code, output = deploy('broken', packages=())
    assert code == 2
    assert 'broken has no wheel for Python' in output and 'Set flask_app_build_packages' in output
    assert 'pg_config executable not found' in output and '[build-essential, libpq-dev]' in output
    assert inside('getent', 'passwd', 'flask-build', check=False) == ''


def test_a_build_that_fails_says_why_at_once():
    before = asked_for('/files/broken-1.0.tar.gz')
    code, output = deploy('broken')
    assert code == 2
    assert 'could not be built' in output and 'pg_config executable not found' in output
    # the controller reads its metadata, unless it has them; the host builds it once
    assert asked_for('/files/broken-1.0.tar.gz') - before in (1, 2)
    assert inside('find', '/srv/flaskrandom/venvs', '-mindepth', '1') == ''


def test_the_controller_sends_uv_where_the_index_does_not_deliver_it():
    # the run before has done it
    assert asked_for('/simple/uv/') == 2
    assert [path.name.split('-')[0] for path in (FOLDER / 'wheels').iterdir()] == ['uv']
    assert inside('sh', '-c', '/opt/flask-host/uv-*/uv --version').startswith('uv ')
    assert inside('find', '/opt/flask-host', '-perm', '/022', '-o', '-not', '-user', 'root') == ''


def test_what_a_build_leaves_is_not_followed():
    code, output = deploy('linker')
    assert code == 2
    assert "What flask-build has built is not taken: 'shadow-1.0-py3-none-any.whl' cannot be opened" in output
    assert inside('find', '/srv/flaskrandom/venvs', '-mindepth', '1') == ''


@pytest.fixture(scope='module')
def environment():
    code, output = deploy('sneaky')
    assert code == 0, output[-3000:]
    return inside('sh', '-c', 'ls -d /srv/flaskrandom/venvs/*.*')


@pytest.fixture(scope='module')
def seen(environment):
    """What the code of the package found while it was built."""
    text = inside('sh', '-c', f'cat {environment}/lib/python3*/site-packages/sneaky.py')
    return json.loads(eval(text.split('=', 1)[1]))


def test_nothing_of_a_package_is_run_by_root(seen, environment):
    assert seen['uid'] == int(inside('id', '-u', 'flask-build')) != 0
    assert inside('getent', 'passwd', 'flask-build').split(':')[5:] == ['/nonexistent', '/usr/sbin/nologin']
    assert seen['groups'] in ([], [int(inside('id', '-g', 'flask-build'))])
    assert set(seen['capabilities']) == {'0' * 16}
    assert inside('sh', '-c', f'ls {environment}/lib/python3*/site-packages/sneaky.pth')
    assert inside('sh', '-c', 'ls /root/pth-ran', check=False) == ''


def test_what_builds_a_package_writes_nowhere_else_and_sees_no_secret(seen, environment):
    for action in ['write /etc/cron.d/sneaky', 'write venv', 'write bin', 'read shadow', 'read memory of root', 'sudo']:
        assert not seen[action].startswith('done'), action
    assert 'sesame' not in str(seen)
    assert {name for name in seen['environment'] if 'SUDO' in name or 'ANSIBLE' in name} == set()


def test_nothing_of_the_build_stays(environment, seen):
    assert inside('ps', '--user', 'flask-build', '-o', 'args=', check=False) == ''
    assert inside('systemctl', 'list-units', '--all', '--no-legend', 'flask-build*') == ''
    left = inside('ls', '-A', environment).split()
    assert sorted(left) == ['.manifest.json', 'bin', 'include', 'lib', 'lib64', 'pyvenv.cfg', 'requirements.txt']
    assert inside('find', '/', '-xdev', '-user', 'flask-build', '-not', '-path', '/proc/*') == ''
    assert inside('find', environment, '-not', '-user', 'root') == ''


def test_the_environment_is_whole(environment):
    listed = inside('runuser', '-u', 'nobody', '--', f'{environment}/bin/pip', 'list', '--format=freeze')
    assert {'sneaky==1.0', 'Flask', 'pip'} <= {line if 'sneaky' in line else line.split('==')[0] for line in listed.splitlines()}
    code, output = deploy('sneaky')
    assert code == 0 and 'changed=0' in output


def test_a_package_is_built_once_on_a_machine(environment):
    """With another lock, too, as long as its own part is the same."""
    lock = FOLDER / 'sneaky/requirements.txt'
    lock.write_text(re.sub(r'(?m)^python-dotenv==.*\\\n(?:    .*\n)+', '', lock.read_text()))
    code, output = deploy('sneaky')
    assert code == 0, output[-3000:]
    now = inside('sh', '-c', 'readlink -f /srv/flaskrandom/current/pyvenv.cfg')
    assert environment not in now
    text = inside('sh', '-c', f'cat $(dirname {now})/lib/python3*/site-packages/sneaky.py')
    # where it was built
    assert json.loads(eval(text.split('=', 1)[1]))['environment']['HOME'].startswith(f'{environment}/')
    assert inside('find', '/opt/flask-host', '-not', '-user', 'root', '-o', '-perm', '/022', '-not', '-type', 'l') == ''


def test_a_package_in_the_apps_folder_is_built_on_the_controller():
    app = FOLDER / 'carried'
    shutil.copytree(CHECKOUT / 'files/flaskrandom', app, dirs_exist_ok=True)
    (app / 'libs/carried').mkdir(parents=True, exist_ok=True)
    (app / 'libs/carried/pyproject.toml').write_text('[project]\nname = "carried"\nversion = "1.0"\n')
    (app / 'libs/carried/carried.py').write_text('')
    (app / 'requirements.txt').write_text('Flask\n./libs/carried\n')
    code, output = deploy('carried')
    assert code == 0, output[-3000:]
    assert 'carried-1.0.dist-info' in inside('sh', '-c', 'ls /srv/flaskrandom/current/lib/python3*/site-packages').split()
    assert (FOLDER / 'inventory').joinpath(f'requirements-{python()}.lock').is_file()
    code, output = deploy('carried')
    assert code == 0 and 'changed=0' in output


BUILD = [
    'rm README.md && mkdir made && printf "$WORD" >made/file && ln made/file made/second && ln -s ../app.py made/link',
    'chmod 4777 made/file',
    'python3 {release}/look.py',
    'touch instance/of_the_build && rm bin && mkdir bin && touch bin/python',
]


@pytest.fixture(scope='module')
def built():
    """A release that build commands have finished; returns its path and what one of them saw."""
    app = FOLDER / 'built'
    shutil.copytree(CHECKOUT / 'files/flaskrandom', app, dirs_exist_ok=True)
    shutil.copy(Path(__file__).with_name('look.py'), app)
    (app / 'README.md').write_text('left out by a command')
    variables = {'flask_app_build_commands': BUILD, 'flask_app_environment': {'WORD': "it's {release}"}, 'flask_app_shared': ['instance']}
    code, output = deploy('built', **variables)
    assert code == 0, output[-3000:]
    release = inside('readlink', '-f', '/srv/flaskrandom/current')
    code, output = deploy('built', **variables)
    assert code == 0 and 'changed=0' in output
    return release, json.loads(inside('cat', f'{release}/seen.json'))


def test_build_commands_finish_the_release(built):
    release, seen = built
    listed = inside('find', release, '-path', '*/made*', '-printf', '%P %m %u:%g %l\\n').splitlines()
    files = ['made 755 root:root', 'made/file 755 root:root', 'made/link 777 root:root ../app.py', 'made/second 755 root:root']
    assert sorted(line.strip() for line in listed) == files
    assert inside('cat', f'{release}/made/file') == f"it's {seen['folder']}"
    assert inside('sh', '-c', f'ls {release}/README.md', check=False) == ''
    assert inside('readlink', f'{release}/instance') == '/srv/flaskrandom/shared/instance'
    assert inside('readlink', f'{release}/bin').startswith('/srv/flaskrandom/venvs/')
    assert inside('python3', '-c', 'import urllib.request; print(urllib.request.urlopen("http://127.0.0.1/").read())')


def test_build_commands_write_nowhere_else_and_see_no_secret(built):
    _, seen = built
    assert seen['uid'] == int(inside('id', '-u', 'flask-build')) != 0
    assert seen['folder'].startswith('/srv/flaskrandom/.build/')
    tried = [seen[action] for action in seen if action.startswith(('read', 'write', 'replace', 'sudo'))]
    assert len(tried) == 7 and not [result for result in tried if result.startswith('done')]
    assert 'sesame' not in str(seen)


def test_nothing_of_a_build_command_stays(built):
    assert inside('ps', '--user', 'flask-build', '-o', 'args=', check=False) == ''
    assert inside('find', '/', '-xdev', '-user', 'flask-build', '-not', '-path', '/proc/*') == ''
    assert inside('ls', '-A', '/srv/flaskrandom').split() == ['current', 'history.json', 'releases', 'secrets', 'shared', 'venvs']


@pytest.mark.parametrize(
    'command, message, limits',
    [
        ('echo reason; exit 3', "'echo reason; exit 3' failed with status 3. Its output: $ echo reason; exit 3 reason", {}),
        ('npm ci', "'npm ci' needs a program that the host does not have.", {}),
        ('sleep 60', 'did not end within flask_app_build_timeout, 2 s', {'flask_app_build_timeout': 2}),
        ('ln -s /etc/shadow stolen', "the link 'stolen' leads out of the folder, to '/etc/shadow'", {}),
        ('mkfifo pipe', "'pipe' is neither a file nor a folder nor a link", {}),
    ],
)
def test_a_build_that_fails_changes_nothing(built, command, message, limits):
    code, output = deploy('built', flask_app_build_commands=[command], **limits)
    assert code == 2
    assert message in output.replace('\\n', ' ').replace('\\"', '"'), output[-2000:]
    assert 'the serving release is unchanged' in output
    assert inside('readlink', '-f', '/srv/flaskrandom/current') == built[0]
    assert inside('ls', '-A', '/srv/flaskrandom/releases').split() == inside('ls', '/srv/flaskrandom/releases').split()
    assert inside('ls', '-A', '/srv/flaskrandom').split() == ['current', 'history.json', 'releases', 'secrets', 'shared', 'venvs']


def test_remove_takes_uv_and_the_account_away(environment):
    code, output = play('remove.yml')
    assert code == 0, output[-3000:]
    assert inside('ls', '/opt') == 'index'
    assert inside('getent', 'passwd', 'flask-build', check=False) == ''
