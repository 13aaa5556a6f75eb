"""Two apps of a machine cannot claim the same, what they claim is merged for the machine, and claims are written whole or not at all."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
# as Ansible does it on a host: claims.py is ansible.module_utils.claims
RUN = (
    'import runpy, sys, ansible.module_utils as utils; utils.__path__.append(sys.argv.pop(1)); module = sys.argv.pop(1); '
    "sys.argv[0] = module; runpy.run_path(module, run_name='__main__')"
)


def load(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


claims = load('plugins/module_utils/claims.py')
check_claims = load('plugins/action/check_claims.py')


def claim(name, **changes):
    """A claim that collides with no other app's unless it is changed."""
    mine = {
        'name': name, 'account': name, 'paths': [f'/srv/{name}'], 'domains': [f'{name}.example.com'], 'default_site': False, 'ports': {},
        'firewall': ['80/tcp'], 'any': {'tls': False}, 'largest': {'nginx_backlog': 4096},
        'equal': {'nginx_listen_port': 80, 'mirrors_apt': []}, 'kernel': {'net.core.somaxconn': 4096},
        'packages': [],
    }
    return {**mine, **changes}


# passwords do not leave the machine, not even with -v
LOOK = (
    'for f in /etc/flask-host/apps.d/*.json; do if [ -e "$f" ]; then '
    "printf claim=; tr -d '\\n' <\"$f\" | sed 's#//[^/\" ]*@#//***@#g'; echo; fi; done"
)
SECRET = ['https://me:hunter2@mirror.example/debian']
COLLISIONS = {
    'domain': ({'domains': ['a.example', 'b.example']}, {'domains': ['b.example']},
               'flask_app_domains: b.example belongs to the app blog on this machine. Take it out here, or remove it from blog first. '
               'nginx_path_prefix cannot share a domain.'),
    'default site': ({'default_site': True}, {'default_site': True},
                     'flask_app_domains: [], the default site, belongs to the app blog on this machine. '
                     'Set domains here, or for blog first.'),
    'port': ({'ports': {'nginx_local_port': 5000}}, {'ports': {'flask_app_bind': '5000'}},
             'nginx_local_port: 5000 belongs to the app blog on this machine. '
             'Choose another port here, or change flask_app_bind of blog first.'),
    'account': ({'account': 'web'}, {'account': 'web'},
                'flask_app_user: web belongs to the app blog on this machine. Choose another account here, or change it for blog first.'),
    'path': ({'paths': ['/srv/x']}, {'paths': ['/srv/x/']},
             'flask_app_root or flask_app_path: /srv/x belongs to the app blog on this machine. '
             'Choose another folder here, or change it for blog first.'),
    'path inside': ({'paths': ['/srv/x/y']}, {'paths': ['/home/x', '/srv/x']},
                    'flask_app_root or flask_app_path: /srv/x/y (for /srv/x) belongs to the app blog on this machine. '
                    'Choose another folder here, or change it for blog first.'),
    'equal': ({}, {'equal': {'mirrors_apt': SECRET}},
              'mirrors_apt must be the same for all apps of a machine: [] here, ["https://***@mirror.example/debian"] for blog. '
              "Set the same in both, or deploy with preflight_replace=true (make: REPLACE=1), which gives this run's value to all apps."),
    'kernel': ({'kernel': {'a.b': '1 2'}}, {'kernel': {'a.b': 3}},
               'kernel_settings: a.b must be the same for all apps of a machine: "1 2" here, 3 for blog. Set the same '
               "in both, or deploy with preflight_replace=true (make: REPLACE=1), which gives this run's value to all apps."),
}


@pytest.mark.parametrize('kind', COLLISIONS)
def test_a_collision_names_the_variable_the_value_the_app_and_the_fix(kind):
    mine, theirs, message = COLLISIONS[kind]
    shop, blog = claim('shop', **mine), claim('blog', **theirs)
    assert claims.collisions(shop, [claim('wiki'), blog]) == [message]
    assert len(claims.collisions(blog, [shop])) == 1
    assert claims.collisions(shop, [blog], replace=True) == ([] if kind in ('equal', 'kernel') else [message])


