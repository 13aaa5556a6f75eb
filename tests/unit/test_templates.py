"""The roles' templates, rendered by Ansible with the defaults and with other values; and what 18.04 would refuse in them."""

import re
from configparser import RawConfigParser
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from release.config import load

ROOT = Path(__file__).parents[2]
WIRING = yaml.safe_load((ROOT / 'playbook.yml').read_text())[0]['vars']
ARTICLE = {'flask_app_path': '/home/tfzhang/myflask', 'flask_app_user': 'tfzhang', 'flask_app_bind': '0.0.0.0:5000'}
OTHER = {'flask_app_name': 'shop', 'flask_app_graceful_timeout': 90, 'nginx_listen_port': 8080, 'nginx_local_port': 0,
         'flask_app_domains': ['a.example', '*.b.example'], 'nginx_trusted_proxies': ['10.0.0.0/8'], 'nginx_cache_seconds': 5,
         'handover_keep_releases': 2,
         'kernel_settings': {'net.core.somaxconn': 1}}  # fmt: skip
ACME = {'tls_mode': 'acme', 'flask_app_domains': ['a.example', 'b.example']}
FILES = {'tls_mode': 'files', 'flask_app_domains': ['*.example'], 'nginx_trusted_proxies': ['10.0.0.0/8'], 'nginx_local_port': 0}
HOSTS = {'default': {}, 'article': ARTICLE, 'other': OTHER, 'acme': ACME, 'files': FILES}

# Newer than nginx 1.14.0, which says so only on the host.
NEWER_NGINX = [
    r'^\s*random\b',
    r'^\s*ssl_early_data\b',
    r'^\s*proxy_socket_keepalive\b',
    r'\bdelay=',
    r'\$upstream_bytes_sent',
    r'^\s*listen\s+\S*\d-\d',
    r'^\s*limit_rate\s.*\$',
    r'^\s*limit_(req|conn)_dry_run\b',
    r'\$limit_(req|conn)_status',
    r'^\s*auth_delay\b',
    r'^\s*ssl_ocsp\b',
    r'^\s*proxy_cookie_flags\b',
    r'^\s*ssl_reject_handshake\b',
    r'^\s*ssl_conf_command\b',
    r'^\s*keepalive_time\b',
    r'\$connection_time',
    r'^\s*http2\s+on',
    r'^\s*ssl_certificate(_key)?\s.*\$',
]


def templar_of(role, **values):
    """What works out templates of a role's folder with its, the playbook's and these variables."""
    variables = {'ansible_managed': 'Ansible managed', 'playbook_dir': str(ROOT), 'preflight_look': {'stdout': 'ipv6=there'}}
    for path in [*ROOT.glob('roles/*/defaults/main.yml'), *ROOT.glob('roles/*/vars/*.yml'), *ROOT.glob('roles/*/vars/main/*.yml')]:
        variables |= yaml.safe_load(path.read_text())
    variables |= WIRING | {'flask_app_release': 'a' * 12, 'flask_app_revision': '', 'role_path': str(role)} | values
    loader = DataLoader()
    loader.set_basedir(str(role))
    templar = Templar(loader, variables=variables)
    templar.environment.loader.searchpath = [str(role / 'templates')]
    templar.environment.trim_blocks = True
    return templar


def render(template, **values):
    """Renders a template `role/file` as a host with these variables gets it."""
    role = ROOT / 'roles' / template.split('/')[0]
    templar = templar_of(role, **values)
    text = (role / 'templates' / template.split('/')[1]).read_text()
    if 'item' not in values and template == 'supervisor/program.conf.j2':
        return render(template, **values, item=templar.template(WIRING['supervisor_programs'])[0])
    return templar.template(text, preserve_trailing_newlines=True, convert_data=False, escape_backslashes=False)


def nginx_files(host):
    """nginx's files of a host, as the role chooses them."""
    names = ['article'] if host == 'article' else ['site', 'nginx']
    return [render(f'nginx/{name}.conf.j2', **HOSTS[host]) for name in names]


@pytest.mark.parametrize('host', HOSTS)
def test_nginx_files_are_whole(host):
    for text in nginx_files(host):
        code = re.sub(r'"[^"\n]*"|\'[^\'\n]*\'|#.*', '', text)
        assert code.count('{') == code.count('}')
        assert not re.search(r'\{\{|\}\}\s*\{|\b(None|True|False)\b(?!-)', code)


@pytest.mark.parametrize('host', HOSTS)
@pytest.mark.parametrize('newer', NEWER_NGINX)
def test_nginx_files_have_nothing_newer_than_1_14(host, newer):
    assert not any(re.search(newer, text, re.M) for text in nginx_files(host))


