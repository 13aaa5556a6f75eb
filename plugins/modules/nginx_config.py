#!/usr/bin/python
"""Ansible module: writes a set of nginx's files at once, after nginx has accepted them. Runs on Python 3.6."""

import glob
import os
import re
import shutil
import stat
import tempfile

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: nginx_config
short_description: Validates and writes a set of nginx's files
description:
  - Applies the changes to a copy of the folder first and lets nginx test that; if nginx refuses it, nothing is written.
  - Each file is written beside its place, synced and renamed, so that a power cut leaves the old or the new one.
  - In check mode, what an earlier task would have created (a certificate, what nginx.conf defines) is a warning, not a failure.
author: flaskrandom
options:
  folder: {type: path, default: /etc/nginx, description: "nginx's folder; all other paths are relative to it."}
  files: {type: list, elements: dict, default: [], description: "The files to write, each with path, content and mode (0644)."}
  links: {type: dict, default: {}, description: "Symbolic links, link to target."}
  absent: {type: list, elements: str, default: [], description: "Files, links and folders to remove."}
  absent_with_line: {type: dict, default: {}, description: "Files and links to remove if the file has this line, path to line."}
  exclusive: {type: list, elements: str, default: [], description: "Folders in which every other file is removed."}
  validate: {type: list, elements: str, default: [nginx, -t, -q, -c], description: "Tests the file that is appended."}
"""
EXAMPLES = """
- nginx_config:
    files: [{path: sites-available/shop.conf, content: "server { listen 80; }"}]
    links: {sites-enabled/shop.conf: /etc/nginx/sites-available/shop.conf}
"""
RETURN = 'changed_paths: {type: list, returned: always, description: Which paths were written or removed.}'

# nginx -t creates logs and caches there, also in check mode, but no subfolders of subfolders
SIDE_EFFECTS = ['/var/log/nginx/', '/var/lib/nginx/']
ERROR = re.compile(r'\[emerg\] (?:\d+#\d+: )?([^\n]*)')  # with the numbers of process and thread
PLACE = re.compile(r' in (/\S+):\d+$')
MISSING = re.compile(r'No such file|unknown (log format|"\w+" variable)')


def open_text(file, mode):
    """Opens a file (a path or a descriptor) so that each byte of it survives."""
    return open(file, mode, encoding='utf-8', errors='surrogateescape', newline='')


def read(path):
    """The text of a file, also through a link; '' where there is none."""
    if not os.path.isfile(path):
        return ''
    with open_text(path, 'r') as file:
        return file.read()


def describe(path):
    """What is at a path, for a diff: a file's text, a link's target, a folder's name, or '' for nothing."""
    if os.path.islink(path):
        return 'link to {}\n'.format(os.readlink(path))
    return 'folder {}\n'.format(path) if os.path.isdir(path) else read(path)


def is_done(place, text, mode):
    """Whether a file of ours has this text and mode; without a mode, whether a link leads to this target."""
    if mode is None:
        return os.path.islink(place) and os.readlink(place) == text
    if os.path.islink(place) or not os.path.isfile(place):
        return False
    info = os.stat(place)
    owned = (info.st_uid, info.st_gid) == (os.geteuid(), os.getegid())
    return owned and stat.S_IMODE(info.st_mode) == mode and read(place) == text


def unwanted(folder, kept):
    """The paths below a folder that are to be removed: whole folders where nothing of them is kept."""
    if not any(path.startswith(folder + '/') for path in kept):
        return [folder]
    found = []
    for path in (os.path.join(folder, name) for name in os.listdir(folder)):
        if path not in kept:
            found += unwanted(path, kept) if os.path.isdir(path) and not os.path.islink(path) else [path]
    return found


def plan(root, files, links, absent, absent_with_line, exclusive):
    """Compares a folder with what is asked for; the arguments are the module's.

    Returns:
        The changes in the order in which they are made, removals first, because a site that is there twice stops nginx. Each is
        a relative path, the text (a link's target; None for a removal), and the mode (None for a link and a removal).

    Raises:
        ValueError: a path leads out of the folder, or a folder is in the place of a file.
    """
    wanted = sorted((one['path'], one['content'], int(one['mode'], 8)) for one in files)
    wanted += [(path, target, None) for path, target in sorted(links.items())]
    for path in [path for path, text, mode in wanted] + absent + list(absent_with_line) + exclusive:
        if os.path.isabs(path) or os.path.normpath(path) != path or path.split('/')[0] in ('.', '..'):
            raise ValueError('paths must be relative to {} and without `..`, got {!r}.'.format(root, path))
    kept = [os.path.join(root, path) for path, text, mode in wanted]
    for place in kept:
        if os.path.isdir(place) and not os.path.islink(place):
            raise ValueError('{} is a folder, where a file is to be written. Move it away.'.format(place))
    gone = [os.path.join(root, path) for path in absent]
    for path, line in absent_with_line.items():
        if line in read(os.path.join(root, path)).splitlines():
            gone.append(os.path.join(root, path))
    for folder in exclusive:
        if os.path.isdir(os.path.join(root, folder)):
            gone += unwanted(os.path.join(root, folder), kept)
    changes = [(os.path.relpath(place, root), None, None) for place in sorted(set(gone)) if os.path.lexists(place)]
    return changes + [one for one in wanted if not is_done(os.path.join(root, one[0]), *one[1:])]


