"""Templates of requests: JSON or text with named places, such as ``{text}``.

Only the named places are filled. Other braces stay, so JSON written as text needs no escaping.
"""

from __future__ import annotations

import re
from collections.abc import Mapping


def filled(template: object, values: Mapping[str, str]) -> object:
    """Return ``template`` with ``values`` in their places, in every string of it.

    Values are not searched for places: a text that holds ``{id}`` keeps it.
    """
    if isinstance(template, str):
        places = "|".join(re.escape(name) for name in values)
        return re.sub(rf"\{{({places})\}}", lambda place: values[place[1]], template)
    if isinstance(template, Mapping):
        return {key: filled(value, values) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [filled(item, values) for item in template]
    return template


def holds_place(template: object, name: str) -> bool:
    """Tell whether any string of ``template`` has a place of this name."""
    if isinstance(template, str):
        return f"{{{name}}}" in template
    if isinstance(template, Mapping):
        return any(holds_place(value, name) for value in template.values())
    return isinstance(template, list | tuple) and any(holds_place(item, name) for item in template)
