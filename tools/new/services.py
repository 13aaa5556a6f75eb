"""The servers that an app keeps its data in: those that this project makes, and those that it does not."""

from __future__ import annotations

from .settings import Setting

# what flask_app_services can have: the variable with its address, its name, and the packages that connect to it by that address
SERVICES = {
    'postgresql': ('DATABASE_URL', 'PostgreSQL', {'psycopg2', 'psycopg2-binary', 'psycopg', 'psycopg-binary', 'psycopg-c'}),
    'redis': ('REDIS_URL', 'Redis', {'redis', 'flask-redis', 'rq', 'flask-rq2'}),
}
# clients of others, or which need an address of another form
OTHERS = {
    'asyncpg': 'PostgreSQL', 'pg8000': 'PostgreSQL', 'pymysql': 'MySQL', 'mysqlclient': 'MySQL', 'pymongo': 'MongoDB',
    'elasticsearch': 'Elasticsearch', 'pylibmc': 'memcached',
}  # fmt: skip


def listed(names: list[str]) -> str:
    """Names as a sentence has them."""
    return ' and '.join(filter(None, [', '.join(names[:-1]), *names[-1:]]))


def find(packages: set[str], settings: dict[str, Setting]) -> tuple[list[str], str, list[str]]:
    """The services that are made for an app: it has a client for them, and reads their address from the environment.

    Args:
        packages: names of all packages.
        settings: the environment variables that the app reads.

    Returns:
        flask_app_services, why, and what the user should look at.
    """
    found: list[str] = []
    why: list[str] = []
    unsure: list[str] = []
    for service, (variable, name, clients) in SERVICES.items():
        client = next((client for client in sorted(clients) if client in packages), '')
        if client and variable in settings:
            found.append(service)
            why.append(f'{settings[variable].where} reads {variable}, and {client} is among the packages')
        elif client:
            unsure.append(
                f'The app has a client for {name} ({client}) and reads no {variable}: give it the address of a server, or set '
                f'flask_app_services: [{service}] and see docs/data.md for the address of that one.'
            )
    if 'postgresql' in found and 'sqlalchemy' in packages and not {'psycopg2', 'psycopg2-binary'} & packages:
        unsure.append('SQLAlchemy uses psycopg if DATABASE_URL begins with postgresql+psycopg://, but it begins with postgresql://.')
    if 'redis' in found and 'celery' in packages:
        unsure.append('REDIS_URL is for redis-py and RQ. Celery needs another form of it (docs/data.md); give it one, if it uses Redis.')
    servers = sorted({OTHERS[name] for name in packages if name in OTHERS} - {SERVICES[service][1] for service in found})
    if servers:
        unsure.append(
            f'The app has a client for {listed(servers)}, which this project does not set up: give it the address of a server.'
        )
    return found, '; '.join(why), unsure
