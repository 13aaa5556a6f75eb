"""The lock of an app's packages, made by the real tools: uv, pip, and other tools' exporters from the ordinary index."""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

TOOL = Path(__file__).parents[2] / 'roles/flask-app/files/lock'
sys.path.insert(0, str(TOOL.parent))

from lock.inputs import LockError, find, is_locked, is_package, requirements  # noqa: E402
from lock.job import Job  # noqa: E402
from lock.lock import is_app, lock  # noqa: E402
from lock.resolve import hint  # noqa: E402
from lock.uv import tool  # noqa: E402
from lock.wheels import needed, pythons  # noqa: E402

BACKEND = '''
import os, tarfile, zipfile

def _wheel(folder, tag):
    name = f"NAME-1.0-{tag}.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("NAME.py", repr(sorted(os.environ)))
        wheel.writestr("NAME-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: NAME\\nVersion: 1.0\\n")
        wheel.writestr("NAME-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {tag}\\n")
        wheel.writestr("NAME-1.0.dist-info/RECORD", "")
    return name

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return _wheel(wheel_directory, "TAG")
'''


def write_wheel(folder: Path, name: str, version: str, tag: str = 'py3-none-any', requires: str = '') -> Path:
    """A wheel with a module, its metadata and its record."""
    metadata = f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n' + (f'Requires-Dist: {requires}\n' if requires else '')
    files = {
        f'{name}.py': f"version = '{version}'\n",
        f'{name}-{version}.dist-info/METADATA': metadata,
        f'{name}-{version}.dist-info/WHEEL': f'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n',
    }
    record = ''.join(
        f'{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")},{len(text)}\n'
        for path, text in files.items()
    )
    path = folder / f'{name}-{version}-{tag}.whl'
    with zipfile.ZipFile(path, 'w') as archive:
        for file, text in {**files, f'{name}-{version}.dist-info/RECORD': record}.items():
            archive.writestr(file, text)
    return path


