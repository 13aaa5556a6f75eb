"""The workflow for GitHub Actions in examples/: what it trusts, and that it stops where something is not set."""

import re

import pytest
import workflow
import yaml

CI = yaml.safe_load((workflow.CHECKOUT / '.github/workflows/ci.yml').read_text())
VALUES = {'SSH_KEY': 'key', 'KNOWN_HOSTS': '203.0.113.7 ssh-ed25519 AAAA', 'VAULT_PASSWORD': 'password'}


def test_actions_are_the_ones_that_this_projects_own_workflow_uses():
    ours = {step['uses'] for job in CI['jobs'].values() for step in job['steps'] if 'uses' in step}
    used = {step['uses'] for step in workflow.read() if 'uses' in step}
    assert used and used <= ours and all(re.fullmatch(r'[\w/-]+@[0-9a-f]{40}', name) for name in used)


def test_commands_have_no_expression_in_them():
    # GitHub would put its value into the shell's text
    assert not [step['run'] for step in workflow.read() if '${{' in step.get('run', '')]


@pytest.mark.parametrize('missing', VALUES)
def test_a_value_that_is_not_set_stops_it(tmp_path, missing):
    status, printed = workflow.run(tmp_path, tmp_path, {**VALUES, missing: ''})
    assert status != 0 and f'{missing}: is not set' in printed and not (tmp_path / 'exported').read_text()
