"""The roles' templates, rendered by Ansible with the defaults and with other values; and what 18.04 would refuse in them."""

import re
from configparser import RawConfigParser
from pathlib import Path

import ansible.template
import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from release.config import load

init_plugin_loader([])  # for lookups
ROOT = Path(__file__).parents[2]
WIRING = {name: value for path in ROOT.glob('group_vars/all/*.yml') for name, value in yaml.safe_load(path.read_text()).items()}
# a machine with this app alone
WIRING['claims_machine'] = """{{ claims_claim.any | combine(claims_claim.largest, claims_claim.equal, {
    'default_site': flask_app_name if claims_claim.default_site else ''}) }}"""
ARTICLE = {'flask_app_path': '/home/tfzhang/myflask', 'flask_app_user': 'tfzhang', 'flask_app_bind': '0.0.0.0:5000'}
OTHER = {'flask_app_name': 'shop', 'flask_app_graceful_timeout': 90, 'nginx_listen_port': 8080, 'nginx_local_port': 0,
         'flask_app_domains': ['a.example', '*.b.example'], 'nginx_trusted_proxies': ['10.0.0.0/8'], 'nginx_cache_seconds': 5,
         'nginx_stream_paths': ['/events', '/live/'], 'nginx_stream_timeout': 7200,
         'flask_app_keep_releases': 2,
         'kernel_settings': {'net.core.somaxconn': 1}}  # fmt: skip
ACME = {'tls_mode': 'acme', 'flask_app_domains': ['a.example', 'b.example']}
FILES = {'tls_mode': 'files', 'flask_app_domains': ['*.example'], 'nginx_trusted_proxies': ['10.0.0.0/8'], 'nginx_local_port': 0}
BELOW = {'nginx_path_prefix': '/shop', 'flask_app_domains': ['a.example'], 'nginx_stream_paths': ['/events'], 'nginx_cache_seconds': 5,
         'flask_app_static': {'/static': 'static'}, 'flask_app_shared': ['files'], 'flask_app_internal': {'/files': 'files'}}  # fmt: skip
HOSTS = {'default': {}, 'article': ARTICLE, 'other': OTHER, 'acme': ACME, 'files': FILES, 'below': BELOW}

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


# newer versions of ansible-core evaluate no other texts
trust = getattr(ansible.template, 'trust_as_template', str)


def trusted(value):
    """A value with all the texts in it as templates."""
    if isinstance(value, dict):
        return {name: trusted(item) for name, item in value.items()}
    if isinstance(value, list):
        return [trusted(item) for item in value]
    return trust(value) if isinstance(value, str) else value


def templar_of(role, **values):
    """What works out templates of a role's folder with its, the playbook's and these variables."""
    variables = {'ansible_managed': 'Ansible managed', 'playbook_dir': str(ROOT),
                 'preflight_facts': {'ipv6': True, 'processors': 2, 'memory': 4096},
                 'ansible_search_path': [str(role)]}  # fmt: skip
    for path in [*ROOT.glob('roles/*/defaults/main.yml'), *ROOT.glob('roles/*/vars/*.yml'), *ROOT.glob('roles/*/vars/main/*.yml')]:
        variables |= yaml.safe_load(path.read_text())
    variables |= WIRING | {'flask_app_release': 'a' * 12, 'flask_app_revision': '', 'role_path': str(role)} | values
    loader = DataLoader()
    loader.set_basedir(str(role))
    return Templar(loader, variables=trusted(variables)).copy_with_new_env(searchpath=[str(role / 'templates')])


def render(template, **values):
    """Renders a template `role/file` as a host with these variables gets it."""
    role = ROOT / 'roles' / template.split('/')[0]
    templar = templar_of(role, **values)
    text = (role / 'templates' / template.split('/')[1]).read_text()
    if 'item' not in values and template == 'supervisor/program.conf.j2':
        return render(template, **values, item=templar.template(trusted(WIRING['supervisor_programs']))[0])
    return str(templar.template(trust(text), escape_backslashes=False, convert_data=False, overrides={'trim_blocks': True}))


def site(**values):
    """The site's file of an app with these variables."""
    kind = 'article' if values.get('flask_app_bind', 'unix:').startswith('0') else 'site'
    return render(f'site/{kind}.conf.j2', **values)


def nginx_files(host):
    """nginx's files of a host, as the roles choose them: the site first."""
    files = [site(**HOSTS[host])]
    return files if host == 'article' else [*files, *(render(f'nginx/{name}.conf.j2', **HOSTS[host]) for name in ('nginx', 'errors'))]


