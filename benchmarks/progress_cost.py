"""How much the display of progress delays the measured turns.

``python benchmarks/progress_cost.py`` plays scripted turns on the real clock into a pseudo terminal
that another process reads. Progress is hidden, shown by `voicebench.report.console.progress`, and
shown by Rich's own live display. It prints recorded minus scripted time for each, and then the cost
of one event and of one drawing.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from voicebench.audio.pcm import AudibleRule
from voicebench.checks.selftest import stamp_errors_ms
from voicebench.events import Event, Token
from voicebench.figures.summary import percentile
from voicebench.report.console.progress import REFRESH_S, Progress
from voicebench.targets.script import Script
from voicebench.targets.simulated import Simulated, VirtualClock
from voicebench.turn.recorder import Recorder
from voicebench.turn.timeline import Timeline

TURNS = 10
SCRIPT = Script(ttft_s=0.100, token_s=0.020, ttfb_s=0.070, speed_x=4.0, words=40)
Watch = Callable[[int, Event], None]


@contextmanager
def terminal() -> Iterator[Console]:
    """Yield a console on a pseudo terminal that another process reads."""
    reader, writer = os.openpty()
    with (
        subprocess.Popen(["cat"], stdin=reader, stdout=subprocess.DEVNULL) as cat,
        os.fdopen(writer, "w", encoding="utf-8") as file,
    ):
        os.close(reader)
        yield Console(file=file, force_terminal=True, width=100)
        cat.terminate()


@contextmanager
def hidden(_console: Console) -> Iterator[Watch | None]:
    """Show nothing."""
    yield None


@contextmanager
def shown(console: Console) -> Iterator[Watch | None]:
    """Show progress as voicebench does."""
    with Progress(console) as progress:
        yield progress.event


@contextmanager
def live(console: Console) -> Iterator[Watch | None]:
    """Show progress by Rich's live display, updated at each event."""
    with Live(console=console, refresh_per_second=1 / REFRESH_S) as display:
        yield lambda at_ns, event: display.update(Text(f"{type(event).__name__} at {at_ns}"))


def play(target: Simulated, watch: Watch | None) -> Timeline:
    """Record one turn."""
    recorder = Recorder(target.clock.now_ns, watch=watch)
    target.run("progress", recorder.emit)
    return recorder.seal(1, "measured", AudibleRule()).timeline


def microseconds(action: Callable[[], object], times: int) -> float:
    """Return the mean duration of ``action``."""
    start_s = time.perf_counter()
    for _ in range(times):
        action()
    return (time.perf_counter() - start_s) / times * 1e6


def main() -> None:
    """Measure and print."""
    scripted = play(Simulated(SCRIPT, VirtualClock()), None)
    table = Table(title="recorded minus scripted, ms", title_justify="left")
    for head in ("progress", "stamps", "p50", "p95", "max"):
        table.add_column(head)
    errors: dict[str, list[float]] = {"hidden": [], "shown": [], "Rich's live display": []}
    ways = dict(zip(errors, (hidden, shown, live), strict=True))
    with terminal() as console:
        for _ in range(TURNS):
            for name, way in ways.items():
                with way(console) as watch:
                    errors[name] += map(
                        abs, stamp_errors_ms(play(Simulated(SCRIPT), watch), scripted)
                    )
        progress = Progress(console)
        token = Token("word")
        event_us = microseconds(lambda: progress.event(0, token), 100_000)
        lines = iter(range(10**9))
        draw_us = microseconds(lambda: progress.say(f"line {next(lines)}"), 1000)
        with Live(console=console, auto_refresh=False) as display:
            live_us = microseconds(
                lambda: display.update(Text(f"line {next(lines)}"), refresh=True), 1000
            )
    for name, sizes in errors.items():
        figures = (percentile(sizes, 50), percentile(sizes, 95), max(sizes))
        table.add_row(name, str(len(sizes)), *(f"{figure:.3f}" for figure in figures))
    Console().print(table)
    print(f"one event {event_us:.2f} µs; one drawing {draw_us:.0f} µs, by Rich {live_us:.0f} µs")


if __name__ == "__main__":
    main()
