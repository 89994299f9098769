"""voicebench measures how fast a voice assistant starts to speak.

``import voicebench`` loads nothing else: each name of the Python interface is imported when it is
used. docs/how-to/python.md shows how; the names and their types are in ``__init__.pyi``.
"""

from importlib import import_module

__version__ = "0.1.0"

_PLACES = {
    "Judgement": "interface.measured_run",
    "MeasuredLevel": "interface.measured_load",
    "MeasuredLoad": "interface.measured_load",
    "RecordedTurn": "interface.measuring_calls",
    "Run": "interface.measured_run",
    "Target": "targets",
    "measure": "interface.measuring_calls",
    "read_load": "interface.measured_load",
    "read_run": "interface.measured_run",
    "record": "interface.measuring_calls",
}
"""The names of the Python interface, and the modules that define them."""

__all__ = ["__version__", *_PLACES]  # noqa: PLE0604 (the names are strings)


def __getattr__(name: str) -> object:
    """Import the module that defines ``name``, at its first use."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the names that are not imported yet too."""
    return sorted({*globals(), *_PLACES})
