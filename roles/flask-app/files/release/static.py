"""The static files that nginx serves: those of the serving release, and of older ones as long as a rollback can reach them.

They are in ROOT/static, laid out as their URLs, as links to the releases' own files, so that a page of an earlier release still
finds what it names. A file of the same name is always that of the release that was published last.
"""

import contextlib
import os
import shutil

from .errors import Unhealthy


def regular_files(folder):
    """The regular files in a folder, as paths from it. Links are left out, and so are hidden files."""
    pending = ['']
    while pending:
        below = pending.pop()
        with os.scandir(os.path.join(folder, below)) as entries:
            for entry in entries:
                path = os.path.join(below, entry.name)
                if entry.name.startswith('.'):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif entry.is_file(follow_symlinks=False):
                    yield path


def identity(path):
    """What tells a file from all others; None if there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class Static:
    """The folder that nginx serves."""

    def __init__(self, config, releases):
        self.releases = releases
        self.folder = str(config.root / 'static')

    def files(self, release):
        """A release's static files: path below this folder to the release's own file; {} for one that is gone.

        Raises:
            Unhealthy: the release has no such folder, or has a link there.
        """
        found, root = {}, os.path.realpath(str(self.releases.folder(release)))
        for url, name in self.releases.options(release, 'static').items():
            folder = str(self.releases.folder(release) / name)
            # a link could lead to a shared folder, where the app could lead root elsewhere
            if not os.path.isdir(folder) or os.path.realpath(folder) != os.path.join(root, name):
                raise Unhealthy("flask_app_static: the release has no folder '{}' for {}; a link is none.".format(name, url))
            prefix = url.strip('/')
            found.update((os.path.join(prefix, path), os.path.join(folder, path)) for path in regular_files(folder))
        return found

    def unpublished(self, release):
        """The static files of a release that are not published, as in `files`."""
        files = self.files(release)
        return {path: source for path, source in files.items() if identity(os.path.join(self.folder, path)) != identity(source)}

    def pending_changes(self, release):
        """The differences from the state in which a release's static files are served, as texts."""
        missing = self.unpublished(release)
        return ['{} static files of {} are not in {}'.format(len(missing), release, self.folder)] if missing else []

    def publish(self, release):
        """Publishes the static files of a release, each in one step."""
        for path, source in sorted(self.unpublished(release).items()):
            target = os.path.join(self.folder, path)
            self._make_way(path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            new = os.path.join(os.path.dirname(target), '.new')
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new)
            os.link(source, new)
            os.replace(new, target)

    def _make_way(self, path):
        """Removes a folder where a file shall be, or a file where one of its folders shall be."""
        parts = path.split(os.sep)
        for end in range(1, len(parts)):
            above = os.path.join(self.folder, *parts[:end])
            if os.path.lexists(above) and not os.path.isdir(above):
                os.unlink(above)
        if os.path.isdir(os.path.join(self.folder, path)):
            shutil.rmtree(os.path.join(self.folder, path))

    def prune(self, releases):
        """Removes what none of some releases has."""
        kept = set()
        for release in releases:
            with contextlib.suppress(Unhealthy):
                kept.update(self.files(release))
        for folder, _, names in os.walk(self.folder, topdown=False):
            below = os.path.relpath(folder, self.folder)
            for name in names:
                if os.path.normpath(os.path.join(below, name)) not in kept:
                    os.unlink(os.path.join(folder, name))
            if below != '.' and not os.listdir(folder):
                os.rmdir(folder)
