"""An SVG badge: first audio and the verdict, for a README. One file, no font and no request."""

from __future__ import annotations

from html import escape

from voicebench import format as form
from voicebench.gates import Verdict
from voicebench.report.recorded import Recorded
from voicebench.report.sheets import TAIL, verdict_of
from voicebench.report.style import VERDICT_SIGNS

COLOURS = {
    Verdict.PASS: "#1a7f37",
    Verdict.CLOSE: "#9a6700",
    Verdict.FAIL: "#cf222e",
    Verdict.UNDECIDED: "#8250df",
    Verdict.NOT_MEASURED: "#8250df",
}
"""White letters stand out from each of them by at least 4.5 to 1 (WCAG AA)."""
UNJUDGED = "#57606a"
LABEL = "first audio"
_CHARACTER = 6.6
_PADDING = 12


def badge(run: Recorded) -> str:
    """Return the badge of one run."""
    verdict = verdict_of(run)
    value = _value(run)
    if verdict is not None:
        value += f" {VERDICT_SIGNS[verdict]}"
    told = f"{LABEL}: {value}" + (f" {verdict.value}" if verdict else "")
    left, right = _width(LABEL), _width(value)
    colour = COLOURS[verdict] if verdict else UNJUDGED
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" '
        f'role="img" aria-label="{escape(told)}">\n'
        f"<title>{escape(told)}</title>\n"
        f'<clipPath id="r"><rect width="{left + right}" height="20" rx="3"/></clipPath>\n'
        f'<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#424a53"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>\n'
        '<g fill="#fff" text-anchor="middle" font-size="11" '
        'font-family="Verdana,Geneva,DejaVu Sans,sans-serif">\n'
        f'<text x="{left / 2:g}" y="14">{escape(LABEL)}</text>\n'
        f'<text x="{left + right / 2:g}" y="14">{escape(value)}</text>\n'
        "</g>\n</svg>\n"
    )


def _value(run: Recorded) -> str:
    found = run.summary.metrics["first_audio_ms"]
    value, carried = found.quantile(TAIL)
    if value is None:
        return "not measured"
    return f"{form.quantity(value, 'ms')} {f'p{TAIL}' if carried else 'max'}"


def _width(text: str) -> int:
    return round(len(text) * _CHARACTER) + _PADDING