def write_package(folder: Path, name: str, tag: str = 'py3-none-any') -> Path:
    """A package's folder with a build backend of its own, which needs no other package."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'pyproject.toml').write_text(
        f'[project]\nname = "{name}"\nversion = "1.0"\n[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (folder / 'backend.py').write_text(BACKEND.replace('NAME', name).replace('TAG', tag))
    (folder / 'PKG-INFO').write_text(f'Metadata-Version: 2.2\nName: {name}\nVersion: 1.0\n')
    return folder


def write_sdist(folder: Path, name: str, tag: str = 'py3-none-any') -> Path:
    """A source archive of such a package."""
    source = write_package(folder / 'sources' / name, name, tag)
    path = folder / f'{name}-1.0.tar.gz'
    with tarfile.open(path, 'w:gz') as archive:
        archive.add(source, f'{name}-1.0')
    return path


@pytest.fixture(scope='module')
def index(tmp_path_factory):
    """A folder of packages, gunicorn among them; `green` has a newer version without a wheel for Linux."""
    folder = tmp_path_factory.mktemp('packages')
    write_wheel(folder, 'gunicorn', '20.0', requires='packaging')
    write_wheel(folder, 'packaging', '1.0')
    write_wheel(folder, 'packaging', '2.0')
    write_wheel(folder, 'green', '1.0', 'cp36-abi3-manylinux_2_17_x86_64')
    write_wheel(folder, 'green', '2.0', 'cp36-abi3-macosx_11_0_arm64')
    write_sdist(folder, 'pure')
    write_sdist(folder, 'compiled', 'cp311-cp311-linux_x86_64')
    return folder


def simple(packages: Path, root: Path) -> Path:
    """An index of packages as PEP 503 has it: a folder for each name."""
    for path in packages.iterdir():
        if path.is_file():
            (root / path.name.split('-')[0]).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / path.name.split('-')[0])
    return root


@pytest.fixture
def serve():
    """A function that serves a folder over HTTP on loopback and returns its URL."""
    servers = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    def start(folder: Path) -> str:
        servers.append(ThreadingHTTPServer(('127.0.0.1', 0), partial(Handler, directory=str(folder))))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f'http://127.0.0.1:{servers[-1].server_port}/'

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def asking(url: str) -> dict[str, str]:
    """Settings that make uv and pip ask this index, without their caches."""
    return {'UV_DEFAULT_INDEX': url, 'PIP_INDEX_URL': url, 'UV_NO_CACHE': '1', 'PIP_NO_CACHE_DIR': '1'}


@pytest.fixture(scope='module')
def pip(tmp_path_factory):
    """The environment of pip, from the ordinary index."""
    cache = tmp_path_factory.mktemp('tools') / 'shop'
    job = Job(name='', app='', python='3.11', machine='', glibc='', folder='', cache=str(cache), tools=str(TOOL.parent / 'tools'))
    return tool(job, 'pip').parents[1]


@pytest.fixture
def job(tmp_path, index, pip, serve):
    """A function that makes a job for an app with the files of a dictionary."""
    settings = asking(serve(simple(index, tmp_path / 'index')))
    (tmp_path / 'cache').mkdir()
    (tmp_path / 'cache' / pip.name).symlink_to(pip)

    def make(files: dict[str, str] | None = None, **fields) -> Job:
        app = tmp_path / 'app'
        app.mkdir(exist_ok=True)
        for name, text in (files or {}).items():
            (app / name).parent.mkdir(parents=True, exist_ok=True)
            (app / name).write_text(text)
        values = {
            'name': 'shop', 'app': str(app), 'python': '3.11', 'machine': 'x86_64', 'glibc': '2.36', 'settings': settings,
            'folder': str(tmp_path / 'inventory'), 'cache': str(tmp_path / 'cache/shop'), 'tools': str(TOOL.parent / 'tools'),
        }  # fmt: skip
        return Job(**{**values, **fields})

    return make


def names(result: dict) -> list[str]:
    """Name and version of each package in the resulting lock, each of which must have a hash."""
    text = Path(result['lock']).read_text().replace(' \\\n', ' ')
    assert is_locked(text.splitlines()), text
    return [line.split()[0].rstrip(';') for line in text.splitlines()]


def test_a_list_without_hashes_is_resolved_with_gunicorn_and_kept(job, tmp_path):
    files = {'requirements.txt': '-r base.txt\n', 'base.txt': 'green\n-c limits.txt\n', 'limits.txt': 'packaging<2\n'}
    first = lock(job(files))
    kept = tmp_path / 'inventory/requirements-3.11.lock'
    assert names(first) == ['green==1.0', 'gunicorn==20.0', 'packaging==1.0']
    assert str(kept) in first['messages'][0]
    assert kept.read_text().startswith('# The packages of the app shop for Python 3.11')

    before = kept.stat().st_mtime_ns
    again = lock(job(settings=asking('http://127.0.0.1:1/')))
    assert again == {**first, 'messages': []} and kept.stat().st_mtime_ns == before
    assert not [path for path in (tmp_path / 'app').rglob('*') if path.name not in files]


def test_changed_files_are_resolved_anew_but_keep_their_versions(job, tmp_path, index):
    lock(job({'requirements.txt': 'packaging<2\n'}))
    assert 'packaging==1.0' in names(lock(job({'requirements.txt': 'packaging\n'})))
    assert 'packaging==2.0' in names(lock(job(upgrade=True)))


def test_check_mode_writes_nothing_beside_the_inventory(job, tmp_path):
    assert 'packaging==2.0' in names(lock(job({'requirements.txt': 'packaging\n'}, write=False)))
    assert not (tmp_path / 'inventory').exists()


def test_a_second_app_of_an_inventory_has_a_lock_of_its_own(job, tmp_path):
    lock(job({'requirements.txt': 'packaging\n'}))
    lock(job({'requirements.txt': 'green\n'}, name='blog', cache=str(tmp_path / 'cache/blog')))
    assert sorted(path.name for path in (tmp_path / 'inventory').iterdir()) == ['requirements-3.11-blog.lock', 'requirements-3.11.lock']


def test_a_complete_lock_is_used_as_it_is(job, index, tmp_path):
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in index.glob('*.whl')}
    text = ''.join(
        f'{name}=={version} --hash=sha256:{digests[f"{name}-{version}-py3-none-any.whl"]}\n'
        for name, version in [('gunicorn', '20.0'), ('packaging', '1.0')]
    )
    result = lock(job({'requirements.txt': text}))
    assert names(result) == ['gunicorn==20.0', 'packaging==1.0'] and result['messages'] == []
    assert not (tmp_path / 'inventory').exists()


def test_gunicorn_is_added_with_the_versions_of_the_lock(job, index):
    digest = hashlib.sha256((index / 'packaging-1.0-py3-none-any.whl').read_bytes()).hexdigest()
    result = lock(job({'requirements.txt': f'packaging==1.0 --hash=sha256:{digest}\n'}))
    assert names(result) == ['gunicorn==20.0', 'packaging==1.0']


def test_gunicorn_that_does_not_fit_is_named(job, serve, tmp_path):
    own = tmp_path / 'own'
    own.mkdir()
    write_wheel(own, 'gunicorn', '20.0', requires='packaging>=2')
    write_wheel(own, 'packaging', '1.0')
    settings = asking(serve(simple(own, tmp_path / 'other')))
    digest = hashlib.sha256((own / 'packaging-1.0-py3-none-any.whl').read_bytes()).hexdigest()
    with pytest.raises(LockError, match=r'(?s)gunicorn, which serves the app, .*packaging'):
        lock(job({'requirements.txt': f'packaging==1.0 --hash=sha256:{digest}\n'}, settings=settings))


@pytest.mark.parametrize('kind', ['poetry', 'pdm', 'pipenv', 'uv.lock', 'pylock.toml'])
def test_each_tools_lock_is_exported_by_the_tool(job, tmp_path, kind):
    app = tmp_path / 'app'
    if (Path(__file__).parent / 'locks' / kind).is_dir():
        shutil.copytree(Path(__file__).parent / 'locks' / kind, app)
    else:
        app.mkdir()
        (app / 'pyproject.toml').write_text('[project]\nname = "shop"\nversion = "1"\ndependencies = ["itsdangerous==2.2.0"]\n')
        command = ['lock'] if kind == 'uv.lock' else ['export', '--format=pylock.toml', '--no-emit-project', '--output-file=pylock.toml']
        subprocess.run(['uv', *command, '--quiet'], cwd=app, check=True)
        if kind == 'pylock.toml':
            (app / 'uv.lock').unlink()
    before = sorted(app.rglob('*'))
    result = lock(job(settings={}))
    assert 'itsdangerous==2.2.0' in names(result) and [name for name in names(result) if name.startswith('gunicorn==')]
    assert not [name for name in names(result) if name.startswith('iniconfig')]
    assert sorted(app.rglob('*')) == before


def test_source_packages_that_fit_every_computer_are_built_here(job, monkeypatch):
    monkeypatch.setenv('AWS_SECRET_ACCESS_KEY', 'secret')
    result = lock(job({'requirements.txt': 'pure\n'}))
    assert names(result) == ['gunicorn==20.0', 'packaging==2.0', 'pure==1.0']
    (wheel,) = result['wheels']
    assert hashlib.sha256(Path(wheel).read_bytes()).hexdigest() in Path(result['lock']).read_text()
    assert 'AWS_SECRET_ACCESS_KEY' not in zipfile.ZipFile(wheel).read('pure.py').decode()
    assert lock(job())['wheels'] == [wheel]


def test_what_is_built_here_keeps_its_condition(job, index):
    """A lock may have two versions of a package, for different patch versions of Python, which only the host knows."""
    pure, gunicorn, packaging = (next(index.glob(f'{name}*')) for name in ('pure-1', 'gunicorn-20', 'packaging-2'))
    marker = "python_full_version < '3.11.2'"
    lines = [f'pure==1.0 ; {marker} --hash=sha256:{hashlib.sha256(pure.read_bytes()).hexdigest()}']
    lines += [f'{path.name.split("-")[0]}=={path.name.split("-")[1]} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}'
              for path in (gunicorn, packaging)]  # fmt: skip
    result = lock(job({'requirements.txt': '\n'.join(lines) + '\n'}))
    assert len(result['wheels']) == 1 and f'pure==1.0 ; {marker} ' in Path(result['lock']).read_text()


def test_they_are_built_on_the_host_if_it_may(job):
    with pytest.raises(LockError, match=r'compiled has no wheel for Python 3.11 .* flask_app_build_packages'):
        lock(job({'requirements.txt': 'compiled\n'}))
    result = lock(job({'requirements.txt': 'compiled\npure\n'}, build_on_host=True))
    assert (result['source_packages'], result['wheels']) == (['compiled', 'pure'], [])


def test_the_pythons_that_a_package_has_wheels_for():
    tags = ['cp310-cp310-manylinux_2_17_x86_64.manylinux2014_x86_64', 'cp39-cp39-linux_x86_64', 'cp312-cp312-macosx_11_0_arm64']
    tags += ['cp38-cp38-manylinux1_i686', 'pp39-pypy39_pp73-manylinux1_x86_64', 'cp36-abi3-win_amd64']
    package = {'wheels': [{'name': f'compiled-1.0-{tag}.whl'} for tag in tags]}
    assert pythons(SimpleNamespace(machine='x86_64'), package) == ['3.9', '3.10']
    assert pythons(SimpleNamespace(machine='aarch64'), package) == []


def test_a_tampered_source_archive_is_refused(job):
    with pytest.raises(LockError, match=r'(?i)hash'):
        lock(job({'requirements.txt': f'gunicorn==20.0 --hash=sha256:{"0" * 64}\npure==1.0 --hash=sha256:{"0" * 64}\n'}))


def test_nothing_foreign_is_built_where_it_would_see_a_password(job):
    made = job({'requirements.txt': 'pure==1.0\n'})
    kept = lock(made)
    made.settings = {name: value.replace('://', '://user:secret@') for name, value in made.settings.items()}
    made.cache += '/other'
    shutil.rmtree(Path(kept['wheels'][0]).parents[1])
    with pytest.raises(LockError) as refused:
        lock(made)
    assert 'would see the password of PIP_INDEX_URL' in str(refused.value) and 'secret' not in str(refused.value)


def test_repositories_are_built_here(job, tmp_path):
    repository = write_package(tmp_path / 'repository', 'pure')
    for command in (['init', '-q'], ['add', '.'], ['-c', 'user.name=x', '-c', 'user.email=x@example.com', 'commit', '-qm', 'x']):
        subprocess.run(['git', *command], cwd=repository, check=True)
    result = lock(job({'requirements.txt': f'pure @ git+file://{repository}\n'}))
    assert 'pure==1.0' in names(result) and len(result['wheels']) == 1


def test_folders_are_built_here(job, tmp_path):
    write_package(tmp_path / 'app/libs/pure', 'pure')
    assert 'pure==1.0' in names(lock(job({'requirements.txt': './libs/pure\n'})))


def test_a_wheel_in_a_folder_is_taken_along(job, tmp_path):
    (tmp_path / 'app/wheels').mkdir(parents=True)
    path = write_wheel(tmp_path / 'app/wheels', 'own', '1.0', 'cp311-cp311-manylinux_2_17_x86_64')
    result = lock(job({'requirements.txt': f'./wheels/{path.name}\n'}))
    assert 'own==1.0' in names(result) and [Path(wheel).name for wheel in result['wheels']] == [path.name]


def test_the_app_itself_becomes_a_wheel(job, tmp_path):
    write_package(tmp_path / 'app', 'shop')
    before = sorted((tmp_path / 'app').rglob('*'))
    result = lock(job({'requirements.txt': '-e .\npackaging\n'}))
    assert Path(result['package']).name == 'shop-1.0-py3-none-any.whl'
    assert names(result) == ['gunicorn==20.0', 'packaging==2.0']
    assert sorted((tmp_path / 'app').rglob('*')) == sorted([*before, tmp_path / 'app/requirements.txt'])


def test_a_package_of_an_index_is_an_app(job):
    assert 'green==1.0' in names(lock(job(requirement='green')))


def test_a_version_that_is_too_old_to_be_built_is_said():
    assert 'name a newer one' in hint('error: Failed to build `jsmin==2.2.2`\nerror in jsmin setup command: use_2to3 is invalid.')
    assert hint('error: no such file') == ''


def test_a_python_that_does_not_fit_is_named(job):
    project = '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.10"\ndependencies = ["green"]\n'
    with pytest.raises(LockError, match=r"requires-python = '>=3\.10', but the host has Python 3\.6: set flask_app_python: \"3\.12\""):
        lock(job({'pyproject.toml': project}, python='3.6', builds=['3.13.1', '3.12.3']))


@pytest.mark.parametrize(
    'files, message',
    [
        ({}, 'names no packages'),
        ({'environment.yml': ''}, 'conda'),
        ({'requirements.txt': '-r missing.txt\n'}, 'missing.txt'),
        ({'requirements.txt': '-r ../outside.txt\n'}, 'outside.txt'),
    ],
)
def test_apps_that_cannot_be_locked_are_refused(job, tmp_path, files, message):
    (tmp_path / 'outside.txt').write_text('green\n')
    with pytest.raises(LockError, match=message):
        lock(job(files))


def test_the_file_can_be_named(job):
    assert find(job({'requirements.txt': '', 'deploy/prod.txt': ''}).source, 'deploy/prod.txt').path.name == 'prod.txt'
    with pytest.raises(LockError, match='flask_app_requirements'):
        find(job().source, 'none.txt')


@pytest.mark.parametrize('line', ['-e .', '.', '-e .[web]'])
def test_the_line_of_the_app_is_known(line):
    assert is_app(line)
    assert not any(map(is_app, ['./lib', 'flask', '-e lib', 'flask==1 ; python_version > "3"']))


def test_the_tool_reads_and_prints_json(job, tmp_path):
    made = job({'requirements.txt': 'green\n'})
    done = subprocess.run([sys.executable, TOOL], input=json.dumps(vars(made)), capture_output=True, text=True, check=True)
    assert names(json.loads(done.stdout)) == ['green==1.0', 'gunicorn==20.0', 'packaging==2.0']
    (tmp_path / 'app/requirements.txt').write_text('none\n')
    failed = subprocess.run([sys.executable, TOOL], input=json.dumps(vars(made)), capture_output=True, text=True, check=False)
    assert failed.returncode == 1 and 'Traceback' not in failed.stderr and 'none' in failed.stderr


def test_debian_packages_are_proposed():
    assert needed('psycopg2 pg_config executable not found') == 'libpq-dev'
    assert needed('anything else') == ''


def test_only_packages_are_built_as_such(tmp_path):
    assert not is_package(tmp_path)
    (tmp_path / 'pyproject.toml').write_text('[tool.ruff]\n')
    assert not is_package(tmp_path)
    assert is_package(write_package(tmp_path / 'package', 'x'))


def test_options_about_indexes_are_left_out(tmp_path):
    (tmp_path / 'requirements.txt').write_text('--index-url https://index.example\nflask==1 # why\n')
    assert requirements(tmp_path / 'requirements.txt', tmp_path) == ['flask==1']
