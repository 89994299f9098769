"""The figures as Markdown: printed, and put into docs/explanation/performance.md."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.first_audio.promises import NAMES, judge_all
from benchmarks.first_audio.ratios import METRICS, figure, known, ratio, values_of
from benchmarks.first_audio.rounds import Turns
from benchmarks.first_audio.rows import OURS, OURS_2, ROWS
from benchmarks.promised import Judged
from voicebench.figures.intervals import Interval, percentile_interval
from voicebench.figures.summary import percentile

FIRST_AUDIO = "first audio"
"""What stands in the marks around this benchmark's part of the page; others have their own."""
BEGIN, END = (f"<!-- {FIRST_AUDIO}: {where} -->" for where in ("begin", "end"))
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "performance.md"
PEERS = ("a", "b", "c", "e")

Parts = Mapping[str, object]
"""What the benchmark measured beside the turns, by the name of the part."""


def markdown(turns: Turns, parts: Parts) -> str:
    """Return all that was measured, section by section."""
    sections = [
        str(parts.get("about", "")),
        *(comparison(turns, condition) for condition in NAMES),
        promises(turns, parts),
        stages(parts),
        *(table_of(entry) for name in ("growth", "tries") for entry in _list(parts.get(name))),
    ]
    return "\n\n".join(section for section in sections if section)


def write(text: str, page: Path = PAGE, mark: str = FIRST_AUDIO) -> None:
    """Put ``text`` between the marks of ``page``; make the page if it is missing.

    Raises `ValueError` if the marks are missing.
    """
    begin, end = (f"<!-- {mark}: {where} -->" for where in ("begin", "end"))
    old = page.read_text(encoding="utf-8") if page.exists() else f"{begin}\n{end}\n"
    pattern = re.compile(rf"({begin}\n).*?({end})", re.DOTALL)
    if len(pattern.findall(old)) != 1:
        raise ValueError(f"{page} has not exactly one part between {begin} and {end}")
    new = pattern.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", old)
    page.write_text(new, encoding="utf-8")


def comparison(turns: Turns, condition: str) -> str:
    """Return one condition's rows: the four metrics, and how many times voicebench is faster."""
    rows = []
    for row in ROWS:
        taken = turns.get((row.key, condition), [])
        if not taken:
            continue
        failed = sum(turn.failed for turn in taken)
        cells = [
            f"**{row.key}** {row.title}",
            f"{len(taken)}{f' ({failed} failed)' * bool(failed)}",
        ]
        for metric in METRICS:
            p50, p95 = (figure(taken, metric, q) for q in (50, 95))
            cells.append(f"{_ms(p50)} / {_ms(p95)}")
        values = known(values_of(taken, "first_audio_ms"))
        around = percentile_interval(values, 50)
        cells.append(_range(around, 0) if around else "–")
        rows.append(cells)
    if not rows:
        return ""
    columns = ["pipeline", "turns", *(f"`{name.removesuffix('_ms')}`" for name in METRICS)]
    head = f"### {NAMES[condition][0].upper()}{NAMES[condition][1:]}\n\n"
    head += "p50 / p95 in milliseconds.\n\n"
    text = head + table([*columns, "`first_audio` p50, 95 %"], rows)
    return "\n\n".join(filter(None, (text, _others(turns, condition), _ratios(turns, condition))))


def _others(turns: Turns, condition: str) -> str:
    """Return the share of the cores that other programs used, if the turns have it."""
    shares = [
        turn.machine.cpu_others
        for (_, when), taken in turns.items()
        for turn in taken
        if when == condition and turn.machine is not None and turn.machine.cpu_others is not None
    ]
    if not shares:
        return ""
    p50, p95 = (100 * percentile(shares, q) for q in (50, 95))
    return f"Other programs used {p50:.0f} % of the cores in the median turn, {p95:.0f} % at p95."


def _ratios(turns: Turns, condition: str) -> str:
    rows = []
    pairs = [(peer, ours.key) for ours in (OURS, OURS_2) for peer in PEERS]
    for slower, faster in (*pairs, (OURS.key, OURS_2.key)):
        sides = [turns.get((key, condition), []) for key in (slower, faster)]
        cells = [_ratio(*(values_of(side, metric) for side in sides)) for metric in METRICS]
        if set(cells) != {"–"}:
            rows.append([f"({slower}) over ({faster})", *cells])
    if not rows:
        return ""
    columns = ["how many times as long", *(f"`{name.removesuffix('_ms')}`" for name in METRICS)]
    return "Ratios of p50 · of p95, with their 95 % intervals:\n\n" + table(columns, rows)


def _ratio(slow: Sequence[float | None], fast: Sequence[float | None]) -> str:
    found = [one for q in (50, 95) if (one := ratio(slow, fast, q)) is not None]
    return " · ".join(f"{one.ratio:.2f} ({_range(one.interval, 2)})" for one in found) or "–"


def promises(turns: Turns, parts: Parts) -> str:
    """Return every promise with its measured value."""
    rows = [[one.promise, one.found, one.word] for one in judged(turns, parts)]
    return "### The promises\n\n" + table(["promise", "found here", ""], rows)


def judged(turns: Turns, parts: Parts) -> list[Judged]:
    """Return every promise judged on all that was measured."""
    startup = parts.get("startup")
    return judge_all(turns, startup if isinstance(startup, Mapping) else None)


def stages(parts: Parts) -> str:
    """Return the stages of row d3 against the floor of the memory."""
    entries = _list(parts.get("stages"))
    if not entries:
        return ""
    rows = []
    for entry in entries:
        p50, floor, size = (float(entry[name]) for name in ("p50_ms", "floor_ms", "read_bytes"))
        rows.append(
            [
                str(entry["name"]),
                f"{p50:.1f}",
                f"{size / 1e6:.0f}",
                f"{floor:.1f}",
                f"{p50 / floor:.1f} ×" if floor else "–",
            ]
        )
    columns = ["stage (row d3, back to back)", "p50, ms", "reads, MB", "floor, ms", "above"]
    text = "### By stage, against the floor of the memory\n\n"
    return text + f"{parts.get('bandwidth', '')}\n\n" + table(columns, rows)


def table_of(entry: Mapping[str, object]) -> str:
    """Return a part's table with its title."""
    columns = [str(name) for name in _list(entry["columns"])]
    rows = [[_cell(cell) for cell in _list(row)] for row in _list(entry["rows"])]
    title = str(entry["title"])
    return f"### {title[0].upper()}{title[1:]}\n\n" + table(columns, rows)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; all columns except the first are aligned right."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return (
        f"{value:.0f}"
        if isinstance(value, float) and value >= 10
        else (f"{value:.1f}" if isinstance(value, float) else str(value))
    )


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _range(interval: Interval | None, digits: int) -> str:
    if interval is None:
        return "–"
    ends = ("…" if end is None else f"{end:.{digits}f}" for end in (interval.low, interval.high))
    return " to ".join(ends)


def _list(value: object) -> list:  # type: ignore[type-arg]
    return value if isinstance(value, list) else []
