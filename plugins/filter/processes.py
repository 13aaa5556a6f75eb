"""Filters for what runs of an app beside gunicorn: flask_app_processes, the Procfile, and flask_app_jobs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ansible.plugins.test.core import vault_encrypted

DEFAULTS = {
    'count': 1,
    'stop_signal': 'TERM',
    'stop_timeout': 30,
    'settle_time': 5,
    'start_retries': 10,
    'address_space': '',
    'environment': {},
    'single': False,
    'overlap': False,
    'stop_while_busy': False,
}
RANGES = {'count': (1, 256), 'stop_timeout': (1, 86400), 'settle_time': (0, 3600), 'start_retries': (0, 1000)}
SIGNALS = ('TERM', 'HUP', 'INT', 'QUIT', 'KILL', 'USR1', 'USR2')
UNITS = {'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}
JOB_DEFAULTS = {'schedule': '', 'timeout': 3600, 'catch_up': False, 'environment': {}}
CRON = re.compile(r'(@\w+|(\S+ +){4}\S+)')
NAME = re.compile(r'[A-Za-z0-9]([A-Za-z0-9_-]{0,30}[A-Za-z0-9])?')
VARIABLE = re.compile(r'[A-Za-z_][A-Za-z0-9_]*')
# with more than one command, the shell stays between supervisor and the process, and keeps its signals to itself
SEVERAL = re.compile(r'[;&|\n]|(?<!\$)\(')
# between two jobs, a worker of RQ may lose the one that it is taking
RQ = re.compile(r'\b(rq\s+worker|rqworker)\b')
EXEC = re.compile(r'(^|[;&|\n(])\s*exec\s')


def unquoted(command: str) -> str:
    """A shell command without what is quoted, escaped, or a redirection such as `2>&1`."""
    return re.sub(r"""'[^']*'|"(\\.|[^"\\])*"|\\.|[0-9]*[<>]+&[0-9-]|&>""", '', command, flags=re.S)


def executed(command: str) -> str:
    """A command for `sh -c` whose process is the shell's own, so that it gets supervisor's signals."""
    command = command.strip()
    if EXEC.search(unquoted(command)):
        return command
    return ('exec env ' if re.match(r'[A-Za-z_][A-Za-z0-9_]*=', command) else 'exec ') + command


def is_number(value: object) -> bool:
    """Whether a value is a whole number, also as the text that a template makes of one."""
    return not isinstance(value, bool) and re.fullmatch('[0-9]+', str(value)) is not None


def environment_problems(environment: object) -> Iterator[str]:
    """What is wrong with the environment of a process or job."""
    if not isinstance(environment, Mapping):
        yield f"environment must be names with values, got '{environment}'"
        return
    for name, value in environment.items():
        if not VARIABLE.fullmatch(str(name)):
            yield f"environment: names must be letters, digits and `_`, the first no digit, got '{name}'"
        if vault_encrypted(value) or not isinstance(value, (str, int, float)) or isinstance(value, bool):
            yield f"environment: values must be texts or numbers, and secrets are in flask_app_secrets, got another type for '{name}'"


def problems(options: Mapping) -> Iterator[str]:
    """What is wrong with one process, each as a sentence about a key of it."""
    for key in sorted(set(options) - set(DEFAULTS) - {'command'}, key=str):
        yield f"has no setting '{key}'; they are command, {', '.join(DEFAULTS)}"
    command = options.get('command')
    if not isinstance(command, str) or not command.strip():
        yield f"needs a command, such as 'celery -A shop worker', got '{command}'"
    elif SEVERAL.search(unquoted(command.strip())) and not EXEC.search(unquoted(command)):
        yield (
            f"command must put `exec` before its last command, got '{command}': "
            'supervisor signals the shell, which would end and leave the process behind'
        )
    for key, (least, most) in RANGES.items():
        value = options.get(key, DEFAULTS[key])
        if not is_number(value) or not least <= int(value) <= most:
            yield f"{key} must be {least} to {most}, got '{value}'"
    for key in ('single', 'overlap', 'stop_while_busy'):
        if not isinstance(options.get(key, False), bool):
            yield f"{key} must be true or false, got '{options[key]}'"
    signal = options.get('stop_signal', 'TERM')
    if signal not in SIGNALS:
        yield f"stop_signal must be one of {', '.join(SIGNALS)}, got '{signal}'"
    size = options.get('address_space', '')
    if size and not re.fullmatch('[1-9][0-9]*[KMG]', str(size)):
        yield f"address_space must be a size such as 512M or 2G, got '{size}'"
    if options.get('single') is True and (options.get('overlap') is True or str(options.get('count', 1)) != '1'):
        yield f"single means one process at a time, got it with count {options.get('count', 1)} and overlap {options.get('overlap', False)}"
    yield from environment_problems(options.get('environment', {}))


