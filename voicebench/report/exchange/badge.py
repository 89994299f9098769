"""An SVG badge for a README: first audio and the verdict. It loads no font and no other file."""

from __future__ import annotations

from html import escape

from voicebench import format as form
from voicebench.judging.final import Word
from voicebench.report.console.figure_tables import TAIL
from voicebench.report.console.style import (
    BAD,
    GOOD,
    NEAR,
    QUIET,
    UNSURE,
    VERDICT_SIGNS,
    VERDICT_STYLES,
)
from voicebench.results.run import RecordedRun

COLOURS = {GOOD: "#1a7f37", NEAR: "#9a6700", BAD: "#cf222e", UNSURE: "#8250df", QUIET: "#57606a"}
"""White letters have a contrast of at least 4.5 to 1 on each of them (WCAG AA)."""
NAMED = (
    Word.INVALID,
    Word.INTERRUPTED,
    Word.NOTHING_MEASURED,
    Word.NOT_SHOWN,
    Word.UNDECIDED,
)
"""Verdicts that the badge spells out, since no sign stands for them alone."""
LABEL = "first audio"
_CHARACTER = 6.6
_PADDING = 12


def badge(run: RecordedRun) -> str:
    """Return the badge of one run."""
    return value_badge(LABEL, _value(run), run.final.word)


def value_badge(label: str, value: str, word: Word) -> str:
    """Return a badge with a value and the verdict on it."""
    if word in NAMED:
        value += f" {word.value.lower()}"
    elif word is not Word.NOT_JUDGED:
        value += f" {VERDICT_SIGNS[word]}"
    title = f"{label}: {value}" + ("" if word in (*NAMED, Word.NOT_JUDGED) else f" {word}")
    left, right = _width(label), _width(value)
    colour = COLOURS[VERDICT_STYLES[word]]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" '
        f'role="img" aria-label="{escape(title)}">\n'
        f"<title>{escape(title)}</title>\n"
        f'<clipPath id="r"><rect width="{left + right}" height="20" rx="3"/></clipPath>\n'
        f'<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#424a53"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>\n'
        '<g fill="#fff" text-anchor="middle" font-size="11" '
        'font-family="Verdana,Geneva,DejaVu Sans,sans-serif">\n'
        f'<text x="{left / 2:g}" y="14">{escape(label)}</text>\n'
        f'<text x="{left + right / 2:g}" y="14">{escape(value)}</text>\n'
        "</g>\n</svg>\n"
    )


def _value(run: RecordedRun) -> str:
    found = run.summary.metrics["first_audio_ms"]
    value, carried = found.quantile(TAIL)
    if value is None:
        return "not measured"
    return f"{form.quantity(value, 'ms')} {f'p{TAIL}' if carried else 'max'}"


def _width(text: str) -> int:
    return round(len(text) * _CHARACTER) + _PADDING