def server(text, listen):
    """The server block of a text that has a `listen` with these words."""
    return next(block for block in re.split(r'\n(?=\t?server \{)', text) if re.search(rf'listen {listen}\b', block))


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
    text = site(flask_app_name='shop')
    assert 'upstream flask-shop {' in text and 'proxy_pass http://flask-shop;' in text
    assert 'server unix:/run/shop/live.sock max_fails=0;' in text
    assert 'server unix:/run/shop/app/shop.sock backup max_fails=0;' in text


def test_an_app_without_domains_is_the_default_site():
    text = site()
    assert 'listen 80 default_server;' in text and 'listen [::]:80 default_server;' in text and 'server_name _;' in text
    assert re.search(r'listen 127\.0\.0\.1:5000', text)


def test_an_app_with_domains_leaves_unknown_names_to_the_machine():
    for values in [OTHER, FILES, ARTICLE | {'flask_app_domains': ['a.example', 'b.example']}]:
        text = site(**values)
        assert 'default_server' not in text
        assert f'server_name {" ".join(values["flask_app_domains"])};' in text
    machine = render('nginx/nginx.conf.j2', **OTHER)
    assert machine.index('listen 8080 backlog=4096;') < machine.index('include /etc/nginx/sites-enabled/*;')
    assert 'default_server' not in machine and 'return 404;' in server(machine, '8080')


def test_options_of_a_port_are_there_once():
    for host in HOSTS.keys() - {'article'}:
        listens = [line for text in nginx_files(host) for line in re.findall(r'listen (.*);', text)]
        with_options = [line.split()[0] for line in listens if 'backlog' in line]
        assert len(with_options) == len(set(with_options))
        # the article's own port is this site's alone
        assert {line.split()[0] for line in listens if '.1:5000' not in line and ':1]:5000' not in line} == set(with_options)


def test_a_host_without_ipv6_listens_without_it():
    assert not any('[::' in text for text in [site(site_ipv6=False), site(site_ipv6=False, **ARTICLE), site(site_ipv6=False, **ACME)])
    assert '[::' not in render('nginx/nginx.conf.j2', nginx_ipv6=False, **ACME)


def test_other_ports_and_names():
    text = site(**OTHER)
    assert 'listen 8080;' in text and '127.0.0.1:' not in text
    assert 'set_real_ip_from 10.0.0.0/8;' in server(text, '8080')


NAMES = ['a', 'a-b', 'ab', 'http', 'tls', 'x' * 32]


@pytest.mark.parametrize('values', [OTHER, ACME, FILES], ids=['other', 'acme', 'files'])
def test_what_apps_define_for_all_of_nginx_has_their_name(values):
    defined = {}
    for name in NAMES:
        text = re.sub(r'#.*', '', site(**values | {'flask_app_name': name}))
        for pattern in [
            r'^upstream (\S+)', r'zone=([^:]+):', r'^map .* (\S+) \{', r'^geo .* (\S+) \{', r'^proxy_cache_path (\S+)', r'(\S+\.log)\b',
        ]:  # fmt: skip
            for found in re.findall(pattern, text, re.M):
                assert defined.setdefault(found, name) == name
        assert not re.findall(r'^(?!upstream|limit_|proxy_cache_path|map|geo|server|\}|\s|$).*', text, re.M)
        # what it uses is its own, nginx's or the machine's
        for variable in re.findall(r'\$(\w+__\w+)', text):
            assert variable.startswith(f'app_{name.replace("-", "_")}__')


def test_the_machines_file_has_room_for_the_longest_names():
    longest = max(re.findall(r'\$(\w+)', site(**FILES | {'flask_app_name': 'x' * 32})), key=len)
    size = int(re.search(r'variables_hash_bucket_size (\d+)', render('nginx/nginx.conf.j2')).group(1))
    assert len(longest) + 32 < size


@pytest.mark.parametrize(
    'values, host',
    [({}, 'localhost'), ({'flask_app_domains': ['*.b.example', 'a.example']}, 'www.b.example'), (ACME, 'a.example')],
)
def test_health_checks_ask_as_clients_do(values, host):
    assert templar_of(ROOT / 'roles/site', **values).template(trust('{{ __site_host }}')) == host


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
    templar = templar_of(ROOT / 'roles/site', flask_app_domains=['a.example'], __site_answer=answer)
    assert templar.template(trust('{{ __site_leads_to_https }}')) is healthy


def test_a_host_without_tls_has_none_of_it():
    assert not any(re.search(r'443|ssl|challenge|redirect', text) for text in nginx_files('default'))


