"""The article's chapter 4: nginx."""

import json

import pytest
from conftest import REQUEST

# The article's server block on another port; the placeholders are for the lines that break it.
SITE = """
cat > /tmp/site.conf <<'CONF'
pid /tmp/site.pid;
error_log /tmp/site.log;
events {}
http {
  access_log off;
  server {
    listen 127.0.0.1:8123;
    root /var/www/html;
    index index.html index.htm index.php index.nginx-debian.html;
    location / {
      proxy_pass http://127.0.0.1:5000/;
      %s
    }
    %s
  }
}
CONF
"""
ASK = """
sudo nginx -c /tmp/site.conf && trap 'sudo nginx -c /tmp/site.conf -s stop' EXIT
python3 - <<'PYTHON'
import urllib.error, urllib.request
try:
    url, kind = 'http://127.0.0.1:8123/getrandomstr', {'Content-Type': 'application/json'}
    answer = urllib.request.urlopen(urllib.request.Request(url, b'{}', kind))
except urllib.error.HTTPError as error:
    answer = error
print(answer.code, answer.headers['Content-Type'])
PYTHON
"""


def test_s22_nginx_is_installed(host):
    assert host.package('nginx').is_installed
    assert host.service('nginx').is_running
    assert host.service('nginx').is_enabled


def test_s23_the_site_proxies_to_the_app(bash, expected):
    site = bash('cat /etc/nginx/sites-available/default')
    assert f'proxy_pass {expected.proxy_pass};' in site
    assert 'listen 80 default_server' in site
    assert 'listen [::]:80 default_server' in site or not bash('ls /proc/net/if_inet6', fails=True).startswith('/proc')
    assert bash('readlink /etc/nginx/sites-enabled/default').strip() == '/etc/nginx/sites-available/default'


def test_s23_the_articles_try_files_hides_the_app(bash):
    assert bash(SITE % ('', '') + ASK).split()[:2] == ['400', 'application/json']
    assert bash(SITE % ('try_files $uri $uri/ =404;', '') + ASK).split()[:2] == ['404', 'text/html']


def test_s23_the_php_of_the_articles_php_block_is_not_installed(host):
    assert not host.file('/var/run/php/php7.2-fpm.sock').exists


def test_s24_nginx_reloads(bash, machine):
    bash('sudo service nginx reload')
    assert machine.ask().status == 200


def test_s25_both_requests_work_without_a_port(machine):
    assert machine.ask().status == 200
    assert machine.ask('/getrandomstr', REQUEST).json()['datalen'] == 3


@pytest.mark.parametrize('port', [80, 5000])
def test_s25_both_requests_work_on_the_host_itself(bash, port):
    answers = bash(rf"""python3 - <<'PYTHON'
import urllib.request as web
url = 'http://127.0.0.1:{port}'
print(web.urlopen(url).read().decode())
post = web.Request(url + '/getrandomstr', {json.dumps(REQUEST).encode()}, {{'Content-Type': 'application/json'}})
print(web.urlopen(post).read().decode())
PYTHON""")
    hello, strings = answers.splitlines()[:2]
    assert hello == '<h1>Hello World! From Flask!</h1>'
    assert json.loads(strings)['datalen'] == 3