@pytest.mark.parametrize('host', HOSTS)
def test_nginx_upstreams_have_no_keepalive_limits(host):
    for text in nginx_files(host):
        for upstream in re.findall(r'^upstream [^{]*\{(.*?)^\}', text, re.M | re.S):
            assert not re.search(r'keepalive_(requests|timeout)', upstream)


def test_the_site_goes_to_the_apps_sockets():
    site = render('nginx/site.conf.j2')
    assert 'server unix:/run/flaskrandom/live.sock max_fails=0;' in site
    assert 'server unix:/run/flaskrandom/app/flaskrandom.sock backup max_fails=0;' in site
    assert re.search(r'listen 80 default_server', site) and re.search(r'listen \[::\]:80 default_server', site)
    assert re.search(r'listen 127\.0\.0\.1:5000', site)


def test_a_host_without_ipv6_listens_without_it():
    assert '[::' not in render('nginx/site.conf.j2', nginx_ipv6=False)
    assert '[::' not in render('nginx/article.conf.j2', nginx_ipv6=False, **ARTICLE)


def test_other_ports_and_names():
    site = render('nginx/site.conf.j2', **OTHER)
    assert re.search(r'listen 8080 default_server', site)
    assert '127.0.0.1:' not in site
    assert 'server_name a.example *.b.example;' in site
    assert 'set_real_ip_from 10.0.0.0/8;' in site


@pytest.mark.parametrize(
    'values, host, scheme, redirect_ok',
    [
        ({}, 'localhost', 'http', True),
        ({'flask_app_domains': ['*.b.example', 'a.example']}, 'www.b.example', 'http', True),
        (ACME, 'a.example', 'https', False),
        ({'nginx_trusted_proxies': ['10.0.0.0/8']}, 'localhost', 'https', False),
    ],
)
def test_health_checks_ask_as_clients_do(values, host, scheme, redirect_ok):
    found = templar_of(ROOT / 'roles/handover', **values).template('{{ [handover_host, handover_scheme, handover_redirect_ok] }}')
    assert found == [host, scheme, redirect_ok]


@pytest.mark.parametrize(
    'status, location, healthy',
    [
        (301, 'https://a.example', True),
        (308, 'https://a.example:443/x', True),
        (302, 'HTTPS://A.example/', True),
        (302, 'http://a.example/', False),
        (302, 'https://a.example.evil/', False),
        (302, 'https://axexample/', False),
        (302, '/login', False),
        (303, 'https://a.example/', True),
        (200, 'https://a.example/', False),
    ],
)
def test_a_redirect_to_https_on_the_same_name_is_healthy(status, location, healthy):
    answer = {'status': status, 'location': location}
    templar = templar_of(ROOT / 'roles/nginx', flask_app_domains=['a.example'], __nginx_plain_answer=answer)
    assert templar.template('{{ __nginx_leads_to_https }}') is healthy


def test_a_host_without_tls_has_none_of_it():
    assert not re.search(r'443|ssl|challenge|redirect', render('nginx/site.conf.j2'))


def test_tls_has_a_site_for_its_names_and_one_for_others():
    others, site = render('nginx/site.conf.j2', **ACME).split('\nserver {')[1:]
    assert 'listen 443 ssl http2 default_server' in others and 'return 444;' in others and '/unknown.pem;' in others
    assert 'server_name a.example b.example;' in site and '/site.pem;' in site
    assert others.count('ssl_protocols TLSv1.2 TLSv1.3;') == site.count('ssl_protocols TLSv1.2 TLSv1.3;') == 1


def test_plain_http_serves_on_until_there_is_a_certificate():
    assert 'if (!-f /var/lib/flaskrandom-acme/issued)' in render('nginx/site.conf.j2', **ACME)
    assert '!-f' not in render('nginx/site.conf.j2', **FILES)


def test_browsers_are_told_to_come_back_by_tls_only_if_they_trust_it():
    assert '"on " "max-age=31536000"' in render('nginx/site.conf.j2', **ACME)
    for values in [{**ACME, 'tls_mode': 'selfsigned'}, {**ACME, 'nginx_tls_hsts': 0}]:
        assert 'strict' not in render('nginx/site.conf.j2', **values).lower().replace('strict-origin', '')


def test_what_a_balancer_got_over_tls_is_not_sent_there_again():
    assert '"$server_port $trusted_scheme $uri" $to_tls' in render('nginx/site.conf.j2', **FILES)


def test_nothing_is_cached_unless_asked_for():
    assert not any('proxy_cache' in text for text in nginx_files('default'))


def test_the_cache_can_be_taken_away_again():
    # nginx.conf is written first and must do with the site as it was
    assert render('nginx/nginx.conf.j2', **OTHER) == render('nginx/nginx.conf.j2', **OTHER | {'nginx_cache_seconds': 0})


