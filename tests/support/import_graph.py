"""Which module imports which, read from the source without importing anything.

An import is *at once* (done when the module is imported), *later* (inside a function) or *for
types* (under ``TYPE_CHECKING``, never done at all).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

When = Literal["at once", "later", "for types"]

ROOT = Path(__file__).parents[2]
PACKAGE = "voicebench"


@dataclass
class Module:
    """One module: its syntax tree, and the dotted names that it imports by when it does so."""

    name: str
    tree: ast.Module
    imports: dict[When, set[str]] = field(
        default_factory=lambda: {"at once": set(), "later": set(), "for types": set()}
    )

    def imported(self, *whens: When) -> set[str]:
        """Return what is imported at these times; at any time if none is named."""
        return set().union(*(self.imports[when] for when in whens or self.imports))


@cache
def read_modules(folder: Path = ROOT / PACKAGE) -> dict[str, Module]:
    """Return every module below ``folder`` by its dotted name; read once, for all that ask."""
    sources = {}
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        sources[name] = path.read_text(encoding="utf-8")
    return parse_modules(sources)


def parse_modules(sources: Mapping[str, str]) -> dict[str, Module]:
    """Return the modules of these sources, by name."""
    modules = {name: Module(name, ast.parse(source)) for name, source in sources.items()}
    for module in modules.values():
        for when, node in _imports(module.tree, "at once"):
            module.imports[when] |= set(_targets(node, modules))
    return modules


def _imports(node: ast.AST, when: When) -> Iterator[tuple[When, ast.Import | ast.ImportFrom]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield when, child
        elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for statement in child.body:
                yield from _imports(ast.Module([statement], []), "for types")
            for statement in child.orelse:
                yield from _imports(ast.Module([statement], []), when)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and when == "at once":
            yield from _imports(child, "later")
        else:
            yield from _imports(child, when)


def _targets(node: ast.Import | ast.ImportFrom, modules: Mapping[str, Module]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    assert node.level == 0, f"a relative import: {ast.unparse(node)}"
    assert node.module is not None
    for alias in node.names:
        submodule = f"{node.module}.{alias.name}"
        yield submodule if submodule in modules else node.module


def needed_by(name: str, modules: Mapping[str, Module], *whens: When) -> set[str]:
    """Return every module that ``name`` imports, directly or not, itself included.

    With ``whens``, imports of those times are followed; otherwise only those done at once. Modules
    of others are named and not followed.
    """
    return _reached(name, lambda one: modules[one].imported(*_times(whens)), modules)


def loaded_with(name: str, modules: Mapping[str, Module], *whens: When) -> set[str]:
    """Return what `needed_by` does, and the packages that Python loads before their modules."""

    def neighbours(one: str) -> set[str]:
        package = one.rpartition(".")[0]
        return modules[one].imported(*_times(whens)) | ({package} if package else set())

    return _reached(name, neighbours, modules)


def _times(whens: tuple[When, ...]) -> tuple[When, ...]:
    return whens or ("at once",)


def _reached(
    name: str, neighbours: Callable[[str], set[str]], modules: Mapping[str, Module]
) -> set[str]:
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in reached:
            reached.add(current)
            waiting += neighbours(current) if current in modules else ()
    return reached


def top(name: str) -> str:
    """Return the first part of a dotted name."""
    return name.partition(".")[0]


def part(name: str) -> str:
    """Return which part of the package a module belongs to: ``llm`` for
    ``voicebench.text.chat_template``.
    """
    return name.split(".")[1] if "." in name else ""


def circles(modules: Mapping[str, Module]) -> list[list[str]]:
    """Return the groups of modules that need each other, for whatever reason, types included."""
    later = {name: _needs(name, modules) for name in modules}
    groups = {
        frozenset(other for other in later[name] if name in later[other]) | {name}
        for name in modules
        if name in later[name]
    }
    return sorted(sorted(group) for group in groups)


def _needs(name: str, modules: Mapping[str, Module]) -> set[str]:
    """Return the modules that ``name`` reaches by one import or more."""
    reached: set[str] = set()
    waiting = list(modules[name].imported())
    while waiting:
        current = waiting.pop()
        if current in modules and current not in reached:
            reached.add(current)
            waiting += modules[current].imported()
    return reached
