"""A program: the command line in a process in which some modules do not exist.

``python without_modules.py extras ARGUMENT…`` hides every module of an extra, as in an environment
with the base alone. ``python without_modules.py windows ARGUMENT…`` also hides the modules that
Windows lacks, from this package only; other packages have their own way there. ``then`` stands
between several command lines; the program ends with the first that fails. ``imports`` as the only
argument imports every module of the package, and prints those that need a hidden one.
"""

from __future__ import annotations

import builtins
import importlib
import json
import pkgutil
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

POSIX = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "termios", "tty"}
MORE_OF_EXTRAS = {"ctranslate2", "huggingface_hub", "onnxruntime", "pyarrow", "scipy", "uvloop"}
"""What extras and tests bring without being imported by name, or must not be needed."""


class Hidden(MetaPathFinder):
    """Finds nothing under some names, before any other finder is asked."""

    def __init__(self, names: set[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name.partition(".")[0] in self.names or name in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def hide_from_package(names: set[str]) -> None:
    """Hide modules, which other packages may have loaded, from imports in this package."""
    imported = builtins.__import__

    def guarded(name: str, scope: Any = None, *more: Any, **named: Any) -> Any:
        importer = str((scope or {}).get("__name__", ""))
        if name in names and importer.partition(".")[0] == "voicebench":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return imported(name, scope, *more, **named)

    builtins.__import__ = guarded  # type: ignore[assignment]  # its last arguments are passed on


def import_all() -> None:
    """Print the modules of the package that cannot be imported, with the missing module."""
    import voicebench

    failed = {}
    for found in pkgutil.walk_packages(voicebench.__path__, "voicebench."):
        if not found.name.endswith("__main__"):
            try:
                importlib.import_module(found.name)
            except ModuleNotFoundError as error:
                failed[found.name] = error.name
    print(json.dumps(failed))


def main() -> None:
    kind, *arguments = sys.argv[1:]
    from voicebench.machine.extras import EXTRAS

    names = {module for extra in EXTRAS for module in extra.modules} | MORE_OF_EXTRAS
    sys.meta_path.insert(0, Hidden(names))
    if kind == "windows":
        hide_from_package(POSIX)
    if arguments == ["imports"]:
        import_all()
        return
    from voicebench.cli import main as command_line

    while arguments:
        end = arguments.index("then") if "then" in arguments else len(arguments)
        sys.argv = ["voicebench", *arguments[:end]]
        arguments = arguments[end + 1 :]
        try:
            command_line()
        except SystemExit as ended:
            if ended.code:
                raise


if __name__ == "__main__":
    main()