def test_names_that_differ_in_dashes_only_collide():
    found = claims.collisions(claim('my-shop'), [claim('my_shop')])
    assert found == [
        'flask_app_name: my-shop belongs to the app my_shop on this machine. '
        'Names must differ in more than - and _. Choose another, or remove my_shop first.'
    ]


def test_what_is_no_collision():
    shop = claim('shop', paths=['/srv/shop'], domains=['*.example.com'], kernel={'a': 1, 'b': 'x'}, equal={'x': 1, 'y': '80'})
    blog = claim('blog', paths=['/srv/shop2'], domains=['www.example.com'], kernel={'a': 2}, equal={'y': 80})
    assert claims.collisions(shop, [blog, claim('shop', domains=['*.example.com'])]) == []


def test_merge():
    one = claim('shop', any={'tls': True, 'acme': False}, largest={'n': '9'}, ports={'a': 8000}, kernel={'k': 1, 't': 'x'})
    one.update(firewall=['443/tcp'], packages=['libpq5', 'git'])
    two = claim('blog', any={'tls': False}, largest={'n': 10}, ports={'b': '5000'}, kernel={'k': '5'}, default_site=True, packages=['git'])
    assert claims.merge([one, two]) == {
        'apps': ['blog', 'shop'], 'default_site': 'blog', 'firewall': ['443/tcp', '80/tcp'], 'ports': [5000, 8000],
        'kernel': {'k': 5, 't': 'x'}, 'tls': True, 'acme': False, 'n': 10, 'nginx_listen_port': 80, 'mirrors_apt': [],
        'packages': ['git', 'libpq5'],
    }
    assert claims.merge([])['apps'] == [] and claims.merge([])['default_site'] == ''


def started(folder, check=False, **arguments):
    """Starts the module as Ansible does."""
    arguments = {'folder': str(folder), **arguments, '_ansible_check_mode': check}
    return subprocess.Popen(
        [sys.executable, '-c', RUN, ROOT / 'plugins/module_utils', ROOT / 'plugins/modules/claim.py',
         json.dumps({'ANSIBLE_MODULE_ARGS': arguments})],
        stdout=subprocess.PIPE, text=True,
    )


def module(folder, **arguments):
    """Runs the module; returns what it returned."""
    return json.loads(started(folder, **arguments).communicate()[0])


def test_the_module_writes_compares_and_deletes(tmp_path):
    folder = tmp_path / 'flask-host'
    planned = module(folder, check=True, state='present', claims=[claim('shop'), claim('blog')])
    assert planned['changed'] and planned['machine']['apps'] == ['blog', 'shop'] and not folder.exists()
    done = module(folder, state='present', claims=[claim('shop'), claim('blog')])
    assert done['machine'] == planned['machine'] and done['claims'] == ['blog', 'shop'] and done['changed']
    path = folder / 'apps.d/shop.json'
    assert [oct(each.stat().st_mode)[-4:] for each in (folder, path.parent, path)] == ['0755', '0700', '0600']
    assert json.loads(path.read_text()) == claim('shop')
    assert not module(folder, state='present', claims=[claim('shop')])['changed']
    assert module(folder)['claims'] == ['blog', 'shop']

    refused = module(folder, state='present', claims=[claim('wiki'), claim('new', domains=['shop.example.com'])])
    assert refused['failed'] and 'belongs to the app shop' in refused['msg']
    assert sorted(os.listdir(path.parent)) == ['blog.json', 'shop.json']

    assert module(folder, check=True, state='absent', name='shop')['machine']['apps'] == ['blog'] and path.exists()
    assert module(folder, state='absent', name='shop')['claims'] == ['blog']
    assert not module(folder, state='absent', name='shop')['changed']
    assert module(folder, state='absent', name='blog')['claims'] == [] and not path.parent.exists() and folder.exists()


