"""Syntax trees: an app's modules, and the little that is asked of their nodes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Module:
    """One module of the app.

    Attributes:
        name: as Python would import it.
        path: from the app's folder.
        tree: its syntax tree.
        package: name of the package that relative imports begin at.
        imports: what its imports bind, local name to (module, name there), the latter '' for a module itself.
        stars: modules of which it imports everything.
        values: what its top level assigns last, name to expression.
        functions: those of its top level.
    """

    name: str
    path: str
    tree: ast.Module
    package: str
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    values: dict[str, ast.expr] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)

    def where(self, node: ast.AST) -> str:
        """The file and line of a node."""
        return f'{self.path}:{node.lineno}'


def top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that an import runs, also those in `if`, `try` and `with`, but not those of a script's own start."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If) and '__main__' in ast.dump(statement.test):
            continue
        for part in ('body', 'orelse', 'finalbody', 'handlers'):
            if isinstance(statement, (ast.If, ast.Try, ast.With)):
                for inner in getattr(statement, part, []):
                    yield from top_level(inner.body if isinstance(inner, ast.ExceptHandler) else [inner])


def dotted(node: ast.AST) -> str:
    """A name such as `app.config` as text, or ''."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        front = dotted(node.value)
        return f'{front}.{node.attr}' if front else ''
    return ''


def constant(node: ast.AST | None) -> str:
    """The text of a constant, or ''."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ''


def refers_to(node: ast.AST, name: str) -> bool:
    """Whether an expression uses a name."""
    return any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(node))