def put(place, text, mode):
    """Makes a file or a link beside its place, and renames it, so that the old or the new one is there at every moment."""
    new = '{}.{}.new'.format(place, os.getpid())
    try:
        if mode is None:
            os.symlink(text, new)
        else:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with open_text(descriptor, 'w') as file:
                file.write(text)
                os.fchown(descriptor, os.geteuid(), os.getegid())
                os.fchmod(descriptor, mode)
                file.flush()
                os.fsync(descriptor)
        os.rename(new, place)
    finally:
        if os.path.lexists(new):
            os.remove(new)


def apply(root, changes, rewrite=lambda text: text):
    """Makes the changes in a folder and writes them to the disk; `rewrite` gets each text first."""
    folders = {root}
    for path, text, mode in changes:
        place = os.path.join(root, path)
        if text is not None:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            put(place, rewrite(text), mode)
        elif os.path.isdir(place) and not os.path.islink(place):
            shutil.rmtree(place)
        elif os.path.lexists(place):
            os.remove(place)
        while path:
            path = os.path.dirname(path)
            folders.add(os.path.join(root, path))
    for folder in filter(os.path.isdir, folders):
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def copy_tree(source, target, root, rewrite, above=()):
    """Copies a folder. Links within `root` stay links; others become what they lead to; dangling ones stay, for nginx to refuse."""
    os.makedirs(target, exist_ok=True)
    for name in os.listdir(source):
        path, copied = os.path.join(source, name), os.path.join(target, name)
        leads_to = os.path.normpath(os.path.join(os.path.realpath(source), os.readlink(path))) if os.path.islink(path) else ''
        if leads_to and (leads_to.startswith(root + '/') or not os.path.exists(path)):
            os.symlink(rewrite(leads_to), copied)
        elif os.path.isdir(path) and os.path.realpath(path) not in above:
            copy_tree(path, copied, root, rewrite, (*above, os.path.realpath(path)))
        elif os.path.isfile(path):
            with open_text(copied, 'w') as file:
                file.write(rewrite(read(path)))


def nginx_error(module, root, command, changes):
    """Tests a copy of the folder with the changes; returns nginx's error with the real paths, or '' if nginx accepts it."""
    copy = os.path.realpath(tempfile.mkdtemp(prefix='nginx-'))
    places = {real: copy + real for real in [root + '/', *SIDE_EFFECTS]}

    def rewrite(text):
        for real, copied in places.items():
            text = text.replace(real, copied)
        return text

    try:
        for folder in [*places, *(found for side in SIDE_EFFECTS for depth in ('*/', '*/*/') for found in glob.glob(side + depth))]:
            os.makedirs(copy + folder, exist_ok=True)
        copy_tree(root, copy + root, root, rewrite)
        apply(copy + root, changes, rewrite)
        status, _, error = module.run_command([*command, copy + root + '/nginx.conf'])
        found = ERROR.search(error.replace(copy + '/', '/'))
        return '' if status == 0 else '[emerg] ' + found.group(1) if found else error.strip() or 'exit status {}'.format(status)
    finally:
        shutil.rmtree(copy)


def refusal(module, root, command, ours, error):
    """What to say about nginx's error: is it in one of `ours` (paths), or in another file, and was that invalid before?"""
    found = PLACE.search(error)
    path = found.group(1) if found else ''
    if os.path.realpath(path) in [os.path.realpath(os.path.join(root, one)) for one in ours]:
        return 'nginx refuses the new configuration: {}. Change it'.format(error)
    because = ', because of {}, which this task does not write'.format(path) if path else ''
    what = 'refused the present' if nginx_error(module, root, command, []) == error else 'refuses the new'
    return 'nginx {} configuration{}: {}. Change it'.format(what, because, error)


def main():
    paths = {'type': 'list', 'elements': 'str', 'default': []}
    names = {'type': 'dict', 'default': {}}
    options = {'path': {'required': True}, 'content': {'required': True}, 'mode': {'default': '0644'}}
    module = AnsibleModule(
        argument_spec={
            'folder': {'type': 'path', 'default': '/etc/nginx'},
            'files': dict(paths, elements='dict', options=options),
            'links': names,
            'absent_with_line': names,
            'absent': paths,
            'exclusive': paths,
            'validate': dict(paths, default=['nginx', '-t', '-q', '-c']),
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    params = dict(module.params)
    root, command = os.path.realpath(params.pop('folder')), params.pop('validate')
    try:
        changes = plan(root, **params)
        diff = []
        for path, text, mode in changes:
            place = os.path.join(root, path)
            after = '' if text is None else 'link to {}\n'.format(text) if mode is None else text
            diff.append({'before_header': place, 'after_header': place, 'before': describe(place), 'after': after})
        binary = module.get_bin_path(command[0])
        if changes and binary:
            command[0] = binary
            error = nginx_error(module, root, command, changes)
            if module.check_mode and MISSING.search(error):
                module.warn('{}: an earlier task may create it.'.format(error))
            elif error:
                ours = [one['path'] for one in params['files']] + list(params['links'])
                raise ValueError(refusal(module, root, command, ours, error) + ', test with `sudo nginx -t`, and run this again.')
        elif not module.check_mode and any(text is not None for path, text, mode in changes):
            raise ValueError('{} is not installed, so nothing can be validated.'.format(command[0]))
        if not module.check_mode:
            apply(root, changes)
    except ValueError as problem:
        module.fail_json(msg='{} nginx serves on as before; nothing was written.'.format(problem))
    module.exit_json(changed=bool(changes), diff=diff, changed_paths=[one['after_header'] for one in diff])


if __name__ == '__main__':
    main()
