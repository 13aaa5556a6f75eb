"""Folders, environments and secrets of the releases. Root owns them; the app can only read them."""

import contextlib
import json
import os
from pathlib import Path

from .errors import Failure
from .system import abandoned, remove

MANIFEST = '.manifest.json'


def resolve_parent(path):
    """A path with links in its parent folders resolved; it may be a link itself."""
    return path.parent.resolve() / path.name


class Releases:
    """The releases of an app on this host."""

    def __init__(self, config):
        self.config = config

    def folder(self, release):
        """The folder of a release."""
        return self.config.releases / release

    def settings(self, release):
        """The contents of the release's .release.json.

        Raises:
            Failure: there is no complete release of this id.
        """
        try:
            return json.loads((self.folder(release) / '.release.json').read_text(encoding='utf-8'))
        except (OSError, ValueError) as error:
            raise Failure(
                'There is no complete release {} ({}). See `{}-release list` for the ids.'.format(release, error, self.config.name)
            )

    def options(self, release, name):
        """One of the settings of a release that are dictionaries; {} if it has none, or is gone."""
        try:
            return self.settings(release).get(name, {})
        except Failure:
            return {}

    def current(self):
        """The id of the release that `current` points to, or ''."""
        link = self.config.current
        return os.path.basename(os.readlink(str(link))) if link.is_symlink() else ''

    def environment_link(self, release):
        """The link to the environment of a release; FileNotFoundError if it has none."""
        return Path(os.path.dirname(os.readlink(str(self.folder(release) / 'bin'))))

    def environment(self, release):
        """The name of the release's current environment build, or ''."""
        try:
            return self.environment_link(release).resolve().name
        except OSError:
            return ''

    def completed_at(self, release):
        """When the folder of a release was completed, which tells it from a replaced one; 0 if it is not."""
        try:
            return (self.folder(release) / MANIFEST).lstat().st_mtime_ns
        except OSError:
            return 0

    def dependencies(self, release):
        """The paths that a release needs: its environment (the link and its target) and its secrets."""
        found = set()
        with contextlib.suppress(OSError):
            link = self.environment_link(release)
            found |= {link, link.resolve()}
        with contextlib.suppress(Failure):
            secrets = self.settings(release).get('secrets')
            found |= {Path(secrets)} if secrets else set()
        return {resolve_parent(path) for path in found}

    def keep_environment(self, release):
        """Makes the environment of a failed release count as new, because the next release is likely to need it."""
        for path in self.dependencies(release):
            with contextlib.suppress(FileNotFoundError):
                os.utime(str(path), follow_symlinks=False)

    def prune(self, history, serving):
        """Removes releases that no rollback needs, and the environments and secrets that only they needed.

        Args:
            history: the app's History; facts of removed releases are removed from it too.
            serving: ids of the releases in use.

        Returns:
            Names of the removed folders and files.
        """
        keep = self.config.keep
        known = history.releases
        history.served = [r for r in history.served if r in known][-keep:]
        kept = set(history.served) | set(serving)
        failed = sorted((r for r in known if history.has_failed(r)), key=lambda r: known[r].get('at', ''))

        folders = {folder.name: folder for folder in self.config.releases.iterdir()}

        def is_known(name):
            # a folder with another manifest time belongs to a run that is replacing the release
            return name in known and known[name].get('manifest') in (None, self.completed_at(name))

        # a release that is not in the history belongs to a run that is in progress or was interrupted
        obsolete = {name for name in folders if name not in kept and (is_known(name) or abandoned(folders[name]))}
        complete = {name for name in folders if name[0] != '.' and self.completed_at(name)}
        needed = set().union(*map(self.dependencies, complete - obsolete))
        freed = set().union(*(self.dependencies(name) for name in obsolete if not history.has_failed(name))) - needed
        root = self.config.root.resolve()
        removed = [folders[name] for name in obsolete]
        for path in [*root.glob('venvs/*'), *root.glob('secrets/*.json')]:
            if path in freed or (path not in needed and abandoned(path)):
                removed.append(path)
        for path in removed:
            remove(path)

        history.releases = {r: known[r] for r in known if r in kept or r in failed[-keep:]}
        history.save()
        return sorted(path.name for path in removed)
