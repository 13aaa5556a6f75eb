"""What the user sets is checked before a host is touched: one run of the playbook, with a host for each case."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
HOST_TASK = "Gather the host's state and check it"
NAMES = [
    'Upper',
    'with space',
    '1st',
    '-dash',
    'a' * 33,
    'root',
    'nginx',
    'supervisor',
    'www-data',
    'daemon',
    'a;b',
    'a$b',
    '',
    'ä',
    True,
    'admin',
    'postgres',
    'ubuntu',
    'netns',
]
FOLDERS = ['srv/app', '/', '/etc', '/etc/app', '/srv/a b', '/srv/a;b', '/srv/../etc', '/home', '/tmp/app', 'C:\\app']
NUMBERS = [0, 'three', True, 100000]

# a variable and its wrong values
WRONG = {
    'flask_app_name': NAMES,
    'flask_app_user': ['root', 'Upper', 7],
    'flask_app_root': FOLDERS,
    'flask_app_path': ['/', 'current', '/srv/flaskrandom', '/srv/flaskrandom/releases/x'],
    'flask_app_user_home': ['/', 'home/x', '/srv/flaskrandom/shared/home', '/srv/flaskrandom/releases'],
    'flask_app_user_shell': ['bash', '/bin/ba sh'],
    'flask_app_src': ['/missing', '{{ nowhere }}'],
    'flask_app_bind': ['unix:relative.sock', 'unix:/tmp/x.sock', '5000', '0.0.0.0:80', '0.0.0.0:99999', '127.0.0.1:x', 'example.com:5000'],
    'flask_app_domains': [['A.example'], ['a b'], ['-a'], [''], ['10.0.0.1'], ['a;b'], ['a.*'], ['*'], 'a.example', [5]],
    'flask_app_workers': [*NUMBERS, -1, 3.5, None, [3], 'Auto', ''],
    'flask_app_run_port': [0, 65536, True],
    'flask_app_graceful_timeout': [0, 'x'],
    'flask_app_health_timeout': [0, True],
    'flask_app_health_status': [99, 600, 'ok'],
    'flask_app_health_path': ['health', '', '/a b', 1],
    'flask_app_health_text': [1, ['a']],
    'flask_app_wsgi': ['app', 'app:', ':app', 'app.py', 'app:app;', 'missing:app', 'app/app:app'],
    'flask_app_gunicorn': [
        'timeout=3',
        [1],
        {'workers': 1},
        {'worker_class': 'uvicorn.workers.UvicornWorker'},
        {'chdir': '/srv'},
        {'chdir': '../x'},
        {'chdir': 'src/../..'},
        {'chdir': 'missing'},
    ],
    'flask_app_environment': [{'1A': 'x'}, {'A-B': 'x'}, {'A': True}, {'A': [1]}, {'A': None}, 'A=1', ['A']],
    'flask_app_secrets': [{'A B': 'x'}, {'A': False}, {'A': {'B': 'x'}}, 'A=1'],
    'flask_app_shared': [{'a': 'b'}, 'instance', ['/srv'], ['../x'], ['a/../b'], [''], ['bin'], [1],
                         ['.files'], ['.flaskenv'], ['a', 'a/b'], ['a', 'a/'], ['app.py/']],
    'flask_app_services': ['postgresql', ['mysql'], ['redis', 1], [['redis']]],
    'redis_memory': [0, 'x', True, 1.5],
    'redis_eviction': ['volatile-lru', True],
    'redis_app': ['other'],
    'postgresql_database': ['other'],
    'flask_app_packages': ['git', ['git-'], ['--purge'], ['git=1.0'], ['libc6:i386'], ['lib*'], ['Git'], [''], ['a b'], [1]],
    'flask_app_exclude': ['*.pyc', [1]],
    'flask_app_init_commands': ['flask init', [''], [True]],
    'flask_app_release_commands': ['flask migrate', ['  ']],
    'flask_app_build_commands': ['npm ci', [''], [1]],
    'flask_app_build_timeout': [0, 86401, 'x', True],
    'flask_app_build_memory': ['0%', '101%', 'much', '2GB', 1.5, 0],
    'flask_app_version': ['v1.0', 1.2],
    'flask_app_repo': ['no repository', '--upload-pack=x', 3, 'https://me:hidden@a.example/x.git', 'no://me:hidden@a b/x'],
    'flask_app_repo_path': ['backend'],
    'flask_app_repo_key': ['/missing', str(ROOT / 'ansible.cfg')],
    'flask_app_repo_token': ['hidden', ['hidden']],
    'python_venv_python': ['python2', 'python3.99', '/usr/bin/python3'],
    'flask_app_python': ['3', '3.7', '3.99', '3.12.99', 'python3.12', 'pypy3.10', 3.12, True],
    'python_venv_standalone_list': ['/missing', str(ROOT / 'ansible.cfg')],
    'python_venv_standalone_mirror': ['mirror.example', 'https://user:hidden@a b/'],
    'python_venv_indexes': ['https://user:hidden@a.example', ['a.example/simple'], ['https://user:hidden@a b/']],
    'python_venv_index_certificate': ['/missing.pem', 1],
    'python_venv_trusted_hosts': [['https://a.example'], 'a.example'],
    'flask_app_build_packages': [['Upper'], 'gcc', ['a b'], [1]],
    'flask_app_requirement': ['-e .', '../x', 1],
    'flask_app_requirements': ['missing.txt', 1],
    'python_venv_wheels': [['/missing.whl'], [str(ROOT / 'ansible.cfg')], 'a.whl', [1]],
    'python_venv_timeout': [0, 'x'],
    'python_venv_retries': [-1, True],
    'mirrors_apt': ['http://user:hidden@a.example/debian', ['a.example'], ['ftp://user:hidden@a.example/debian'], [1]],
    'mirrors_bundle': ['/missing', 'roles'],
    'mirrors_timeout': [0, 'x'],
    'mirrors_proxy': ['proxy:3128', 'http://user:hidden@/', 8080],
    'mirrors_no_proxy': [['a b'], 'localhost'],
    'flask_app_keep_releases': [1, 0, True, 'many'],
    'flask_app_drain_timeout': [-1, 'x', True],
    'firewall_allow': [['99999/tcp'], ['0/tcp'], ['9000:80/tcp'], ['80'], 'http', ['80/tcp;']],
    'nginx_listen_port': [0, 65536, True, 22],
    'nginx_local_port': [80, -1, 65536, True],
    'nginx_client_max_body_size': ['16 MB', 'big', 16],
    'nginx_trusted_proxies': [['nobody'], '10.0.0.1', ['10.0.0.0/99']],
    'nginx_cache_seconds': [-1, 3601, 'x', True],
    'nginx_stream_timeout': [0, 86401, 'x'],
    'nginx_stream_paths': [['events'], ['/a b'], ['/a;'], ['/a', '/a']],
    'nginx_path_prefix': ['/', 'shop', '/shop/', '/a//b', '/..', '/a/../b', '/.well-known', '/.nginx-error.', '/a b', '/a;', '/ä', '/a\n',
                          5],
    'nginx_methods': [[], ['get'], 'GET', ['GET|POST']],
    'nginx_tls_hsts': [-1, 'x', True],
    'nginx_tls_ciphers': [[], ['a;b'], 'ECDHE'],
    'tls_mode': ['letsencrypt', True],
    'tls_acme_directory': ['http://a.example', 'a.example', ''],
    'tls_acme_email': ['me', 'a b@c'],
    'tls_acme_ca': ['/missing', str(ROOT / 'ansible.cfg')],
    'nginx_headers': [{'A B': 'x'}, {'A': 'x"y'}, 'A'],
    # no such variables, and those that playbook.yml or the roles set
    'flask_app_worker': [3],
    'nginx_prove_path': ['/x'],
    'nginx_server_name': ['a.example'],
    'tls_names': [['a.example']],
    'tls_app': ['other'],
    'nginx_tls_certificate': ['/x'],
    'tls_folder': ['/etc'],
    'supervisor_programs': [[]],
    'packages_names': [['vim']],
    'preflight_folders': [['/srv/x']],
    'packages_bundle': ['/tmp'],
    'python_venv_proxy': ['http://user:hidden@proxy.example'],
    'python_venv_phyton': ['python3'],
    'python_venv_standalone': ['3.12'],
}
# values that flask_app_services: [postgresql, redis] excludes, by the variable that the run names
WITH_SERVICES = {
    'flask_app_environment': {'DATABASE_URL': 'postgresql://hidden'},
    'flask_app_secrets': {'REDIS_URL': 'redis://hidden'},
    'flask_app_user': 'pg_shop',
    'flask_app_name': 'template1',
}
# folders of the app whose account owns a folder above
ROOTS = [('/home/shop/app', '/home/shop'), ('/opt/shop/a/b', '/opt/shop')]
# these are right, and get as far as the look at a host that is not there
RIGHT = [
    {},
    {'flask_app_path': '/home/tfzhang/myflask', 'flask_app_user': 'tfzhang', 'flask_app_user_home': '/home/tfzhang',
     'flask_app_user_shell': '/bin/bash', 'flask_app_bind': '0.0.0.0:5000'},
    {'flask_app_workers': '5', 'nginx_listen_port': '8080', 'nginx_local_port': 0, 'flask_app_drain_timeout': '0.5'},
    {'flask_app_environment': {'A': 'x', 'B': 1, 'C': 1.5}, 'flask_app_secrets': {'KEY': 's'},
     'flask_app_shared': ['instance', 'data/files', 'static/v1.0', '.data', 'app.db', 'conf.d/', 'var/x.sqlite3'],
     'flask_app_packages': ['git', 'libpq5', 'g++', 'libglib2.0-0']},
    {'nginx_trusted_proxies': ['10.0.0.0/8', '2001:db8::1'], 'flask_app_domains': ['example.com', '*.example.org']},
    {'tls_mode': 'acme', 'flask_app_domains': ['a.example', 'xn--bcher-kva.example'],
     'tls_acme_email': 'me@a.example', 'nginx_tls_hsts': '0'},
    {'tls_mode': 'selfsigned', 'flask_app_domains': ['*.a.example', 'localhost']},
    {'mirrors_apt': ['http://user:p%40ss@mirror.example:8080/{archive}/'], 'mirrors_proxy': 'http://proxy.example:3128',
     'python_venv_indexes': ['https://token@index.example/simple/']},
    {'flask_app_root': '/opt/shop', 'flask_app_user_home': '/opt/shop/home'}, {'flask_app_root': '/opt/shopping'},
    {'flask_app_root': '/opt/shop2', 'flask_app_user_home': '/opt/shop'},
    {'flask_app_build_packages': ['build-essential', 'libpq-dev'], 'flask_app_build_memory': '100%'},
    {'flask_app_build_commands': ['npm ci'], 'flask_app_build_timeout': '60', 'flask_app_build_memory': '512M'},
    {'nginx_path_prefix': '/shop'}, {'nginx_path_prefix': '/~me/Shop_1.0'},
    {'flask_app_requirement': 'httpbin==0.10.2', 'flask_app_wsgi': 'httpbin:app'},
    {'flask_app_python': '3.12.4'},
    {'flask_app_services': ['postgresql', 'redis'], 'redis_memory': '128', 'redis_eviction': 'allkeys-lru'},
    {'flask_app_user': 'pg_shop', 'flask_app_services': ['redis'], 'flask_app_environment': {'DATABASE_URL': 'x'}},
    {'flask_app_python': '3.12', 'python_venv_standalone_mirror': 'https://me:p%40ss@mirror.example/builds'},
    {'python_venv_python': 'python3.8', 'flask_app_wsgi': 'app:app', 'flask_app_health_path': '/?a=b'},
]  # fmt: skip

# what source packages cannot be combined with, by what the run says
def folders(tmp_path_factory):
    """App folders that lack something, by what they lack."""
    texts = {'requirements.txt': {'app.py': ''},
             'app.py': {'main.py': '', 'requirements.txt': 'gunicorn==23.0.0\n'}}  # fmt: skip
    for lacks, files in texts.items():
        folder = tmp_path_factory.mktemp('app')
        for name, text in files.items():
            (folder / name).write_text(text)
        yield lacks, folder


def certificates(folder):
    """The user's own files, by what is wrong with them (the variable first); '' are right."""
    for name in ['site', 'other']:
        subprocess.run(
            ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=x',
             '-addext', 'subjectAltName=DNS:a.example,DNS:*.b.example', '-keyout', folder / f'{name}.key', '-out', folder / f'{name}.pem'],
            check=True, capture_output=True,
        )  # fmt: skip
    (folder / 'garbage').write_text('-----BEGIN CERTIFICATE-----\ngarbage\n')
    right = {'tls_mode': 'files', 'flask_app_domains': ['a.example', 'x.b.example'],
             'tls_certificate': str(folder / 'site.pem'), 'tls_key': str(folder / 'site.key')}  # fmt: skip
    yield '', right
    yield 'tls_key must be the key', right | {'tls_key': str(folder / 'other.key')}
    yield 'tls_key must be a file', right | {'tls_key': str(folder / 'missing')}
    yield 'tls_certificate must be a file', right | {'tls_certificate': ''}
    yield 'not for c.example, x.y.b.example', right | {'flask_app_domains': ['a.example', 'c.example', 'x.y.b.example']}
    yield 'certificate and its key', right | {'tls_certificate': str(folder / 'garbage')}
    yield 'flask_app_domains must have at least one', right | {'flask_app_domains': []}
    yield "article's plain site", right | {'flask_app_bind': '127.0.0.1:5001'}
    yield 'names without `*`', right | {'tls_mode': 'acme', 'flask_app_domains': ['*.b.example']}


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Runs the playbook against a host for each case.

    Returns:
        A function from a case (a name) to its tasks' results, by task name.
    """
    hosts = {f'{variable}={value!r}': {variable: value} for variable, values in WRONG.items() for value in values}
    hosts |= {f'lacks {lacks}': {'flask_app_src': str(folder)} for lacks, folder in folders(tmp_path_factory)}
    hosts |= {f'right {index}': values for index, values in enumerate(RIGHT)}
    hosts |= {f'root {root} home {home}': {'flask_app_root': root, 'flask_app_user_home': home} for root, home in ROOTS}
    both = ['postgresql', 'redis']
    hosts |= {f'services {variable}': {'flask_app_services': both, variable: value} for variable, value in WITH_SERVICES.items()}
    hosts |= {f'tls {says}': values for says, values in certificates(tmp_path_factory.mktemp('tls'))}
    hosts['path on a port'] = {'nginx_path_prefix': '/shop', 'flask_app_bind': '127.0.0.1:5001'}
    labels = {f'case{index}': case for index, case in enumerate(hosts)}
    inventory = tmp_path_factory.mktemp('inventory') / 'hosts.yml'
    # nothing listens there, so a host that is looked at says so at once
    address = {'ansible_host': '127.0.0.1', 'ansible_port': 1}
    inventory.write_text(yaml.safe_dump({'all': {'vars': address, 'hosts': {label: hosts[case] for label, case in labels.items()}}}))
    done = subprocess.run(
        [Path(sys.executable).with_name('ansible-playbook'), '-i', inventory, '--forks=8', 'playbook.yml'],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False,
        env=os.environ | {'ANSIBLE_STDOUT_CALLBACK': 'ansible.posix.json', 'ANSIBLE_CALLBACK_RESULT_FORMAT': 'json'},
    )  # fmt: skip
    results = {case: {} for case in hosts}
    plays = json.loads(done.stdout[done.stdout.index('{\n') :])['plays']
    assert [play['play']['name'] for play in plays] == ['Check the input and the hosts before anything changes']
    for task in plays[0]['tasks']:
        for label, result in task['hosts'].items():
            results[labels[label]][task['task']['name'].split(' : ')[-1]] = result
    return results.__getitem__


def complaint(results):
    """What the run said where it stopped."""
    failed = [result for result in results.values() if result.get('failed')]
    assert len(failed) == 1
    return str(failed[0]['msg']) + str([item.get('msg') for item in failed[0].get('results', [])])


@pytest.mark.parametrize('variable, value', [(variable, value) for variable, values in WRONG.items() for value in values])
def test_wrong_values_stop_the_run_before_a_host_is_touched(run, variable, value):
    results = run(f'{variable}={value!r}')
    assert HOST_TASK not in results
    assert variable in complaint(results)


def test_the_articles_plain_site_is_not_below_a_path(run):
    results = run('path on a port')
    assert HOST_TASK not in results
    assert "nginx_path_prefix must be empty for the article's plain site" in complaint(results)


@pytest.mark.parametrize('root, home', ROOTS)
def test_a_root_below_the_accounts_home_stops_the_run_before_a_host_is_touched(run, root, home):
    results = run(f'root {root} home {home}')
    assert HOST_TASK not in results
    assert f"flask_app_root must not be below flask_app_user_home, '{home}'" in complaint(results)


@pytest.mark.parametrize('variable', WITH_SERVICES)
def test_what_services_exclude_stops_the_run_before_a_host_is_touched(run, variable):
    results = run(f'services {variable}')
    assert HOST_TASK not in results
    assert variable in complaint(results) and 'hidden' not in complaint(results)


@pytest.mark.parametrize('lacks, variable', [('requirements.txt', 'flask_app_requirements'), ('app.py', 'flask_app_wsgi')])
def test_folders_that_are_no_app_stop_the_run_before_a_host_is_touched(run, lacks, variable):
    results = run(f'lacks {lacks}')
    assert HOST_TASK not in results
    assert variable in complaint(results)
    assert lacks in complaint(results)


@pytest.mark.parametrize('says', ['tls_key must be the key', 'tls_key must be a file', 'tls_certificate must be a file',
                                  'not for c.example, x.y.b.example', 'certificate and its key', 'flask_app_domains must have at least one',
                                  "article's plain site", 'names without `*`'])  # fmt: skip
def test_tls_that_cannot_be_stops_the_run_before_a_host_is_touched(run, says):
    results = run(f'tls {says}')
    assert HOST_TASK not in results
    assert says in [str(result['msg']) for result in results.values() if result.get('failed')][-1]


def test_certificates_that_fit_get_as_far_as_the_host(run):
    assert 'the host is unreachable' in run('tls ')[HOST_TASK]['msg']


@pytest.mark.parametrize('index', range(len(RIGHT)))
def test_right_values_get_as_far_as_the_host(run, index):
    results = run(f'right {index}')
    assert 'the host is unreachable' in results[HOST_TASK]['msg']
    assert 'the host is unreachable' in complaint(results)


def test_secret_values_are_not_shown(run):
    assert 'False' not in complaint(run("flask_app_secrets={'A': False}"))
    for variable, values in WRONG.items():
        for value in values:
            if 'hidden' in str(value):
                assert 'hidden' not in str(run(f'{variable}={value!r}'))


def test_a_misspelt_variable_brings_the_right_one(run):
    assert 'flask_app_workers' in complaint(run('flask_app_worker=3'))
