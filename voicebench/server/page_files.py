"""The page at ``/``: a question, the answer as it is spoken, and when everything came.

Plain files, no build step. The content security policy allows nothing from another server.
"""

from __future__ import annotations

from pathlib import Path

from starlette.responses import Response

FOLDER = Path(__file__).parent / "page"
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/player.js": ("player.js", "text/javascript; charset=utf-8"),
    "/waterfall.js": ("waterfall.js", "text/javascript; charset=utf-8"),
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page_file(path: str) -> Response:
    """Return the file of the page at ``path``, one of `FILES`."""
    name, kind = FILES[path]
    headers = {
        "content-type": kind,
        "content-security-policy": POLICY,
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
    }
    return Response((FOLDER / name).read_bytes(), headers=headers)