def test_tls_has_a_site_for_its_names_and_one_for_others():
    machine = render('nginx/nginx.conf.j2', **ACME)
    others, text = server(machine, '443'), site(**ACME)
    assert 'listen 443 ssl http2 backlog=' in others and 'return 444;' in others and '/etc/ssl/flask-host/invalid.pem;' in others
    assert 'server_name a.example b.example;' in text and '/etc/ssl/flask-host/flaskrandom/site.pem;' in text
    assert machine.count('ssl_protocols TLSv1.2 TLSv1.3;') == 1 and 'ssl_protocols' not in text


def test_plain_http_serves_on_until_there_is_a_certificate():
    assert 'if (!-f /var/lib/flask-host/acme/flaskrandom/issued)' in site(**ACME)
    assert '!-f' not in site(**FILES)


def test_browsers_are_told_to_come_back_by_tls_only_if_they_trust_it():
    assert '"on " "max-age=31536000"' in site(**ACME)
    for values in [{**ACME, 'tls_mode': 'selfsigned'}, {**ACME, 'nginx_tls_hsts': 0}]:
        assert 'strict' not in site(**values).lower().replace('strict-origin', '')


def test_what_a_balancer_got_over_tls_is_not_sent_there_again():
    assert '"$server_port $app_flaskrandom__scheme $uri" $app_flaskrandom__to_tls' in site(**FILES)


def test_nothing_is_cached_unless_asked_for():
    assert not any('proxy_cache' in text for text in nginx_files('default'))


def test_a_cache_keeps_nothing_that_is_one_clients():
    text = site(**OTHER)
    assert 'keys_zone=cache-shop:' in text and 'proxy_cache cache-shop;' in text
    for directive in ['proxy_cache_bypass', 'proxy_no_cache']:
        assert f'{directive} $http_authorization $http_cookie;' in text
    assert 'proxy_ignore_headers' not in text


def test_the_articles_site_is_the_articles():
    text = re.sub(r'^#.*\n', '', site(**ARTICLE), flags=re.M)
    assert ' '.join(text.split()) == ' '.join("""server { listen 80 default_server; listen [::]:80 default_server; root /var/www/html;
        index index.html index.htm index.nginx-debian.html; server_name _;
        location / { proxy_pass http://127.0.0.1:5000/; } }""".split())  # noqa: SIM905


def site_files(folder, names=(), includes=(), **values):
    """The files of an app's site, path to text; the app has error pages with these names."""
    for path, files in [('app/error_pages', names), ('includes', includes)]:
        (folder / path).mkdir(parents=True)
        for name in files:
            (folder / path / name).write_text(f'{{{{ {name} }}}}\n')
    options = {'site_app_source': str(folder / 'app'), 'site_error_pages': 'error_pages', 'nginx_includes': str(folder / 'includes')}
    return templar_of(ROOT / 'roles/site', **options | values).template(trust('{{ __site_texts }}'))


def test_error_pages_and_includes_are_files_of_the_site(tmp_path):
    names = ['404.json', 'error.html', '404.html.orig', '99.html', 'x.json', 'style.css']
    files = site_files(tmp_path, names, ['b.conf', 'a.conf', 'README'])
    assert list(files) == ['sites-available/default', 'flask-host/flaskrandom/errors/404.json', 'flask-host/flaskrandom/errors/error.html',
                           'flask-host/flaskrandom/a.conf', 'flask-host/flaskrandom/b.conf']  # fmt: skip
    # as they are, with nothing worked out and with their last line break
    assert files['flask-host/flaskrandom/errors/404.json'] == '{{ 404.json }}\n'
    assert 'include /etc/nginx/flask-host/flaskrandom/*.conf;\n}\n' in files['sites-available/default']


@pytest.mark.parametrize(
    'names, kind',
    [(['error.json'], 'json'), (['404.html', '502.html'], 'html'), (['404.html', 'error.json'], '$error_type'), ([], None)],
)
def test_one_kind_of_error_pages_serves_all_clients(tmp_path, names, kind):
    text = site_files(tmp_path, names, flask_app_domains=['a.example'])['sites-available/flask-flaskrandom.conf']
    assert re.findall(r'try_files (.*);', text) == ([f'/$status.{kind} /error.{kind} @nginx-error'] if kind else [])
    assert text.count('return 200 $error_page;') == 1


def test_the_articles_site_has_error_pages_of_nobody(tmp_path):
    assert list(site_files(tmp_path, ['error.json'], **ARTICLE)) == ['sites-available/default']


