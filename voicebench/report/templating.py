"""Fills in templates: the HTML page, its charts, and the page of a sprint."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def filled(template: Path, values: Mapping[str, object], *, escaped: bool = True) -> str:
    """Return ``template`` with ``values`` filled in, ``escaped`` for HTML."""
    return _environment(template.parent, escaped).get_template(template.name).render(values)


@cache
def _environment(folder: Path, escaped: bool) -> Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=escaped,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
