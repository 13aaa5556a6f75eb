"""The programs of the system that an app runs, and the Debian packages that have them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .source import Source
from .tree import Module, constant, dotted

# those that a machine does not have by itself
PACKAGES = {
    'git': 'git', 'hg': 'mercurial', 'ffmpeg': 'ffmpeg', 'ffprobe': 'ffmpeg', 'convert': 'imagemagick', 'identify': 'imagemagick',
    'mogrify': 'imagemagick', 'gs': 'ghostscript', 'pdftotext': 'poppler-utils', 'pdftoppm': 'poppler-utils', 'pdfinfo': 'poppler-utils',
    'pandoc': 'pandoc', 'wkhtmltopdf': 'wkhtmltopdf', 'tesseract': 'tesseract-ocr', 'exiftool': 'libimage-exiftool-perl', 'dot': 'graphviz',
    'rsvg-convert': 'librsvg2-bin', 'cwebp': 'webp', 'unzip': 'unzip', 'zip': 'zip', 'rsync': 'rsync', 'curl': 'curl', 'wget': 'wget',
    'ssh': 'openssh-client', 'scp': 'openssh-client', 'pg_dump': 'postgresql-client', 'psql': 'postgresql-client', 'sqlite3': 'sqlite3',
    'ping': 'iputils-ping', 'whois': 'whois', 'nmap': 'nmap', 'node': 'nodejs',
}  # fmt: skip
RUNNERS = {
    'subprocess.run', 'subprocess.call', 'subprocess.check_call', 'subprocess.check_output', 'subprocess.Popen', 'subprocess.getoutput',
    'subprocess.getstatusoutput', 'os.system', 'os.popen',
}  # fmt: skip


def first_word(node: ast.expr | None) -> str:
    """The program of a command, a text or a list; '' where it is not known."""
    if isinstance(node, (ast.List, ast.Tuple)):
        return constant(node.elts[0]) if node.elts else ''
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    return next(iter(constant(node).split()), '')


def runs(source: Source, module: Module, tree: ast.AST) -> Iterator[ast.Call]:
    """The calls in a tree that run a program."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            owner, name = source.resolve(module, dotted(node.func) or '-')
            if owner is None and name in RUNNERS:
                yield node


def find(source: Source, modules: list[Module]) -> dict[str, str]:
    """The Debian packages of the programs that the app runs, each with where it does so.

    Args:
        modules: those that serve.
    """
    # functions of the app that run what they are given
    wrappers = {(one.name, name) for one in modules for name, function in one.functions.items() if any(runs(source, one, function))}
    found: dict[str, str] = {}
    for module in modules:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            owner, name = source.resolve(module, dotted(node.func) or '-')
            program = first_word(node.args[0])
            if program in PACKAGES and (name in RUNNERS if owner is None else (owner.name, name) in wrappers):
                found.setdefault(PACKAGES[program], f'{program}, which {module.where(node)} runs')
    return found
