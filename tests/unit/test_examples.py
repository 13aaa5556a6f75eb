"""The inventories in examples/ pass all checks of the playbook up to the check of the host; scenarios deploy with their variables."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent.name for path in ROOT.glob('examples/*/hosts.yml'))
HOSTS = {name: yaml.safe_load((ROOT / f'examples/{name}/hosts.yml').read_text())['all']['hosts'] for name in EXAMPLES}


def start(name, folder):
    """Starts the playbook with a copy of an example, at an address where nothing listens and with apps that are there."""
    shutil.copytree(ROOT / 'examples' / name, folder / name)
    hosts = {}
    for host, variables in HOSTS[name].items():
        app = folder / name / Path((variables or {}).get('flask_app_src', 'shop')).name
        shutil.copytree(ROOT / 'files/flaskrandom', app, dirs_exist_ok=True)
        hosts[host] = {'ansible_host': '127.0.0.1', 'ansible_port': 1, 'flask_app_src': str(app)}
    (folder / name / 'local.yml').write_text(yaml.safe_dump({'all': {'hosts': hosts}}))
    if name == 'own-tls':
        names = 'subjectAltName=DNS:example.com,DNS:www.example.com'
        subprocess.run(
            ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=x',
             '-addext', names, '-keyout', 'key.pem', '-out', 'certificate.pem'],
            cwd=folder / name, check=True, capture_output=True,
        )  # fmt: skip
    command = ['ansible-playbook', '-i', folder / name / 'hosts.yml', '-i', folder / name / 'local.yml', 'playbook.yml']
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | {'ANSIBLE_NOCOLOR': '1'}
    )


@pytest.fixture(scope='module')
def outputs(tmp_path_factory):
    """What the playbook prints for each of the examples; they run at the same time."""
    folder = tmp_path_factory.mktemp('examples')
    runs = {name: start(name, folder) for name in EXAMPLES}
    return {name: ' '.join(run.communicate(timeout=300)[0].split()) for name, run in runs.items()}


@pytest.mark.parametrize('name', EXAMPLES)
def test_an_example_gets_as_far_as_the_host(outputs, name):
    for host in HOSTS[name]:
        assert f'{host}: the host is unreachable' in outputs[name], outputs[name]
