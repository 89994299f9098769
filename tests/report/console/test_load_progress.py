"""The table of levels that grows while a run under load goes on."""

from __future__ import annotations

import io

from rich.console import Console

from voicebench.load.level import LevelJudgement
from voicebench.load.level_rule import LevelStanding, Window
from voicebench.report.console.load_progress import MOST_ROWS, LoadProgress


def console(*, terminal: bool, quiet: bool = False) -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=terminal,
        force_interactive=terminal,
        width=100,
        color_system=None,
        quiet=quiet,
        _environ={},
    )


def written(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


def level(number: int, callers: int) -> dict[str, object]:
    return {"level": number, "purpose": "climb", "callers": callers}


def so_far(turns: int) -> LevelJudgement:
    window = Window(10.0, 40.0)
    rates: dict[str, float | None] = {"good.rate": 0.75, "errors.rate": 0.0}
    return LevelJudgement(
        LevelStanding.UNDECIDED, window, (), turns=turns, rates=rates, in_flight=2.5
    )


def test_a_level_shows_what_is_known_so_far_and_then_its_result() -> None:
    screen = console(terminal=True)
    with LoadProgress(screen) as progress:
        progress.began(level(1, 8))
        progress.looked(so_far(31), 40.0)
        shown = written(screen)
        assert "so far" in shown
        assert "31" in shown
        assert "75" in shown
        assert "level 1: 40.0 s held" in shown
        progress.ended({**level(1, 8), "standing": "holds"})
        assert "holds" in written(screen)


def test_a_pipe_gets_one_plain_line_for_each_level() -> None:
    pipe = console(terminal=False)
    with LoadProgress(pipe) as progress:
        progress.began(level(1, 8))
        progress.looked(so_far(31), 40.0)
        assert not written(pipe)
        progress.ended({**level(1, 8), "standing": "holds"})
        progress.began(level(2, 16))
        progress.ended({**level(2, 16), "standing": None, "interrupted": True})
    assert written(pipe) == (
        "level 1 (climb), 8 callers: holds\nlevel 2 (climb), 16 callers: so far\n"
    )


def test_quiet_shows_nothing() -> None:
    for terminal in (True, False):
        silent = console(terminal=terminal, quiet=True)
        with LoadProgress(silent) as progress:
            progress.began(level(1, 8))
            progress.ended({**level(1, 8), "standing": "holds"})
        assert not written(silent)


def test_very_many_levels_fit_the_screen() -> None:
    screen = console(terminal=True)
    progress = LoadProgress(screen)
    for number in range(1, MOST_ROWS + 11):
        progress.began(level(number, number))
        progress.ended({**level(number, number), "standing": "holds"})
    screen.print(progress.shown())
    assert "10 earlier levels are not shown" in written(screen)
    assert written(screen).count("holds") == MOST_ROWS
