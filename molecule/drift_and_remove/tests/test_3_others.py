"""The removal leaves the site, the program and the packages that were there before."""

testinfra_hosts = ['ansible://shared']


def test_the_other_program_runs(root):
    assert root('supervisorctl status').split()[:2] == ['echo', 'RUNNING']


def test_nginx_has_its_default_site_again(root):
    page = root('python3 -c "import urllib.request as u; print(u.urlopen(\'http://localhost/\').read().decode())"')
    assert 'Welcome to nginx' in page


def test_packages_from_before_stay(host):
    assert all(host.package(name).is_installed for name in ('nginx', 'supervisor'))
