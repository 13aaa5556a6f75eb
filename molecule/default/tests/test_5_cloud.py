"""The article's chapter 5: a cloud server's ports."""


def test_s26_only_expected_ports_listen_on_public_addresses(bash, expected):
    listening = set()
    for line in bash('ss --no-header --listening --tcp --numeric').splitlines():
        address, _, port = line.split()[3].rpartition(':')
        if not address.startswith('127.') and address != '[::1]':
            listening.add(int(port))
    assert listening == expected.open_ports
