"""What others had before, and what nginx had itself, is there after the removal."""

testinfra_hosts = ['ansible://shared']


def test_the_program_of_others_runs(bash):
    assert bash('supervisorctl status').split()[:2] == ['echo', 'RUNNING']


def test_nginx_has_its_own_site_again(bash):
    page = bash('python3 -c "import urllib.request as u; print(u.urlopen(\'http://localhost/\').read().decode())"')
    assert 'Welcome to nginx' in page


def test_the_packages_that_were_there_stay(host):
    assert all(host.package(name).is_installed for name in ('nginx', 'supervisor'))
