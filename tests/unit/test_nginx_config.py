"""The module that writes nginx's files writes all or nothing, and only what the validator accepts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import run_module

MODULE = Path(__file__).parents[2] / 'plugins/modules/nginx_config.py'
# Reads what nginx.conf includes, as nginx does; refuses a line `bad`, a file that is missing, and a name that is there twice.
VALIDATOR = """#!/usr/bin/env python3
import glob, os, sys

names = []

def refuse(text):
    sys.exit('nginx: [emerg] %d#%d: %s\\nnginx: configuration file test failed' % (os.getpid(), os.getpid(), text))

def check(path):
    try:
        lines = open(path).read().splitlines()
    except OSError as error:
        refuse('open() "%s" failed (%s)' % (path, error))
    for number, line in enumerate(lines, 1):
        if line.startswith('bad'):
            refuse('unknown directive "%s" in %s:%d' % (line, path, number))
        if line.startswith('upstream'):
            if line in names:
                refuse('duplicate %s in %s:%d' % (line, path, number))
            names.append(line)
        if line.startswith('unknown'):
            refuse('%s in %s:%d' % (line, path, number))
        if line.startswith('needs'):
            try:
                open(line.split()[1])
            except OSError as error:
                refuse('cannot load: No such file or directory in %s:%d' % (path, number))
        if line.startswith('include'):
            for found in sorted(glob.glob(line.split()[1])):
                check(found)

