"""Packs a release of the app on the controller."""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import io
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# left out without a word: nobody misses them on a host
CACHES = {'.git', '.hg', '.svn', '__pycache__', '.pytest_cache', '.mypy_cache', '.ruff_cache', '.DS_Store'}


def source_files(source: Path, exclude: list[str], replaced: set[str]) -> tuple[list[Path], list[Path]]:
    """The files and links below a folder, in a fixed order, and what of it is not to be packed.

    Args:
        source: the app's folder.
        exclude: shell patterns, each matched against a file's or folder's own name and its path below `source`; one that
            begins with `/` against the path only.
        replaced: paths below `source` that something else stands for on the host.

    Returns:
        Paths relative to `source`: those to pack, and those that a pattern excludes, a folder for all that is in it.

    Raises:
        AnsibleActionFail: a link is absolute or leads out of the folder, so it would lead nowhere on the host; or
            something is neither file, folder nor link, or can't be read by its owner.
    """
    found, left_out = [], []

    def excluded(path: Path) -> bool:
        if str(path) in replaced:
            return True
        if any(fnmatch.fnmatch(path.name, pattern) or fnmatch.fnmatch(str(path), pattern.lstrip('/')) for pattern in exclude):
            left_out.append(path)
            return True
        return False

    for folder, folders, names in os.walk(source):
        below = Path(folder).relative_to(source)
        links = [name for name in folders if (source / below / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in links and not excluded(below / name))
        for path in sorted(below / name for name in names + links):
            if excluded(path):
                continue
            full = source / path
            if full.is_symlink():
                if source.resolve() not in full.resolve().parents:
                    raise AnsibleActionFail(f"flask_app_src: the link {full} leads out of the app's folder")
                if os.path.isabs(os.readlink(full)):
                    raise AnsibleActionFail(f'flask_app_src: the link {full} is absolute and would lead nowhere')
            elif not full.is_file():
                raise AnsibleActionFail(f'flask_app_src: {full} is neither a file nor a folder nor a link')
            elif not full.stat().st_mode & 0o400:
                # root could read it here, another account could not
                raise AnsibleActionFail(f'flask_app_src: {full} is not readable')
            found.append(path)
    return found, [path for path in sorted(left_out) if path.name not in CACHES and path.suffix != '.pyc']


def beside_links(source: Path, files: list[Path], links: set[str]) -> tuple[list[Path], list[str]]:
    """The files that can stand beside the links to the environment.

    Args:
        source: the app's folder.
        files: paths below it.
        links: names of the links, at its top.

    Returns:
        The files, and the folders left out: `bin` with scripts for developers and containers, which no Python code imports.

    Raises:
        AnsibleActionFail: others have the name of a link.
    """
    taken = {path.parts[0] for path in files} & links
    scripts = {name for name in taken & {'bin'} if (source / name).is_dir() and not (source / name / '__init__.py').exists()}
    if taken - scripts:
        raise AnsibleActionFail(
            f"flask_app_src: {source} has {', '.join(sorted(taken - scripts))} at its top, where the links to the virtual environment "
            'stand on the host. Rename it, or add it to flask_app_exclude.'
        )
    return [path for path in files if path.parts[0] not in scripts], sorted(scripts)


def pack(source: Path, files: list[Path], contents: dict[str, str | bytes], links: dict[str, str]) -> bytes:
    """A tar archive that depends on nothing but what is in it: same files, same bytes.

    Args:
        source: the app's folder.
        files: paths below `source`; modes become 0644, or 0755 where the owner may execute, owned by root.
        contents: further files, path to text or bytes.
        links: symbolic links, path to target.

    Returns:
        The archive, uncompressed.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w', format=tarfile.PAX_FORMAT) as archive:

        def add(name: str, kind: bytes, mode: int, data: bytes = b'', target: str = '') -> None:
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.size, member.linkname = kind, mode, len(data), target
            member.uname = member.gname = 'root'
            archive.addfile(member, io.BytesIO(data))

        entries = {str(path): source / path for path in files}
        names = sorted(set(entries) | set(contents) | set(links))
        for folder in sorted({str(parent) for name in names for parent in Path(name).parents}):
            add(folder, tarfile.DIRTYPE, 0o755)
        for name in names:
            if name in links:
                add(name, tarfile.SYMTYPE, 0o777, target=links[name])
            elif name in contents:
                data = contents[name]
                add(name, tarfile.REGTYPE, 0o644, data.encode() if isinstance(data, str) else data)
            elif entries[name].is_symlink():
                add(name, tarfile.SYMTYPE, 0o777, target=os.readlink(entries[name]))
            else:
                mode = 0o755 if entries[name].stat().st_mode & 0o100 else 0o644
                add(name, tarfile.REGTYPE, mode, entries[name].read_bytes())
    return buffer.getvalue()


def package_files(wheel: str, source: Path) -> dict[str, bytes]:
    """The files of the app's own wheel that its folder does not have at the same place: metadata, and all of a src layout.

    Args:
        wheel: its path, '' for none.
        source: the app's folder.

    Returns:
        Path in the release, below `.package`, to contents.
    """
    if not wheel:
        return {}
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith(('/', '.dist-info/RECORD'))]
        return {f'.package/{name}': archive.read(name) for name in names if not (source / name).exists()}


def git_revision(source: Path) -> str:
    """The git commit of a folder, `-dirty` behind it where the folder differs from it; '' where there is none."""
    command = ['git', '-C', str(source), 'describe', '--always', '--dirty', '--abbrev=12', '--exclude=*']
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ''


class ActionModule(ActionBase):
    """Action `release_archive`: writes the archive to a file on the controller and names it by its contents.

    Arguments: `src` and `exclude` (the app's folder and patterns to leave out), `contents` (path to text), `links`
    (path to target), `package` (the app's own wheel, or ''), `shared` (folders and files that all releases share, path to target).
    Returns: `id` (twelve hexadecimal digits), `path` (the archive), `files`, `left_out` (what `exclude` kept from it, but
    for caches), `revision` (of git, or '').
    """

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """Packs the release; see the class for arguments and result."""
        result = super().run(tmp, task_vars)
        args = self._task.args
        source = Path(args['src'])
        links = {**args['links'], **args['shared']}
        files, left_out = source_files(source, args['exclude'], {*args['shared'], *args['contents']})
        contents = {**package_files(args['package'], source), **args['contents']}

        files, scripts = beside_links(source, files, set(args['links']))
        archive = pack(source, files, contents, links)
        digest = hashlib.sha256(archive).hexdigest()[:12]
        path = Path(constants.DEFAULT_LOCAL_TMP) / f'{digest}.tar.gz'
        path.write_bytes(gzip.compress(archive, mtime=0))
        result.update(
            changed=False,
            id=digest,
            path=str(path),
            files=[str(name) for name in files],
            left_out=[f"{name}/ (the environment's commands stand there)" for name in scripts]
            + [f'{name}/' if (source / name).is_dir() else str(name) for name in left_out],
            revision=git_revision(source),
        )
        return result