def test_a_deleted_claim_releases_the_packages_that_no_other_app_claims(tmp_path):
    old = claim('wiki')
    del old['packages']  # as earlier runs wrote it
    module(tmp_path, state='present', claims=[claim('shop', packages=['git', 'libpq5']), claim('blog', packages=['git']), old])
    assert module(tmp_path, check=True, state='absent', name='shop')['released'] == ['libpq5']
    assert module(tmp_path, state='absent', name='wiki')['released'] == []
    assert module(tmp_path, state='absent', name='blog')['released'] == []
    assert module(tmp_path, state='absent', name='shop')['released'] == ['git', 'libpq5']
    assert module(tmp_path, state='absent', name='shop')['released'] == []


def test_replace_gives_the_value_to_the_other_apps(tmp_path):
    module(tmp_path, state='present', claims=[claim('blog', kernel={'a': 'x', 'n': 9}), claim('wiki', kernel={})])
    mine = claim('shop', equal={'mirrors_apt': SECRET, 'own': 1}, kernel={'a': 'y', 'n': 1})
    assert module(tmp_path, state='present', claims=[mine])['failed']
    done = module(tmp_path, state='present', claims=[mine], replace=True)
    assert done['replaced'] == ['blog', 'wiki'] and done['machine']['mirrors_apt'] == SECRET
    assert done['machine']['kernel'] == {'a': 'y', 'n': 9}
    blog = json.loads((tmp_path / 'apps.d/blog.json').read_text())
    assert blog['equal'] == {'mirrors_apt': SECRET, 'nginx_listen_port': 80} and blog['kernel'] == {'a': 'y', 'n': 9}
    assert 'hunter2' not in json.dumps([done['diff'], done.get('invocation')]) and '//***@mirror.example' in json.dumps(done['diff'])
    # two apps of one run cannot both have their way
    both = [claim('one', equal={'x': 1}), claim('two', equal={'x': 2})]
    assert module(tmp_path, state='present', claims=both, replace=True)['failed']


@pytest.mark.parametrize('content', ['', '[]', '{"name": "shop"}', json.dumps(claim('other')), json.dumps(claim('../x')), '\udcff'])
def test_an_invalid_claim_file_is_named(tmp_path, content):
    (tmp_path / 'apps.d').mkdir()
    (tmp_path / 'apps.d/shop.json').write_text(content, errors='surrogateescape')
    done = module(tmp_path, state='present', claims=[claim('blog')])
    assert done['failed'] and done['msg'].startswith(f'{tmp_path}/apps.d/shop.json cannot be used: ') and 'restore it' in done['msg']
    assert os.listdir(tmp_path / 'apps.d') == ['shop.json']


def test_what_a_killed_run_left_is_no_claim_and_is_replaced(tmp_path):
    (tmp_path / 'apps.d').mkdir()
    (tmp_path / 'apps.d/.shop.new').write_text('{')
    assert module(tmp_path)['claims'] == []
    assert module(tmp_path, state='present', claims=[claim('shop')])['claims'] == ['shop']
    assert os.listdir(tmp_path / 'apps.d') == ['shop.json']


def test_of_two_runs_at_once_one_gets_the_domain(tmp_path):
    waiting = [started(tmp_path, state='present', claims=[claim(f'app{number}', domains=['a.example'])]) for number in range(6)]
    results = [json.loads(each.communicate()[0]) for each in waiting]
    assert [not result.get('failed') for result in results].count(True) == 1
    assert len(os.listdir(tmp_path / 'apps.d')) == 1