check(sys.argv[2])
"""


@pytest.fixture
def nginx(tmp_path):
    """A folder like /etc/nginx with a site, and its validator."""
    root = tmp_path / 'etc/nginx'
    for name in ['sites-available', 'sites-enabled']:
        (root / name).mkdir(parents=True)
    (root / 'nginx.conf').write_text(f'include {root}/sites-enabled/*\n')
    (root / 'sites-available/other').write_text('upstream other\n')
    (root / 'sites-enabled/other').symlink_to(root / 'sites-available/other')
    (tmp_path / 'nginx').write_text(VALIDATOR)
    (tmp_path / 'nginx').chmod(0o755)
    return root


def run(root, check=False, python=sys.executable, environment=None, **options):
    """Runs the module; returns what it answers."""
    arguments = {'folder': str(root), 'validate': [str(root.parents[1] / 'nginx'), '-c'], '_ansible_check_mode': check, **options}
    done = subprocess.run(
        [python, MODULE], input=json.dumps({'ANSIBLE_MODULE_ARGS': arguments}), stdout=subprocess.PIPE, text=True, check=False,
        timeout=20, env=environment,
    )  # fmt: skip
    return run_module.answer(done.stdout)


def site(root, text='upstream shop\n', name='shop'):
    """Options that add a site."""
    return {
        'files': [{'path': f'sites-available/{name}', 'content': text}],
        'links': {f'sites-enabled/{name}': f'{root}/sites-available/{name}'},
    }


def tree(root):
    """All that is below a folder: text, link or None for a folder, by path."""
    return {
        str(path.relative_to(root)): os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else None
        for path in root.rglob('*')
    }


def test_a_site_is_written_once(nginx):
    first = run(nginx, **site(nginx))
    assert first['changed'] and not first.get('failed')
    assert first['changed_paths'] == [f'{nginx}/sites-available/shop', f'{nginx}/sites-enabled/shop']
    assert first['diff'][0] == {
        'before_header': f'{nginx}/sites-available/shop', 'after_header': f'{nginx}/sites-available/shop',
        'before': '', 'after': 'upstream shop\n',
    }  # fmt: skip
    assert (nginx / 'sites-enabled/shop').read_text() == 'upstream shop\n'
    assert (nginx / 'sites-available/shop').stat().st_mode & 0o777 == 0o644
    again = run(nginx, **site(nginx))
    assert (again['changed'], again['diff'], again['changed_paths']) == (False, [], [])


@pytest.mark.skipif(not run_module.OLD, reason='no Python here that is old enough')
def test_it_runs_on_an_old_python(nginx, tmp_path_factory):
    environment = run_module.for_old_python(tmp_path_factory.mktemp('library')) | {'LC_ALL': 'C'}
    options = site(nginx, 'upstream shop # \u00e4\n')
    assert run(nginx, python=run_module.OLD[-1], environment=environment, **options)['changed']
    assert (nginx / 'sites-enabled/shop').read_text(encoding='utf-8') == 'upstream shop # \u00e4\n'


@pytest.mark.parametrize('check', [False, True])
def test_what_nginx_refuses_is_not_written(nginx, check):
    before = tree(nginx)
    refused = run(nginx, check=check, **site(nginx, 'fine\nbad line\n'))
    assert refused['failed']
    assert f'[emerg] unknown directive "bad line" in {nginx}/sites-enabled/shop:2' in refused['msg']
    assert 'nginx serves on as before; nothing was written.' in refused['msg']
    assert tree(nginx) == before


def test_a_name_that_another_file_has_names_that_file(nginx):
    refused = run(nginx, **site(nginx, 'upstream other\n', name='a'))
    assert f'because of {nginx}/sites-enabled/other, which this task does not write' in refused['msg']
    assert 'refuses the new configuration' in refused['msg']


def test_a_file_of_somebody_else_that_is_invalid_already_is_named(nginx):
    (nginx / 'sites-available/other').write_text('bad line\n')
    refused = run(nginx, **site(nginx))
    assert f'refused the present configuration, because of {nginx}/sites-enabled/other' in refused['msg']
    assert not (nginx / 'sites-available/shop').exists()


def test_an_invalid_file_can_be_repaired(nginx):
    (nginx / 'sites-available/other').write_text('bad line\n')
    assert run(nginx, **site(nginx, 'upstream mine\n', 'other'))['changed']
    assert (nginx / 'sites-enabled/other').read_text() == 'upstream mine\n'


def test_a_dangling_link_is_refused_where_nginx_reads_it(nginx):
    (nginx / 'sites-enabled/lost').symlink_to('/nowhere/at/all')
    assert 'sites-enabled/lost' in run(nginx, **site(nginx))['msg']


def test_links_out_of_the_folder_are_tested_too(nginx, tmp_path):
    (tmp_path / 'elsewhere').write_text(f'include {nginx}/sites-available/shop\n')
    (nginx / 'sites-enabled/elsewhere').symlink_to(tmp_path / 'elsewhere')
    refused = run(nginx, files=[{'path': 'sites-available/shop', 'content': 'bad\n'}])
    assert f'in {nginx}/sites-available/shop:1' in refused['msg']


def test_check_mode_says_the_same_and_writes_nothing(nginx):
    before = tree(nginx)
    said = run(nginx, check=True, **site(nginx))
    assert tree(nginx) == before
    done = run(nginx, **site(nginx))
    assert {name: said[name] for name in ('changed', 'diff', 'changed_paths')} == \
        {name: done[name] for name in ('changed', 'diff', 'changed_paths')}  # fmt: skip


def test_check_mode_on_a_bare_host_validates_nothing(tmp_path):
    said = run(tmp_path / 'etc/nginx', check=True, **site(tmp_path))
    assert said['changed'] and len(said['changed_paths']) == 2
    assert not (tmp_path / 'etc').exists()
    assert 'is not installed' in run(tmp_path / 'etc/nginx', **site(tmp_path))['msg']


@pytest.mark.parametrize('line', ['needs /nowhere/site.pem', 'unknown "app_host" variable', 'unknown log format "json"'])
def test_what_an_earlier_task_would_create_is_a_warning_in_check_mode(nginx, line):
    said = run(nginx, check=True, **site(nginx, line + '\n'))
    assert said['changed'] and '[emerg]' in said['warnings'][0]
    assert run(nginx, **site(nginx, line + '\n'))['failed']


def test_files_links_and_folders_are_removed(nginx):
    (nginx / 'flask-host/shop/errors').mkdir(parents=True)
    (nginx / 'flask-host/shop/errors/404.html').touch()
    gone = run(nginx, absent=['sites-enabled/other', 'flask-host/shop', 'missing'])
    assert gone['changed_paths'] == [f'{nginx}/flask-host/shop', f'{nginx}/sites-enabled/other']
    assert set(tree(nginx)) == {'flask-host', 'nginx.conf', 'sites-available', 'sites-available/other', 'sites-enabled'}


def test_a_site_moves_to_another_file_at_once(nginx):
    moved = run(nginx, absent=['sites-enabled/other', 'sites-available/other'], **site(nginx, 'upstream other\n'))
    assert moved['changed'] and set(os.listdir(nginx / 'sites-enabled')) == {'shop'}


@pytest.mark.parametrize('line, there', [('upstream other', False), ('upstream', True)])
def test_a_file_is_removed_by_a_line_in_it(nginx, line, there):
    run(nginx, absent_with_line={'sites-enabled/other': line, 'sites-available/other': line, 'missing': line})
    assert (nginx / 'sites-enabled/other').is_symlink() == (nginx / 'sites-available/other').exists() == there


def test_an_exclusive_folder_keeps_only_what_is_named(nginx):
    for path in ['own/a.conf', 'own/old.conf', 'own/errors/404.html', 'own/old/deep/x', 'kept/x']:
        (nginx / path).parent.mkdir(parents=True, exist_ok=True)
        (nginx / path).touch()
    files = [{'path': path, 'content': ''} for path in ('own/a.conf', 'own/errors/404.html')]
    assert run(nginx, files=files, exclusive=['own'])['changed_paths'] == [f'{nginx}/own/old', f'{nginx}/own/old.conf']
    assert not run(nginx, files=files, exclusive=['own'])['changed']
    assert run(nginx, exclusive=['own', 'missing'])['changed_paths'] == [f'{nginx}/own']
    assert (nginx / 'kept/x').exists()


def test_mode_and_kind_are_repaired(nginx):
    run(nginx, **site(nginx))
    (nginx / 'sites-available/shop').chmod(0o666)
    (nginx / 'sites-enabled/shop').unlink()
    (nginx / 'sites-enabled/shop').write_text('upstream copied\n')
    assert len(run(nginx, **site(nginx))['changed_paths']) == 2
    assert (nginx / 'sites-available/shop').stat().st_mode & 0o777 == 0o644
    assert (nginx / 'sites-enabled/shop').is_symlink()


def test_a_file_is_replaced_and_not_written_into(nginx):
    run(nginx, **site(nginx))
    os.link(nginx / 'sites-available/shop', nginx / 'before')
    run(nginx, **site(nginx, 'upstream new\n'))
    assert (nginx / 'before').read_text() == 'upstream shop\n'
    assert not list(nginx.rglob('*.new'))


def test_new_folders_are_for_all_to_read(nginx):
    before = os.umask(0o077)
    try:
        run(nginx, files=[{'path': 'flask-host/shop/x.conf', 'content': '', 'mode': '0600'}])
    finally:
        os.umask(before)
    assert (nginx / 'flask-host').stat().st_mode & 0o777 == (nginx / 'flask-host/shop').stat().st_mode & 0o777 == 0o755
    assert (nginx / 'flask-host/shop/x.conf').stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize('path', ['/etc/passwd', '../x', 'a/../../x', '.', ''])
def test_paths_stay_in_the_folder(nginx, path):
    for options in [{'files': [{'path': path, 'content': ''}]}, {'absent': [path]}, {'links': {path: 'x'}}, {'exclusive': [path]}]:
        assert 'must be relative to' in run(nginx, **options)['msg']


def test_a_folder_is_not_replaced_by_a_file(nginx):
    assert 'is a folder' in run(nginx, files=[{'path': 'sites-enabled', 'content': ''}])['msg']
