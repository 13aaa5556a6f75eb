"""The folders of the releases, their environments and secrets. All of them are root's, and the app can only read them."""

import contextlib
import json
import os
from pathlib import Path

from .errors import Failure
from .system import abandoned, remove

MANIFEST = '.manifest.json'


def without_links_before(path):
    """The one spelling of a path, which may be a link itself: the app's folder may be behind a link."""
    return path.parent.resolve() / path.name


class Releases:
    """The releases of an app on this host."""

    def __init__(self, config):
        self.config = config

    def folder(self, release):
        """The folder of a release."""
        return self.config.releases / release

    def settings(self, release):
        """What the release's .release.json says.

        Raises:
            Failure: there is no such release.
        """
        try:
            return json.loads((self.folder(release) / '.release.json').read_text(encoding='utf-8'))
        except (OSError, ValueError) as error:
            raise Failure(
                'There is no whole release {} ({}). `{}-release list` shows those that are.'.format(release, error, self.config.name)
            )

    def current(self):
        """The id of the release that `current` leads to, or ''."""
        link = self.config.current
        return os.path.basename(os.readlink(str(link))) if link.is_symlink() else ''

    def environment_link(self, release):
        """The link that names the environment of a release; FileNotFoundError where the release has none."""
        return Path(os.path.dirname(os.readlink(str(self.folder(release) / 'bin'))))

    def environment(self, release):
        """The name of the build that is the release's environment now, or ''."""
        try:
            return self.environment_link(release).resolve().name
        except OSError:
            return ''

    def written(self, release):
        """When the folder of a release was completed, which tells it from one of the same name before; 0 where it is not."""
        try:
            return (self.folder(release) / MANIFEST).lstat().st_mtime_ns
        except OSError:
            return 0

    def needs(self, release):
        """The environment (a link and the build that it leads to) and the secrets of a release, as paths."""
        found = set()
        with contextlib.suppress(OSError):
            link = self.environment_link(release)
            found |= {link, link.resolve()}
        with contextlib.suppress(Failure):
            secrets = self.settings(release).get('secrets')
            found |= {Path(secrets)} if secrets else set()
        return {without_links_before(path) for path in found}

    def keep_environment(self, release):
        """Makes the environment of a release that goes count as new, because the next release is likely to need it."""
        for path in self.needs(release):
            with contextlib.suppress(FileNotFoundError):
                os.utime(str(path), follow_symlinks=False)

    def prune(self, history, serving):
        """Removes the releases that no rollback can reach, and the environments and secrets that they alone needed.

        Args:
            history: the app's History; what it says of removed releases goes as well.
            serving: ids of the releases that are in use.

        Returns:
            Names of the folders and files that were removed.
        """
        keep = self.config.keep
        known = history.releases
        history.served = [r for r in history.served if r in known][-keep:]
        kept = set(history.served) | set(serving)
        failed = sorted((r for r in known if history.has_failed(r)), key=lambda r: known[r].get('at', ''))

        folders = {folder.name: folder for folder in self.config.releases.iterdir()}

        def is_known(name):
            # another folder of a known name is that of a deploy that lays the release out again
            return name in known and known[name].get('manifest') in (None, self.written(name))

        # one that the history does not know belongs to a deploy that is on its way here, or was cut short
        gone = {name for name in folders if name not in kept and (is_known(name) or abandoned(folders[name]))}
        complete = {name for name in folders if name[0] != '.' and self.written(name)}
        needed = set().union(*map(self.needs, complete - gone))
        freed = set().union(*(self.needs(name) for name in gone if not history.has_failed(name))) - needed
        root = self.config.root.resolve()
        removed = [folders[name] for name in gone]
        for path in [*root.glob('venvs/*'), *root.glob('secrets/*.json')]:
            if path in freed or (path not in needed and abandoned(path)):
                removed.append(path)
        for path in removed:
            remove(path)

        history.releases = {r: known[r] for r in known if r in kept or r in failed[-keep:]}
        history.save()
        return sorted(path.name for path in removed)
