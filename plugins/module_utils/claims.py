"""Claims: what each app of a machine takes. Used on hosts and on the controller, so Python 3.6 must do.

A claim is a dictionary: `name`, `account` (texts), `paths`, `domains`, `firewall`, `packages` (lists of texts), `default_site`
(bool), `ports` (variable to TCP port), `kernel` (sysctl to value) and three dictionaries of machine settings by variable: `any`
(true for the machine if true for any app), `largest` (numbers) and `equal` (must be the same for all apps).
"""

import json
import re

APP_NAME = re.compile(r'[a-z][a-z0-9]*([-_][a-z0-9]+)*')
FIELDS = {
    'name': str, 'account': str, 'paths': list, 'domains': list, 'default_site': bool, 'ports': dict, 'firewall': list,
    'any': dict, 'largest': dict, 'equal': dict, 'kernel': dict, 'packages': list,
}
OPTIONAL = {'packages': []}  # claims of earlier runs lack them


def normalized(name):
    """The name of an app as it is compared: names that differ only in `-` and `_` are the same name."""
    return name.replace('_', '-')


def without_passwords(text):
    """A text in which nobody's credentials can be read: user names and passwords in URLs become ***."""
    return re.sub(r'//[^/\s"\']*@', '//***@', text)


def shown(value):
    """A value as a message shows it, in YAML's notation and without passwords."""
    return without_passwords(json.dumps(value, ensure_ascii=False, sort_keys=True))


def number(value):
    """A whole number, also where a template made a text of it; any other value as it is."""
    return int(value) if isinstance(value, str) and re.fullmatch(r'-?\d+', value) else value


def is_number(value):
    """Whether a value is a number; true and false are none."""
    return isinstance(number(value), (int, float)) and not isinstance(value, bool)


def problem(claim):
    """What is wrong with the form of a claim, as a text without the full stop; '' if it is right."""
    if not isinstance(claim, dict):
        return 'it is not a dictionary'
    for field, kind in sorted(FIELDS.items()):
        if not isinstance(claim.get(field, OPTIONAL.get(field)), kind):
            return f'{field} is missing or of a wrong type'
    if not APP_NAME.fullmatch(claim['name']):
        return 'name is not an app name, got {}'.format(shown(claim['name']))
    if not all(is_number(value) for field in ('ports', 'largest') for value in claim[field].values()):
        return 'ports and largest must have numbers'
    return ''


def overlap(one, other):
    """Whether two paths are the same or one lies in the other."""
    one, other = (path.rstrip('/') + '/' for path in (one, other))
    return one.startswith(other) or other.startswith(one)


def unequal(claim, other):
    """The machine settings in which two claims differ that must be equal.

    Returns:
        A list of (field, key): `equal` and a variable, or `kernel` and a sysctl, of which numbers may differ. What only one of
        the two claims has does not differ.
    """
    settings = [('equal', key) for key in sorted(set(claim['equal']) & set(other['equal']))]
    for key in sorted(set(claim['kernel']) & set(other['kernel'])):
        if not (is_number(claim['kernel'][key]) and is_number(other['kernel'][key])):
            settings.append(('kernel', key))
    return [(field, key) for field, key in settings if number(claim[field][key]) != number(other[field][key])]


def collisions(claim, others, replace=False):
    """What keeps an app from having what it claims.

    Args:
        claim: the app's claim.
        others: the claims of the machine's other apps; one of the same name is this app's own and does not count.
        replace: whether this app's values of machine settings are given to the others, so that differences do not count.

    Returns:
        A text for each collision: the variable, the value, the other app and what to do.
    """
    found = []
    for other in sorted((other for other in others if other['name'] != claim['name']), key=lambda other: other['name']):
        app = other['name']

        def taken(variable, value, mend, app=app):
            found.append(f'{variable}: {value} belongs to the app {app} on this machine. {mend}')

        if normalized(app) == normalized(claim['name']):
            taken('flask_app_name', claim['name'], f'Names must differ in more than - and _. Choose another, or remove {app} first.')
        for domain in sorted(set(claim['domains']) & set(other['domains'])):
            taken('flask_app_domains', domain, f'Take it out here, or remove it from {app} first. nginx_path_prefix cannot share a domain.')
        if claim['default_site'] and other['default_site']:
            taken('flask_app_domains', '[], the default site,', f'Set domains here, or for {app} first.')
        for variable, port in sorted(claim['ports'].items()):
            for theirs, used in sorted(other['ports'].items()):
                if number(port) == number(used):
                    taken(variable, port, f'Choose another port here, or change {theirs} of {app} first.')
        if claim['account'] == other['account']:
            taken('flask_app_user', claim['account'], f'Choose another account here, or change it for {app} first.')
        for path in claim['paths']:
            for theirs in other['paths']:
                if overlap(path, theirs):
                    place = path if path.rstrip('/') == theirs.rstrip('/') else f'{path} (for {theirs})'
                    taken('flask_app_root or flask_app_path', place, f'Choose another folder here, or change it for {app} first.')
        for field, key in [] if replace else unequal(claim, other):
            found.append(
                '{} must be the same for all apps of a machine: {} here, {} for {}. Set the same in both, or deploy with '
                "preflight_replace=true (make: REPLACE=1), which gives this run's value to all apps.".format(
                    key if field == 'equal' else 'kernel_settings: ' + key, shown(claim[field][key]), shown(other[field][key]), app
                )
            )
    return found


def replaced(claim, others):
    """The claims of other apps with this claim's values of the settings that must be equal; see `collisions`."""
    found = []
    for other in others:
        other = dict(other, equal=dict(other['equal']), kernel=dict(other['kernel']))
        for field, key in unequal(claim, other):
            other[field][key] = claim[field][key]
        found.append(other)
    return found


def merge(claims):
    """What the machine's files are built from: the claims of all its apps, in one.

    Args:
        claims: the claims of all apps of the machine, without collisions.

    Returns:
        `apps` (names), `default_site` (the app that has it, or ''), `firewall`, `ports`, `packages` (each sorted, without repetition),
        `kernel` (the largest where they are numbers), and each variable of `any`, `largest` and `equal`.
    """
    merged, kernel = {}, {}
    for claim in claims:
        merged.update(claim['equal'])
        for key, value in claim['any'].items():
            merged[key] = merged.get(key, False) or value
        for key, value in claim['largest'].items():
            merged[key] = max(number(merged.get(key, value)), number(value))
        for key, value in claim['kernel'].items():
            both = [number(kernel.get(key, value)), number(value)]
            kernel[key] = max(both) if all(is_number(one) for one in both) else both[1]
    merged.update(
        apps=sorted(claim['name'] for claim in claims),
        default_site=next((claim['name'] for claim in claims if claim['default_site']), ''),
        firewall=sorted({port for claim in claims for port in claim['firewall']}),
        ports=sorted({number(port) for claim in claims for port in claim['ports'].values()}),
        packages=sorted({package for claim in claims for package in claim.get('packages', [])}),
        kernel=kernel,
    )
    return merged
