"""The history of the releases on this host."""

import json
import os

from .errors import Failure
from .system import now, sync_folder


class History:
    """The file history.json of an app.

    Attributes:
        served: ids of the releases that rollbacks use, oldest first.
        releases: id to facts: `at`, `revision`, `prepared` (its commands ran), `has_served`, `failed` (the reason),
            `manifest` (time of its folder's manifest) and `environment` (the build that the program runs it with).
        initialized: the init commands that have run on this host.
    """

    def __init__(self, path):
        self.path = path
        try:
            values = json.loads(path.read_text(encoding='utf-8'))
            self.served, self.releases, self.initialized = values['served'], values['releases'], values['initialized']
            texts = self.served + self.initialized + list(self.releases)
            if not all(isinstance(text, str) for text in texts) or not all(isinstance(f, dict) for f in self.releases.values()):
                raise ValueError('a value has the wrong type')
        except FileNotFoundError:
            self.served, self.releases, self.initialized = [], {}, []
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Failure(
                '{} is damaged: {!r}. Repair it, or remove it: then earlier releases are not available for rollback, '
                "and the app's init commands run again.".format(path, error)
            )

    def save(self):
        """Writes the file atomically, safe against a full disk and a power cut."""
        new = self.path.with_suffix('.new')
        with open(os.open(str(new), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 'w', encoding='utf-8') as file:
            values = {'served': self.served, 'releases': self.releases, 'initialized': self.initialized}
            json.dump(values, file, indent=1, sort_keys=True)
            file.write('\n')
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)
        sync_folder(self.path.parent)

    def facts(self, release):
        """The facts recorded for a release."""
        return self.releases.get(release, {})

    def state(self, release, current):
        """What became of a release, as a text.

        Args:
            current: id of the serving release.
        """
        states = [
            ('serving', release == current),
            ('failed: ' + self.facts(release).get('failed', ''), self.has_failed(release)),
            ('available for rollback', release in self.served),
            ('rolled back', self.has_served(release)),
        ]
        return next((text for text, applies in states if applies), 'not deployed')

    def record(self, release, **facts):
        """Records facts of a release."""
        self.releases.setdefault(release, {}).update(facts)
        self.save()

    def has_failed(self, release):
        """Whether a release failed before it ever served."""
        return 'failed' in self.facts(release)

    def has_served(self, release):
        """Whether a release ever served on this host; then something else may cause its failure."""
        return release in self.served or self.facts(release).get('has_served', False)

    def record_served(self, served, **facts):
        """Records the releases that rollbacks use; the last of them has begun to serve now."""
        self.served = served
        known = self.releases.setdefault(served[-1], {})
        known.pop('failed', None)
        known.update(facts, at=now(), has_served=True)
        self.save()