def entry_errors(variable: str, entries: Mapping, needs: str, problems_of: Callable[[Mapping], Iterator[str]]) -> list[str]:
    """What is wrong with a dictionary of processes or jobs.

    Args:
        needs: what each of them must have.
        problems_of: yields what is wrong with one.
    """
    found = []
    for name, options in entries.items():
        if not NAME.fullmatch(str(name)):
            found.append(f"{variable}: names must be up to 32 letters, digits, `-` and `_`, got '{name}'.")
        elif not isinstance(options, Mapping):
            found.append(f"{variable}: {name} must have {needs}, got '{options}'.")
        else:
            found += [f'{variable}: {name}: {problem}.' for problem in problems_of(options)]
    return found


def process_errors(processes: Mapping) -> list[str]:
    """What is wrong with flask_app_processes."""
    variable = 'flask_app_processes'
    taken = [name for name in ('web', 'release') if name in processes]
    found = [f"{variable}: '{name}' is no process beside gunicorn; see flask_app_wsgi and flask_app_release_commands." for name in taken]
    return found + entry_errors(variable, {n: o for n, o in processes.items() if n not in taken}, 'a command', problems)


def job_problems(options: Mapping) -> Iterator[str]:
    """What is wrong with one job, each as a sentence about a key of it."""
    for key in sorted(set(options) - set(JOB_DEFAULTS) - {'command'}, key=str):
        yield f"has no setting '{key}'; they are command, {', '.join(JOB_DEFAULTS)}"
    command, schedule, timeout = options.get('command'), options.get('schedule'), options.get('timeout', 3600)
    if not isinstance(command, str) or not command.strip():
        yield f"needs a command, such as 'flask cleanup', got '{command}'"
    if not isinstance(schedule, str) or not re.fullmatch(r'[A-Za-z0-9*:,./~_+ -]+', schedule):
        yield f"needs a schedule of systemd's calendar, such as '*-*-* 03:00:00' or 'hourly', got '{schedule}'"
    elif CRON.fullmatch(schedule.strip()):
        yield f"schedule must be systemd's calendar, such as '*-*-* 03:00:00' or 'Mon *-*-* 06:30:00', got the line of cron '{schedule}'"
    if not is_number(timeout) or not 1 <= int(timeout) <= 604800:
        yield f"timeout must be 1 to 604800 seconds, got '{timeout}'"
    if not isinstance(options.get('catch_up', False), bool):
        yield f"catch_up must be true or false, got '{options['catch_up']}'"
    yield from environment_problems(options.get('environment', {}))


def job_errors(jobs: Mapping) -> list[str]:
    """What is wrong with flask_app_jobs."""
    return entry_errors('flask_app_jobs', jobs, 'a command and a schedule', job_problems)


def normalized_jobs(jobs: Mapping) -> dict:
    """flask_app_jobs with all settings, as the release tool reads them."""
    made = {str(name): {**JOB_DEFAULTS, **options} for name, options in jobs.items()}
    for values in made.values():
        values['timeout'] = int(values['timeout'])
        values['environment'] = {str(key): str(value) for key, value in values['environment'].items()}
    return made


def normalized(processes: Mapping, settle_time: float) -> dict:
    """flask_app_processes with all settings, as the release tool reads them.

    Args:
        settle_time: flask_app_settle_time, in seconds; a process without its own stays up at least as long.
    """
    made = {}
    for name, options in processes.items():
        values = {**DEFAULTS, 'settle_time': max(DEFAULTS['settle_time'], math.ceil(float(settle_time)))}
        values |= {'stop_while_busy': RQ.search(options['command']) is not None, **options}
        values.update({key: int(values[key]) for key in RANGES})
        size = str(values['address_space'])
        values['address_space'] = int(size[:-1]) * UNITS[size[-1]] if size else 0
        values['command'] = executed(values['command'])
        values['environment'] = {str(key): str(value) for key, value in values['environment'].items()}
        made[str(name)] = values
    return made


def procfile(folder: str) -> dict[str, str]:
    """The commands of an app's Procfile by the names of their processes; {} if it has none."""
    try:
        text = (Path(folder) / 'Procfile').read_text(encoding='utf-8', errors='replace')
    except OSError:
        return {}
    return dict(re.findall(r'(?m)^([A-Za-z0-9_-]+)[ \t]*:[ \t]*(\S.*?)[ \t\r]*$', text))


def procfile_processes(folder: str) -> dict[str, dict]:
    """The processes of an app's Procfile but for `web`, which is gunicorn, and `release`, which is none."""
    return {name: {'command': command} for name, command in procfile(folder).items() if name not in ('web', 'release')}


def procfile_release(folder: str) -> list[str]:
    """The release command of an app's Procfile, if it has one."""
    return [command for name, command in procfile(folder).items() if name == 'release']


class FilterModule:
    """The filters, for Ansible."""

    def filters(self) -> dict:
        """The filters by name."""
        return {
            'process_errors': process_errors,
            'processes': normalized,
            'job_errors': job_errors,
            'jobs': normalized_jobs,
            'procfile_processes': procfile_processes,
            'procfile_release': procfile_release,
        }
