"""What is to be locked, for which host."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Job:
    """An app, a host and where results are kept.

    Attributes:
        name: of the app.
        app: the app's folder.
        python: version of the Python that the app gets, such as 3.6; '' only looks for the app's files.
        chosen: the standalone Python that the user has chosen, such as 3.12 or 3.12.4; '' for one of the host's.
        builds: versions that there are standalone builds of for the host, the newest first.
        machine: the host's architecture, as uname says it.
        glibc: version of the host's C library, such as 2.27.
        folder: where the lock is kept for the user to commit, '' for none.
        cache: the controller's own folder for this app.
        tools: folder with the locks of tools: exporters of other tools' lock files, and pip.
        requirements: the file in the app that names its packages, '' for the one that is found.
        requirement: a package of an index that is the app, such as `httpbin==0.10.2`, in place of a folder.
        build_on_host: whether the host may build packages.
        write: whether the lock may be written into `folder`.
        upgrade: whether to resolve anew, to the newest versions.
        settings: environment variables for uv, such as the index.
    """

    name: str
    app: str
    cache: str
    tools: str
    python: str = ''
    chosen: str = ''
    builds: list[str] = field(default_factory=list)
    machine: str = ''
    glibc: str = ''
    folder: str = ''
    requirements: str = ''
    requirement: str = ''
    build_on_host: bool = False
    write: bool = True
    upgrade: bool = False
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        """The app's folder."""
        return Path(self.app)

    @property
    def scratch(self) -> Path:
        """The cache as a folder that exists."""
        Path(self.cache).mkdir(parents=True, exist_ok=True)
        return Path(self.cache)

    def digest(self, *texts: str) -> str:
        """What identifies texts for this host: twelve hexadecimal digits."""
        return hashlib.sha256(json.dumps([self.python, self.machine, self.glibc, *texts]).encode()).hexdigest()[:12]