def test_a_cache_keeps_nothing_that_is_one_clients():
    site = render('nginx/site.conf.j2', **OTHER)
    assert 'keys_zone=app:' in site and 'proxy_cache app;' in site
    for directive in ['proxy_cache_bypass', 'proxy_no_cache']:
        assert f'{directive} $http_authorization $http_cookie;' in site
    assert 'proxy_ignore_headers' not in site


def test_the_articles_site_is_the_articles():
    assert 'proxy_pass http://127.0.0.1:5000/;' in render('nginx/article.conf.j2', **ARTICLE)


def program(text):
    """A program's file as supervisor 3 on Python 2.7 reads it: inline comments after ` ;` only."""
    parser = RawConfigParser()
    parser.optionxform = str
    parser.read_string(text)
    return dict(parser[parser.sections()[0]])


@pytest.mark.parametrize('host', HOSTS)
def test_supervisors_file_has_nothing_that_supervisor_3_misreads(host):
    text = render('supervisor/program.conf.j2', **HOSTS[host])
    for line in text.splitlines():
        if not line.startswith(';'):
            assert '#' not in line and ' ;' not in line
            assert '%' not in line.replace('%%', '')


def test_the_articles_program_is_the_articles():
    found = program(render('supervisor/program.conf.j2', **ARTICLE))
    assert found['command'] == '/home/tfzhang/myflask/bin/gunicorn -w 3 -b 0.0.0.0:5000 app:app'
    assert found['directory'] == '/home/tfzhang/myflask/'
    assert found['user'] == 'tfzhang'
    for name in ['autostart', 'autorestart', 'stopasgroup', 'killasgroup']:
        assert found[name] == 'true'


@pytest.mark.parametrize('said, workers', [('2\r\n24105\r\n', 5), ('8\n512\n', 4), ('1\n200\n', 2), ('128\n900000\n', 64)])
def test_workers_by_processors_and_memory(said, workers):
    text = render('supervisor/program.conf.j2', **ARTICLE, flask_app_workers='auto', __flask_app_asked={'stdout': said})
    assert f'gunicorn -w {workers} -b' in program(text)['command']


@pytest.mark.parametrize('host', HOSTS)
def test_supervisor_waits_longer_than_gunicorn(host):
    found = program(render('supervisor/program.conf.j2', **HOSTS[host]))
    assert int(found['stopwaitsecs']) > HOSTS[host].get('flask_app_graceful_timeout', 30)


def test_the_program_of_the_default_host():
    found = program(render('supervisor/program.conf.j2'))
    assert found['command'].endswith('-c .gunicorn.py -b unix:/run/flaskrandom/app/flaskrandom.sock')
    assert found['user'] == 'flaskrandom'


def test_the_service_beside():
    service = render('handover/next.service.j2', **OTHER)
    assert 'ExecStart=/usr/local/sbin/shop-release serve %i\n' in service
    assert 'TimeoutStopSec=95\n' in service
    assert '[Install]' not in service


def test_the_sockets_folder():
    text = render('handover/tmpfiles.conf.j2')
    assert 'd /run/flaskrandom 0755 root root\n' in text and 'd /run/flaskrandom/app 0750 flaskrandom www-data\n' in text
    assert 'L /run/flaskrandom/live.sock - - - - app/flaskrandom.sock\n' in text
    assert 'live.sock' not in render('handover/tmpfiles.conf.j2', **ARTICLE)


@pytest.mark.parametrize('host', HOSTS)
def test_the_hand_overs_settings(host, tmp_path):
    name = HOSTS[host].get('flask_app_name', 'flaskrandom')
    (tmp_path / f'{name}.json').write_text(render('handover/deploy.json.j2', **HOSTS[host]))
    config = load(name, tmp_path)
    assert str(config.root) == f'/srv/{name}' and str(config.current) == f'/srv/{name}/current'
    assert config.user == HOSTS[host].get('flask_app_user', name)
    assert config.keep == HOSTS[host].get('handover_keep_releases', 5)
    assert config.behind_socket == (host != 'article')
    assert config.drain > 0 and config.settle > 0 and config.command_timeout > 0
    assert config.redirect_ok is True or config.redirect_ok is False


def test_the_app_has_the_same_limits_during_and_after_a_hand_over():
    supervisor = (ROOT / 'roles/supervisor/files/hardening.conf').read_text()
    limits = set(supervisor.partition('[Service]\n')[2].splitlines())
    assert limits and limits <= set(render('handover/next.service.j2').splitlines())
    assert not limits & set(render('handover/next.service.j2', supervisor_hardening=False).splitlines())
