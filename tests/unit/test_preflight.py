"""What look.sh prints is parsed and checked, and variables that the playbook makes from others cannot be set."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ansible.module_utils.basic
import ansible.release
import pytest
import yaml

ROOT = Path(__file__).parents[2]
LOOK = ROOT / 'roles/preflight/files/look.sh'
NOBODY = 65534
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason='only root can give folders to accounts')

# Ubuntu 18.04's own tools; the second disk's device and two programs have spaces in their names
RECORDED = r"""
os=ubuntu 18.04
clock=1795581229
machine_id=3d1219c7c4c5404aaa1f6d2a48adfda4
boot_id=a7d4d85b-c02c-4fc1-b93d-bb2279f85dbe
processors=2
meminfo=MemTotal:        2035184 kB
meminfo=SwapTotal:       1048572 kB
python=3.6
systemd=yes
ipv6=yes
free=/ /dev/vda1          9983268 2271732   7695152      23% /
inodes=/ /dev/vda1      1290240 85463 1204777    7% /
free=/srv //nas/our files 10 20 30  1048576 524288    204800      50% /srv
inodes=/srv //nas/our files 10 20 30       0     0        0       - /srv
free=/usr /dev/vda2 9983268 9983268 -4096 100% /usr
listener=LISTEN   0         128          127.0.0.53%lo:53               0.0.0.0:*        users:(("systemd-resolve",pid=512,fd=13))
listener=LISTEN   0         511          0.0.0.0:80               0.0.0.0:*        users:(("nginx",pid=901,fd=6),("nginx",pid=900,fd=6))
listener=LISTEN   0         511             [::]:80                  [::]:*        users:(("nginx",pid=901,fd=7),("nginx",pid=900,fd=7))
listener=LISTEN   0         5                        *:8000                   *:*        users:(("my web server",pid=77,fd=3))
listener=LISTEN   0         64                 0.0.0.0:2049             0.0.0.0:*
claim={"name": "shop", "ports": {"flask_app_bind": 8000}, "text": "a\n b = c \u00fc"}
claim={"name": "wiki", "ports": {"nginx_local_port": 5000}}
end=
"""


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f'plugins/action/{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_ansible, check_host, check_variables = load('check_ansible'), load('check_host'), load('check_variables')


def look(*options):
    """What look.sh prints here."""
    return subprocess.run(['sh', LOOK, *map(str, options)], stdout=subprocess.PIPE, text=True, check=True, timeout=20).stdout


def found(*paths):
    """The folders that look.sh finds on the way to paths."""
    return [folder['path'] for folder in check_host.parse(look(*(word for path in paths for word in ('-t', path))))['untrusted']]


@pytest.fixture
def root():
    """A folder that only root can change, with all those above it: not in /tmp."""
    with tempfile.TemporaryDirectory(dir='/srv' if os.path.isdir('/srv') else '/opt') as folder:
        os.chmod(folder, 0o755)
        (Path(folder) / 'a/b').mkdir(parents=True)
        yield Path(folder)


@ROOT_ONLY
def test_folders_of_root_are_fine_and_so_is_what_is_missing(root):
    assert found(root / 'a/b', root / 'a/missing/too') == []


@ROOT_ONLY
@pytest.mark.parametrize('mode', [0o775, 0o757, 0o1777])
def test_modes(root, mode):
    (root / 'a').chmod(mode)
    assert found(root / 'a/b') == [str(root / 'a')]
    assert found(root / 'a/b/missing') == [str(root / 'a')]


@ROOT_ONLY
def test_owners(root):
    os.chown(root / 'a', NOBODY, NOBODY)
    assert found(root / 'a/b') == [str(root / 'a')]
    (root / 'with space').mkdir()
    os.chown(root / 'with space', NOBODY, NOBODY)
    assert found(root / 'with space/x', root / 'with space') == [str(root / 'with space')]


@ROOT_ONLY
def test_where_a_link_leads(root):
    (root / 'link').symlink_to('a/other/../b')
    (root / 'a/other').mkdir(mode=0o755)
    assert found(root / 'link/x') == []
    os.chown(root / 'a', NOBODY, NOBODY)
    assert str(root / 'a') in found(root / 'link/x')
    os.chown(root / 'a', 0, 0)
    os.lchown(root / 'link', NOBODY, NOBODY)
    assert found(root / 'link/x') == [str(root / 'link')]


@ROOT_ONLY
def test_links_in_a_circle_end(root):
    (root / 'one').symlink_to('two')
    (root / 'two').symlink_to('one')
    assert found(root / 'one/x') == []


def test_this_machine_is_parsed():
    facts = check_host.parse(look('-m', sys.executable, '-t', '/'))
    assert facts['complete'] and facts['os'] and abs(facts['clock'] - time.time()) < 20
    assert facts['python'] == '{}.{}'.format(*sys.version_info)
    assert facts['processors'] == len(os.sched_getaffinity(0)) and facts['memory'] > 100
    assert {'/', '/usr', '/var'} <= set(facts['free']) and all(size > 0 for size in facts['free'].values())
    assert facts['untrusted'] == facts['not_folders'] == []


def test_paths_that_are_no_folders(tmp_path):
    (tmp_path / 'a file').touch()
    (tmp_path / 'link').symlink_to('missing')
    paths = [tmp_path / name for name in ('a file/x/y', 'a file', 'link', 'new/x')]
    facts = check_host.parse(look(*(word for path in paths for word in ('-f', path))))
    assert facts['not_folders'] == [str(tmp_path / 'a file'), str(tmp_path / 'link')]


def test_claims_are_one_line_each(tmp_path):
    assert check_host.parse(look('-c', tmp_path))['claims'] == check_host.parse(look('-c', tmp_path / 'missing'))['claims'] == []
    claims = [{'name': 'shop', 'text': 'a\nb\\n \u2028 =ü'}, {'name': 'wiki', 'ports': {}}]
    for claim in claims:
        (tmp_path / f"{claim['name']}.json").write_text(json.dumps(claim, indent=2, ensure_ascii=False).replace('\n', '\r\n'))
    (tmp_path / 'other').write_text('no claim')
    assert [json.loads(text) for text in check_host.parse(look('-c', tmp_path))['claims']] == claims


@pytest.mark.parametrize('ends', ['\n', '\r\n'])
def test_recorded_output(ends):
    facts = check_host.parse(RECORDED.replace('\n', ends))
    assert {name: facts[name] for name in ('os', 'python', 'systemd', 'ipv6', 'python_foreign', 'first_boot', 'processors')} == {
        'os': 'ubuntu 18.04', 'python': '3.6', 'systemd': True, 'ipv6': True, 'python_foreign': False, 'first_boot': False, 'processors': 2,
    }  # fmt: skip
    assert (facts['memory'], facts['swap']) == (1987, 1023)
    assert facts['machine_id'] == '3d1219c7c4c5404aaa1f6d2a48adfda4 a7d4d85b-c02c-4fc1-b93d-bb2279f85dbe'
    assert facts['free'] == {'/': 7514, '/srv': 200, '/usr': -4} and facts['inodes'] == {'/': 1204777}
    assert [tuple(listener.values()) for listener in facts['listeners']] == [
        (53, 'systemd-resolve', 512), (80, 'nginx', 901), (8000, 'my web server', 77),
    ]  # fmt: skip
    assert [json.loads(claim)['name'] for claim in facts['claims']] == ['shop', 'wiki']


@pytest.mark.parametrize(
    'output',
    [
        '',
        '\n\n',
        'sudo: a password is required\r\n',
        '[sudo via ansible, key=abc] password:',
        "/bin/sh: 1: sudo: not found\nos=ubuntu 18.04\nrubbish = 1\nfree=/ -\nlistener=LISTEN\nmeminfo=\nclock=x\n",
        'usage: sudo -h | -K | -k | -V\n',
    ],
)
def test_output_of_others_is_not_complete(output):
    facts = check_host.parse(output)
    assert not facts['complete'] and facts['python'] == '' and facts['memory'] == facts['clock'] == 0
    assert facts['claims'] == facts['listeners'] == [] and facts['free'] == {}


def test_a_prompt_and_a_warning_before_the_output():
    # a prompt does not end its line
    assert look().startswith('\n')
    before = '[sudo via ansible, key=abc] password:\r\nsudo: unable to resolve host web: Name or service not known\r\n'
    assert check_host.parse(before + RECORDED) == check_host.parse(RECORDED)


def test_machines_without_an_id_have_none():
    for text in ('', 'uninitialized'):
        assert check_host.parse(f'machine_id={text}\nboot_id=x\nend=\n')['machine_id'] == ''


def complaints(ports=None, app='', behind=0, **changed):
    facts = check_host.parse(RECORDED.replace('204800      50%', '904800      50%').replace('-4096', '904800')) | changed
    taken = check_host.port_conflicts(facts, ports or {}, ['nginx', 'gunicorn'], app)
    return [
        *check_host.python_problems(facts['python'], '/usr/bin/python3', (2, 16)),
        *check_host.problems(facts, taken, '/usr/bin/python3', 600, facts['clock'] + behind),
    ]


@pytest.mark.parametrize(
    'changed, says',
    [
        ({'os': 'fedora 40'}, 'runs `fedora 40`, which is not supported'),
        ({'os': ''}, 'runs ``'),
        ({'python': ''}, 'sudo apt install python3`'),
        ({'python': '2.7'}, 'sudo apt install python3`'),
        ({'python': '3.5'}, 'older than 3.6'),
        ({'python_foreign': True}, 'flask_app_python'),
        ({'systemd': False}, 'systemd'),
        ({'free': {'/': 499, '/srv': -1, '/var': 500}}, 'only 499 MB on / and -1 MB on /srv free'),
        ({'inodes': {'/': 9999, '/srv': 10000}}, '9999 on /, and 10000 are needed'),
        ({'readonly': ['/etc']}, '/etc cannot be written'),
        ({'not_folders': ['/srv/a', '/srv/b']}, 'a folder is needed at /srv/a and /srv/b'),
        ({'memory': 200, 'swap': 99}, 'has 299 MB'),
        ({'behind': 172800}, '2880 minutes behind'),
        ({'behind': -600}, '10 minutes ahead of'),
        ({'first_boot': True}, 'after 10 minutes'),
    ],
)
def test_each_problem_is_named(changed, says):
    assert complaints() == []
    assert len(complaints(**changed)) == 1 and says in complaints(**changed)[0]


def test_python_of_two_digits_is_new_enough():
    assert complaints(python='3.10') == []


@pytest.mark.parametrize('core, oldest', [((2, 16), 6), ((2, 17), 7), ((2, 18), 8), ((2, 19), 8), ((2, 20), 9), ((2, 21), 9), ((3, 0), 9)])
def test_a_newer_core_refuses_an_older_python(core, oldest):
    def refused(minor):
        return ''.join(check_host.python_problems(f'3.{minor}', '/usr/bin/python3', core))

    assert [minor for minor in range(6, 15) if not refused(minor)] == list(range(oldest, 15))
    version = '.'.join(map(str, core))
    assert oldest == 6 or f'is 3.6, and ansible-core {version} needs 3.{oldest} or newer there. Use ansible-core 2.16' in refused(6)


@pytest.mark.parametrize('playbook', ['playbook', 'remove', 'rollback', 'releases', 'bundle', 'lock'])
def test_each_playbook_checks_the_python_of_a_host_before_it_runs_modules_there(playbook):
    tasks = yaml.safe_load((ROOT / f'{playbook}.yml').read_text())[0]['tasks']
    imported = [task['ansible.builtin.import_role'] for task in tasks if 'ansible.builtin.import_role' in task]
    names = ('host', 'trust', 'python')
    checked = [n for n, role in enumerate(imported) if role['name'] == 'preflight' and role.get('tasks_from') in names]
    assert len(checked) == 1
    before = {f"{role['name']} {role['tasks_from']}" for role in imported[: checked[0]]}
    assert all(' check' in role or role.startswith('preflight ') for role in before)


def test_the_oldest_python_is_that_of_the_installed_core():
    """Its modules refuse to be imported by an older one."""
    version = tuple(map(int, ansible.release.__version__.split('.')[:2]))
    (said,) = re.findall(r'_PY3?_MIN = .*?\(3, (\d+)\)', Path(ansible.module_utils.basic.__file__).read_text())
    assert list(check_host.python_problems(f'3.{int(said)}', 'python', version)) == []
    assert list(check_host.python_problems(f'3.{int(said) - 1}', 'python', version)) != []


@pytest.mark.parametrize(
    'ports, app, says',
    [
        ({'nginx_listen_port': 80, 'nginx_local_port': 0, 'tls_mode': 443}, 'shop', ''),
        ({'nginx_listen_port': 53}, 'shop', 'port 53 (nginx_listen_port) is in use by systemd-resolve. `systemctl status 512`'),
        ({'flask_app_bind': 8000}, 'shop', 'port 8000 (flask_app_bind) is in use by my web server'),
        # claimed by another app, whose program it may be; but this one is neither nginx nor gunicorn
        ({'flask_app_bind': 8000}, 'wiki', 'port 8000 (flask_app_bind) is in use by my web server'),
        ({'flask_app_bind': 80}, 'shop', 'deploy with another nginx_local_port first'),
        ({'nginx_local_port': 2049}, 'shop', ''),
    ],
)
def test_ports_in_use(ports, app, says):
    found = complaints(ports, app)
    assert (says in found[0]) if says else found == []


@pytest.mark.parametrize('app, refused', [('wiki', True), ('shop', False)])
def test_nginx_may_have_the_port_of_another_app_only(app, refused):
    listeners = [{'port': 5000, 'program': 'nginx', 'pid': 9}]
    assert bool(complaints({'flask_app_bind': 5000}, app, listeners=listeners)) is refused
    claims = ['', '[]', '{"name": "x"}', '{"name": "x", "ports": 3}', '{"name": "x", "ports": {"a": [1]}}']
    assert complaints({'flask_app_bind': 5000}, app, listeners=listeners, claims=claims)


def test_folders_that_others_can_change_are_named_with_the_commands():
    assert list(check_host.trust_problems([])) == []
    message = ''.join(check_host.trust_problems([{'owner': 'shop', 'mode': '775', 'path': '/srv/shop'}]))
    assert '/srv/shop (owner shop, mode 775)' in message and 'sudo chown -h root: /srv/shop; sudo chmod go-w /srv/shop' in message


def play(folder, tasks, hosts, *options):
    """Runs tasks of the role in a project of its own; hosts are an inventory."""
    (folder / 'inventory').mkdir(exist_ok=True)
    (folder / 'inventory/hosts.yml').write_text(yaml.safe_dump({'all': hosts}))
    task = {'import_role': {'name': 'preflight', 'tasks_from': tasks}}
    (folder / 'playbook.yml').write_text(yaml.safe_dump([{'hosts': 'all', 'gather_facts': False, 'tasks': [task]}]))
    done = subprocess.run(
        [Path(sys.executable).with_name('ansible-playbook'), '-i', 'inventory', 'playbook.yml', *options],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120,
        env=os.environ | {'ANSIBLE_ROLES_PATH': str(ROOT / 'roles'), 'ANSIBLE_ACTION_PLUGINS': str(ROOT / 'plugins/action'),
                          'ANSIBLE_CALLBACK_RESULT_FORMAT': 'yaml', 'ANSIBLE_FORCE_COLOR': '0'},
    )  # fmt: skip
    return done.returncode, ' '.join(done.stdout.split())


HERE = {'ansible_connection': 'local'}


@ROOT_ONLY
def test_a_host_is_asked_once_also_in_check_mode(tmp_path, root):
    variables = {'preflight_trusted': [f"{root}/it's"], 'preflight_folders': [f'{root}/a b"$HOME'], '__preflight_first_boot': 3}
    (root / 'a').chmod(0o777)
    code, output = play(tmp_path, 'trust', {'hosts': {'one': HERE}, 'vars': variables}, '-vvv', '--check')
    assert code == 0 and output.count(' EXEC ') == 1, output
    variables['preflight_trusted'] = [f'{root}/a/x', f"{root}/it's"]
    code, output = play(tmp_path, 'trust', {'hosts': {'one': HERE}, 'vars': variables})
    assert code == 2 and f'Nothing was changed. one: accounts other than root can change {root}/a (owner root, mode 777), where' in output
    (root / 'a b"$HOME').touch()
    code, output = play(tmp_path, 'host', {'hosts': {'one': HERE}, 'vars': variables}, '-vvv')
    assert output.count(' EXEC ') == 1
    assert f'a folder is needed at {root}/a b"$HOME, but' in output.replace('\\', '') and f'can change {root}/a (' in output, output


@pytest.mark.parametrize('tasks', ['host', 'trust'])
def test_hosts_that_are_not_reached_or_have_no_sudo(tmp_path, tasks):
    away = {'ansible_host': '127.0.0.1', 'ansible_port': 1, 'ansible_user': 'me', 'ansible_ssh_private_key_file': '/k'}
    sudoless = HERE | {'ansible_become_user': 'nobody', 'ansible_become_exe': '/missing/sudo'}
    code, output = play(tmp_path, tasks, {'hosts': {'away': away, 'sudoless': sudoless}})
    assert code == 2
    assert 'Nothing was changed. away: the host is unreachable: ' in output and 'Try `ssh -p 1 -i /k me@127.0.0.1`' in output
    assert 'cannot become root with sudo: ' in output and '/missing/sudo' in output and 'give `--ask-become-pass`' in output


WIRING = {'firewall_ports': '{{ flask_app_domains | unique }}', 'supervisor_programs': [{'name': '{{ flask_app_name }}'}],
          'tls_names': '{{ flask_app_domains }}', 'nginx_listen_port': 8080}  # fmt: skip


@pytest.mark.parametrize('place', ['all', 'group_vars', 'host', 'extra'])
def test_a_variable_that_group_vars_makes_from_others_cannot_be_set_anywhere(tmp_path, place):
    (tmp_path / 'group_vars/all').mkdir(parents=True)
    (tmp_path / 'group_vars/all/wiring.yml').write_text(yaml.safe_dump(WIRING))
    (tmp_path / 'group_vars/all/empty.yml').touch()
    # nginx_listen_port is not made from others
    hosts = {'hosts': {'one': {}, 'two': {'nginx_listen_port': 9090, 'firewall_ports': WIRING['firewall_ports']}}}
    assert play(tmp_path, 'variables', hosts)[0] == 0
    value = {'firewall_ports': ['80/tcp']}
    if place == 'group_vars':
        (tmp_path / 'inventory/group_vars').mkdir()
        (tmp_path / 'inventory/group_vars/all.yml').write_text(yaml.safe_dump(value))
    hosts = {'hosts': {'one': value if place == 'host' else {}}, 'vars': value if place == 'all' else {}}
    code, output = play(tmp_path, 'variables', hosts, *(['-e', json.dumps(value)] if place == 'extra' else []))
    assert code == 2
    assert 'Nothing was changed. firewall_ports cannot be set: group_vars/all makes it from flask_app_domains. Set' in output, output
    assert 'tls_names' not in output and 'supervisor_programs' not in output


def test_variables_are_checked_without_group_vars_too(tmp_path):
    code, output = play(tmp_path, 'variables', {'hosts': {'one': {'flask_app_worker': 3, 'flask_app_name': True}}})
    assert code == 2
    assert 'flask_app_worker does not exist. Did you mean flask_app_workers' in output and 'flask_app_name must be a text' in output, output


def test_a_role_may_have_variables_with_the_prefix_of_another():
    specs = {'nginx_': {'nginx_backlog': {'type': 'int'}}, 'site_': {'nginx_methods': {'type': 'list', 'elements': 'str'}}}
    assert check_variables.problems({'nginx_methods': ['GET'], 'nginx_backlog': 3}, specs, {}) == []
    assert check_variables.problems({'nginx_method': 1}, specs, {}) == ['nginx_method does not exist. Did you mean nginx_methods?']


# -- the Ansible on this computer


@pytest.mark.parametrize('version, missing', [('2.15.13', []), ('2.16.0', []), ('2.21.5', ['x.one']), ('2.9.1', ['x.one', 'x.two'])])
def test_an_old_ansible_and_missing_collections_are_named(version, missing):
    found = check_ansible.problems(version, missing)
    assert any(f'2.16 or newer is needed, got {version}.' in text for text in found) is version.startswith(('2.15', '2.9'))
    assert any(f"`ansible-galaxy collection install {' '.join(missing)}`" in text for text in found) is bool(missing)


def test_missing_collections_are_named_before_anything_else():
    environment = os.environ | {'ANSIBLE_COLLECTIONS_SCAN_SYS_PATH': 'false', 'ANSIBLE_COLLECTIONS_PATH': '/missing'}
    for playbook in ('playbook.yml', 'remove.yml', 'rollback.yml', 'releases.yml', 'bundle.yml'):
        command = [Path(sys.executable).with_name('ansible-playbook'), '-i', '127.0.0.1:1,', '--syntax-check', playbook]
        assert subprocess.run(command, cwd=ROOT, env=environment, check=False, stdout=subprocess.DEVNULL, timeout=60).returncode == 0
    command = [*command[:3], 'playbook.yml']
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, stdout=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout.count('TASK [') == 1, done.stdout
    install = 'ansible-galaxy collection install community.general community.crypto community.postgresql`'
    assert 'Nothing was changed.' in done.stdout and install in done.stdout


def test_a_bool_given_as_a_text_is_told_how_to_be_one():
    specs = {'remove_': {'remove_data': {'type': 'bool'}}}
    (said,) = check_variables.problems({'remove_data': 'true'}, specs, {})
    assert said == """remove_data must be true or false; got 'true'. On the command line it is -e '{"remove_data": true}'."""
    assert check_variables.problems({'remove_data': True}, specs, {}) == []
