"""The facts of status.py as text. `make status` shows those of several hosts with it."""


def size(number):
    """Bytes as a short text, such as `12.3 MB`."""
    units = ['TB', 'GB', 'MB', 'kB', 'B']
    unit = units.pop()
    while number >= 1000 and units:
        number, unit = number / 1000, units.pop()
    return '{:.0f} {}'.format(number, unit) if number >= 100 or unit == 'B' else '{:.1f} {}'.format(number, unit)


def duration(seconds):
    """Seconds as a short text, such as `3 d 4 h` or `5 min`."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return '{} d {} h'.format(days, hours % 24)
    if hours:
        return '{} h {} min'.format(hours, minutes % 60)
    return '{} min'.format(minutes) if minutes else '{} s'.format(seconds)


def named(release):
    """A release with its revision."""
    return ' '.join(filter(None, [release['id'], release.get('revision')]))


def program(facts):
    """What supervisor runs, in one line."""
    parts = [facts['state'] if facts['state'] in ('running', 'starting') else facts['state'].upper()]
    if 'pid' in facts:
        parts += ['pid {}'.format(facts['pid']), 'up ' + duration(facts['uptime'])]
        number = facts['processes']
        parts.append('{} in {} process{}'.format(size(facts['memory']), number, '' if number == 1 else 'es'))
    return ', '.join(parts + list(filter(None, [facts.get('answer'), facts.get('why')])))


def release(facts):
    return [('release', named(facts) + (', since {}'.format(facts['since']) if facts.get('since') else ''))]


def releases(facts):
    return [('others', ', '.join(map(named, facts)))] if facts else []


def web(facts):
    return [('web', program(facts))]


def processes(facts):
    several = len({one['release'] for one in facts}) > 1
    return [(one['name'], program(one) + (' of ' + one['release'] if several else '')) for one in facts]


def jobs(facts):
    return [('job.' + one['name'], ', '.join(filter(None, [one['result'], *times(one)]))) for one in facts]


def services(facts):
    lines = []
    for one in facts:
        state = one['state'] if one['state'] == 'active' else one['state'].upper()
        lines.append((one['name'], '{}, {}'.format(state, one['unit'])))
    return lines


def times(job):
    """When a job ran and will run."""
    return ['{} {}'.format(name, job[name]) for name in ('last', 'next') if job[name]] or ([] if job['result'] else ['not run yet'])


def certificate(facts):
    return [('certificate', '{} days left, until {}'.format(facts['days'], facts['until']))]


def disk(facts):
    sizes = ['{} {}{}'.format(n, '' if one['complete'] else 'at least ', size(one['bytes'])) for n, one in facts['folders'].items()]
    return [('disk', ', '.join(sizes + ['{} of {} free'.format(size(facts['free']), size(facts['total']))]))]


def memory(facts):
    return [('memory', '{} of {} available'.format(size(facts['available']), size(facts['total'])))]


def pending_changes(facts):
    return [] if facts else [('drift', 'none of the release, its program and its processes; `make drift` looks at the rest too')]


SECTIONS = (release, releases, web, processes, jobs, services, certificate, disk, memory, pending_changes)


def lines(facts):
    """The facts as lines: problems first."""
    rows = [row for section in SECTIONS if facts.get(section.__name__) is not None for row in section(facts[section.__name__])]
    width = max([len(name) for name, _ in rows] + [0])
    head = ['problems:'] + ['- ' + text for text in facts['problems']] if facts['problems'] else []
    return head + ['{:{}}  {}'.format(name, width, text) for name, text in rows]
