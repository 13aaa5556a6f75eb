"""The items of the CIS benchmark for nginx that no other test covers; docs/nginx.md lists them all."""

import pytest

# as `nginx -T` prints them
SETTINGS = [
    'user www-data;',
    'server_tokens off;',
    'client_header_timeout 15s;',
    'client_body_timeout 15s;',
    'send_timeout 15s;',
    'keepalive_timeout 65s;',
    'client_max_body_size 16m;',
    'large_client_header_buffers 4 8k;',
    'limit_conn connections-flaskrandom 4096;',
    'limit_req zone=requests-flaskrandom burst=20000 nodelay;',
]


@pytest.fixture(scope='module')
def settings(host):
    """Returns the lines of nginx's configuration."""
    return [' '.join(line.split()) for line in host.check_output('sudo nginx -T 2>/dev/null').splitlines()]


@pytest.mark.parametrize('setting', SETTINGS)
def test_nginx_has_the_setting(settings, setting):
    assert setting in settings


def test_directory_listings_are_off(settings):
    assert not [line for line in settings if line.startswith('autoindex on')]


def test_nginx_workers_run_as_an_account_without_login(host):
    assert host.user('www-data').shell == '/usr/sbin/nologin'
    assert host.check_output('sudo passwd --status www-data').split()[1] == 'L'
    accounts = host.check_output('ps -C nginx -o user=').split()
    # the master alone is root
    assert accounts.count('root') == 1 and set(accounts) == {'root', 'www-data'}


def test_only_root_writes_nginxs_files(host):
    assert host.check_output('sudo find -L /etc/nginx \\( -not -user root -o -perm /022 \\)') == ''


def test_logs_are_private_and_rotated(host):
    assert host.check_output('sudo find /var/log/nginx -type f -perm /007') == ''
    assert host.file('/etc/logrotate.d/nginx').exists


def test_the_packages_default_page_is_not_served(send):
    for path in (b'/index.nginx-debian.html', b'/index.html', b'/nginx_status'):
        status, _, body = send(b'GET ' + path + b' HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n')
        assert status == 404 and 'nginx' not in body