@pytest.mark.parametrize('host', sorted(HOSTS.keys() - {'article'}))
def test_headers_come_with_errors_too(host):
    text = site(**HOSTS[host])
    headers = re.findall(r'add_header (X-\S+) ', text)
    # the app's answers by each location, static files, its own error pages, nginx's
    assert len(set(headers)) == 2 and sorted(headers) == sorted([*set(headers)] * (text.count('proxy_pass') + text.count('alias') + 2))


def locations(text):
    """The locations of a site that are neither named nor nginx's own pages, by their words; the value is their text."""
    found = re.findall(r'^\tlocation ((?:[=~^]+ )?/\S*) \{\n(.*?)^\t\}', text, re.M | re.S)
    return {words: inside for words, inside in found if '.' not in words}


def test_an_app_below_a_path_has_all_its_locations_there():
    text = site(**BELOW)
    found = locations(text)
    assert list(found) == ['^~ /shop/static/', '^~ /shop/files/', '/shop/events', '/shop/', '= /shop', '/']
    assert 'alias /srv/flaskrandom/static/static/;' in found['^~ /shop/static/']
    assert 'internal;' in found['^~ /shop/files/'] and found['/'].split() == ['return', '404;']
    assert '$app_waits' in found['/shop/'] and 'proxy_cache ' in found['/shop/']
    assert text.count('proxy_set_header X-Forwarded-Prefix "/shop";') == text.count('proxy_pass')


def test_an_app_of_a_whole_site_gets_no_prefix_of_a_client():
    text = site()
    assert list(locations(text)) == ['/'] and 'proxy_cookie_path' not in text
    assert text.count('proxy_set_header X-Forwarded-Prefix "";') == text.count('proxy_pass')


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


@pytest.mark.parametrize('processors, memory, workers', [(2, 24105, 5), (8, 512, 4), (1, 200, 2), (128, 900000, 64)])
def test_workers_by_processors_and_memory(processors, memory, workers):
    facts = {'ipv6': True, 'processors': processors, 'memory': memory}
    text = render('supervisor/program.conf.j2', **ARTICLE, flask_app_workers='auto', preflight_facts=facts)
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
    service = render('flask-app/next.service.j2', **OTHER)
    assert 'ExecStart=/usr/local/sbin/shop-release serve %i\n' in service
    assert 'TimeoutStopSec=98\n' in service
    assert '[Install]' not in service


def test_the_sockets_folder():
    text = render('flask-app/tmpfiles.conf.j2')
    assert 'd /run/flaskrandom 0755 root root\n' in text and 'd /run/flaskrandom/app 0750 flaskrandom www-data\n' in text
    assert 'L /run/flaskrandom/live.sock - - - - app/flaskrandom.sock\n' in text
    assert 'live.sock' not in render('flask-app/tmpfiles.conf.j2', **ARTICLE)


@pytest.mark.parametrize('host', HOSTS)
def test_the_release_tools_settings(host, tmp_path):
    name = HOSTS[host].get('flask_app_name', 'flaskrandom')
    (tmp_path / f'{name}.json').write_text(render('flask-app/deploy.json.j2', **HOSTS[host]))
    config = load(name, tmp_path)
    assert str(config.root) == f'/srv/{name}' and str(config.current) == f'/srv/{name}/current'
    assert config.user == HOSTS[host].get('flask_app_user', name)
    assert config.keep == HOSTS[host].get('flask_app_keep_releases', 5)
    assert config.uses_socket == (host != 'article')
    assert config.drain > 0 and config.settle > 0 and config.command_timeout > 0
    assert config.redirect_ok is True or config.redirect_ok is False


def test_the_app_has_the_same_limits_as_candidate_and_under_supervisor():
    supervisor = (ROOT / 'roles/supervisor/files/hardening.conf').read_text()
    limits = set(supervisor.partition('[Service]\n')[2].splitlines())
    assert limits and limits <= set(render('flask-app/next.service.j2').splitlines())
    assert not limits & set(render('flask-app/next.service.j2', supervisor_hardening=False).splitlines())


@pytest.mark.parametrize(
    ('host', 'wanted', 'others', 'build'),
    [
        ('3.11', '3.11', {}, ''),
        ('3.11', '3.12', {}, '3.12'),
        ('3.11', '3.11.4', {}, '3.11.4'),
        ('3.11', '', {}, ''),
        ('3.6', '3.6', {'python_venv_python': 'python3.8'}, '3.6'),
    ],
)
def test_a_python_that_the_host_has_is_not_downloaded(host, wanted, others, build):
    templar = templar_of(ROOT / 'roles/python-venv', flask_app_python=wanted, preflight_facts={'python': host}, **others)
    assert templar.template(trust('{{ python_venv_standalone }}')) == build