def test_the_check_of_a_run_compares_with_the_machine_and_with_the_run():
    shop = claim('shop', domains=['a.example'])
    disk = ['os=debian 12', f"claim={json.dumps(claim('shop'))}", f"claim={json.dumps(claim('blog', domains=['a.example']))}", 'looked']
    assert [line[:60] for line in check_claims.found_collisions(shop, '\n'.join(disk), {}, False)] == [
        'flask_app_domains: a.example belongs to the app blog on this'
    ]
    # the run changes blog too
    assert check_claims.found_collisions(shop, '\n'.join(disk), {'host2': claim('blog')}, False) == []
    assert 'by the host host2 too' in check_claims.found_collisions(shop, '', {'host2': shop}, False)[0]
    # replace is for the apps that are not in this run
    differs = claim('blog', equal={'mirrors_apt': SECRET})
    assert check_claims.found_collisions(shop, f'claim={json.dumps(differs)}', {}, True) == []
    assert len(check_claims.found_collisions(shop, '', {'host2': differs}, True)) == 1
    with pytest.raises(ValueError, match='cannot be used') as error:
        check_claims.existing_claims('claim={"equal": "https://me:hunter2@x"}')
    assert 'hunter2' not in str(error.value)


def test_the_role_and_the_check_in_a_play(tmp_path):
    """Two apps of one machine in one run; then an app of another run collides, first in the check, then in the role."""
    settings = {'ANSIBLE_LIBRARY': 'modules', 'ANSIBLE_MODULE_UTILS': 'module_utils', 'ANSIBLE_ACTION_PLUGINS': 'action'}
    environment = {**os.environ, **{name: str(ROOT / 'plugins' / folder) for name, folder in settings.items()}}
    environment.update(ANSIBLE_ROLES_PATH=str(ROOT / 'roles'), ANSIBLE_CALLBACK_RESULT_FORMAT='json')
    folder = tmp_path / 'flask-host'
    equal = {'nginx_listen_port': 80, 'mirrors_apt': ['http://***@mirror.example']}
    hosts = {
        'shop': {'claims_own': claim('shop', equal=equal), 'claims_neighbours': ['blog']},
        'blog': {'claims_own': claim('blog', equal=equal), 'claims_neighbours': ['shop']},
        'bad': {'claims_own': claim('bad', domains=['shop.example.com'], equal=equal), 'claims_neighbours': []},
    }
    local = {'ansible_connection': 'local', 'ansible_python_interpreter': sys.executable}
    inventory = tmp_path / 'hosts.yml'
    inventory.write_text(yaml.safe_dump({'all': {'hosts': hosts, 'vars': {**local, 'claims_replace': False}}}))
    play = {
        'hosts': '{{ target }}', 'gather_facts': False, 'module_defaults': {'claim': {'folder': str(folder)}},
        'tasks': [
            {'ansible.builtin.raw': LOOK.replace('/etc/flask-host', str(folder)), 'register': 'look'},
            {'check_claims': {'claim': '{{ claims_own }}', 'existing': '{{ look.stdout }}', 'neighbours': {}}, 'when': 'check | bool'},
            {'ansible.builtin.import_role': {'name': 'claims'}},
            {'ansible.builtin.debug': {'msg': 'apps={{ claims_machine.apps | join(",") }} {{ claims_machine.mirrors_apt | length }}'}},
        ],
    }
    playbook = tmp_path / 'play.yml'
    playbook.write_text(yaml.safe_dump([play], width=1000))

    def run(target, check):
        done = subprocess.run(
            ['ansible-playbook', '-v', '-i', inventory, playbook, '-e', f'target={target}', '-e', f'check={check}'],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, check=False,
        )
        return done.returncode, done.stdout

    code, output = run('shop:blog', True)
    assert code == 0 and 'apps=blog,shop 1' in output, output
    code, output = run('bad', True)
    assert code == 2 and 'Nothing was changed.' in output and 'belongs to the app shop' in output, output
    code, output = run('bad', False)
    assert code == 2 and 'belongs to the app shop' in output, output
    assert sorted(os.listdir(folder / 'apps.d')) == ['blog.json', 'shop.json']
