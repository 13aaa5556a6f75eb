"""Resolves an app's packages for a host: those without a lock, and gunicorn where a lock does not have it."""

from __future__ import annotations

import contextlib
import re

from . import uv
from .errors import LockError
from .inputs import Input, lines, name_of
from .job import Job
from .wheels import without_wheel


def resolve(job: Job, found: Input, previous: str = '') -> list[str]:
    """The lines of a lock for what a file asks for, with gunicorn.

    Packages of which the index has a wheel for the host are preferred to newer ones that would have to be built.

    Args:
        found: the app's file.
        previous: a lock whose versions are kept where they fit.

    Raises:
        LockError: no versions fit together or fit the host's Python.
    """
    inputs = [str(found.path.resolve()), '-']
    keep = '' if job.upgrade else previous
    try:
        try:
            text = uv.compile_lock(job, '--only-binary=:all:', *inputs, stdin='gunicorn\n', previous=keep)
        except LockError:
            text = uv.compile_lock(job, *inputs, stdin='gunicorn\n', previous=keep)
            sources = {package['name'] for package in without_wheel(job, text)}
            others = {name_of(line) for line in lines(text)} - sources - {''}
            binary = [f'--only-binary={name}' for name in sorted(others)]
            # else the newest versions, some of which have to be built
            with contextlib.suppress(LockError):
                text = uv.compile_lock(job, *binary, *inputs, stdin='gunicorn\n', previous=keep)
    except LockError as error:
        text = str(error)
        raise LockError(f"The app's packages ({found.path}) cannot be installed on Python {job.python}: {text}{hint(text)}") from error
    return lines(text)


def hint(text: str) -> str:
    """What to do about uv's error, '' where its text says enough."""
    if re.search(r"use_2to3 is invalid|cannot import name 'Feature'", text):
        return ' That version is too old to be built with the setuptools of today: name a newer one.'
    if re.search(r'Requires-Python|requires-python|Python[>=]', text):
        return ' For another Python, set flask_app_python, such as "3.12".'
    return ''


def with_gunicorn(job: Job, locked: list[str]) -> list[str]:
    """A lock's lines with those of gunicorn, whose dependencies have the lock's versions.

    Raises:
        LockError: no gunicorn fits the lock.
    """
    if any(name_of(line) == 'gunicorn' for line in locked):
        return locked
    constraints = job.scratch / 'constraints.txt'
    constraints.write_text('\n'.join(line for line in locked if '@' not in line.split('--hash')[0]) + '\n', encoding='utf-8')
    try:
        added = lines(uv.compile_lock(job, '--only-binary=:all:', f'--constraints={constraints}', '-', stdin='gunicorn\n'))
    except LockError as error:
        raise LockError(f'gunicorn, which serves the app, does not fit the locked packages: {error}') from error
    known = {name_of(line) for line in locked}
    return locked + [line for line in added if name_of(line) not in known]
