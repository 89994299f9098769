"""The sprint as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from voicebench import format as form
from voicebench.report.markdown import escape, markdown_table
from voicebench.report.sprint.analysis import analyse, named
from voicebench.report.sprint.readings import MET, Reading, Status, same, whole_or_rounded
from voicebench.report.sprint.sprint import RunTable, Sprint
from voicebench.report.sprint.words import Lang, Words

MOST_COMMITS = 30
MOST_FILES = 40


def sprint_page(sprint: Sprint, before: Sprint | None, lang: Lang = "en") -> str:
    """Return the page; ``before`` is the sprint that it is compared with."""
    words = Words(lang)
    states = sprint.statuses(before)
    sections = [
        _front_matter(sprint, states, words),
        f"# {words('sprint', n=sprint.number)}\n",
        _section(words("summary"), _summary(sprint, before, states, words)),
        _section(words("changes"), _changes(sprint, words)),
    ]
    if sprint.lengths:
        sections.append(_section(words("lengths"), _lengths(sprint, words)))
    sections += [
        _section(_runs_title(table, sprint, words), _runs(table, words)) for table in sprint.tables
    ]
    sections += [
        _section(words("tests"), _tests(sprint, words)),
        _section(words("score card"), _scores(sprint, before, words)),
        _section(words("analysis"), _analysis(sprint, before, words)),
        _section(words("files"), _files(sprint, words)),
        _section(words("conclusion"), _conclusion(sprint, before, states, words)),
    ]
    return "\n".join(sections)


def conclusion_lines(sprint: Sprint, before: Sprint | None, lang: Lang = "en") -> list[str]:
    """Return the sprint in a few lines: score, runs, targets, tests."""
    return _lines(sprint, before, sprint.statuses(before), Words(lang))


def _section(title: str, content: str) -> str:
    return f"## {title}\n\n{content.rstrip()}\n"


def _front_matter(sprint: Sprint, states: Sequence[Status], words: Words) -> str:
    """Return YAML whose keys are the same in every language."""
    commits = sprint.commits
    span = f"{commits[-1].hash}..{commits[0].hash}" if commits else None
    lines = [
        "---",
        f"sprint: {sprint.number}",
        f"started: {_yaml(sprint.started_at) if sprint.started_at else 'null'}",
        f"status: {_yaml(_targets_met(states, words))}",
        f"commits: {len(commits)}",
        f"range: {_yaml(span) if span else 'null'}",
        "results:" + ("" if sprint.results else " []"),
        *(f"  - {_yaml(result)}" for result in sprint.results),
        "---\n",
    ]
    return "\n".join(lines)


def _yaml(text: str) -> str:
    quoted = form.one_line(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'


def _targets_met(states: Sequence[Status], words: Words) -> str:
    met = sum(state in MET for state in states)
    return words("all met" if met == len(states) else "some met", met=met, n=len(states))


def _summary(sprint: Sprint, before: Sprint | None, states: Sequence[Status], words: Words) -> str:
    earlier = before.readings if before else ()
    rows = []
    for reading, state in zip(sprint.readings, states, strict=True):
        was = same(reading, earlier)
        rows.append(
            [
                named(reading, words),
                was.text() if was else form.NOTHING,
                reading.text(),
                _target(reading, words),
                words(state, kept=reading.kept, of=reading.of),
            ]
        )
    previous = words("sprint", n=before.number) if before else form.NOTHING
    head = [words("metric"), previous, words("this sprint"), words("target"), words("status")]
    return markdown_table(head, rows, [False, True, True, True, False]) + "\n"


def _target(reading: Reading, words: Words) -> str:
    if reading.name == "tests":
        return words("all pass")
    return "ok" if reading.name == "websocket" else reading.target()


def _changes(sprint: Sprint, words: Words) -> str:
    if not sprint.commits:
        return words("no commits") + "\n"
    lines = [f"- {escape(one.subject)} (`{one.hash}`)" for one in sprint.commits[:MOST_COMMITS]]
    if len(sprint.commits) > MOST_COMMITS:
        lines.append(f"- {words('more commits', n=len(sprint.commits) - MOST_COMMITS)}")
    return "\n".join(lines) + "\n"


def _lengths(sprint: Sprint, words: Words) -> str:
    rows = [
        [
            length.characters,
            str(length.chunks),
            _ms(length.first_byte_ms),
            _ms(length.total_ms),
        ]
        for length in sprint.lengths
    ]
    head = [words("characters"), words("chunks"), words("first byte"), words("total")]
    return markdown_table(head, rows, [True] * 4) + "\n"


def _runs_title(table: RunTable, sprint: Sprint, words: Words) -> str:
    several = len(sprint.tables) > 1
    return f"{words('runs')}: {escape(table.name)}" if several else words("runs")


def _runs(table: RunTable, words: Words) -> str:
    rows = []
    for run in table.runs:
        kept = "pass" if run.keeps(table.limit_ms) else "failed" if run.failed else "fail"
        figures = (run.llm_ms, run.tts_ttfb_ms, run.first_audio_ms)
        rows.append([str(run.run), *map(_ms, figures), words(kept)])
    head = [words("run"), words("llm"), words("ttfb"), words("first audio"), words("status")]
    lines = [markdown_table(head, rows, [True, True, True, True, False]), ""]
    if len(table.runs) < table.count:
        lines += [words("shortlist", shown=len(table.runs), count=table.count) + "  "]
    limit = form.limit(table.limit_ms, "ms")
    share = form.percent(table.kept / table.count if table.count else None)
    lines.append(words("success", kept=table.kept, of=table.count, limit=limit, share=share) + "  ")
    if table.best_ms is not None:
        lines.append(words("best", best=_ms(table.best_ms), run=table.best_run))
    return "\n".join(lines) + "\n"


def _tests(sprint: Sprint, words: Words) -> str:
    tests = _reading(sprint, "tests")
    if tests is None:
        return words("no tests") + "\n"
    share = form.percent((tests.kept or 0) / tests.of if tests.of else None)
    return words("tests passed", passed=tests.kept, total=tests.of, share=share) + "\n"


def _scores(sprint: Sprint, before: Sprint | None, words: Words) -> str:
    earlier = {score.aspect: score.points for score in before.scores} if before else {}
    rows = []
    for score in sprint.scores:
        why = words("by hand") if score.by_hand else score.why or words("not measured")
        points = form.NOTHING if score.points is None else f"{_points(score.points)}/10"
        rows.append(
            [words(score.aspect), points, _gain(earlier.get(score.aspect), score.points), why]
        )
    total = form.NOTHING if sprint.total is None else _of(sprint)
    gain = _signed(sprint.gained(before))
    rows.append([words("score total"), total, gain, _before(before, words)])
    head = [words("aspect"), words("points"), words("change"), words("from")]
    table = markdown_table(head, rows, [False, True, True, False]) + "\n"
    added = sprint.sum_of_aspects
    if added is None or sprint.total is None or added == sprint.total:
        return table
    note = words("other sum", total=_points(sprint.total), sum=_points(added))
    return f"{table}\n{note}\n"


def _analysis(sprint: Sprint, before: Sprint | None, words: Words) -> str:
    found = analyse(sprint, before, words)
    parts = []
    for title, sentences in (
        ("well", found.well),
        ("improve", found.improve),
        ("next", found.to_try),
    ):
        lines = [f"- {escape(sentence)}" for sentence in sentences] or [words("nothing")]
        parts.append("\n".join([f"### {words(title)}\n", *lines]) + "\n")
    return "\n".join(parts)


def _files(sprint: Sprint, words: Words) -> str:
    if not sprint.files:
        return words("no files") + "\n"
    busiest = sorted(
        sprint.files, key=lambda change: -((change.added or 0) + (change.removed or 0))
    )
    rows = [
        [change.path, _count("+", change.added), _count("−", change.removed)]
        for change in sorted(busiest[:MOST_FILES], key=lambda change: change.path)
    ]
    table = markdown_table([words("file"), "+", "−"], rows, [False, True, True])
    more = len(sprint.files) - MOST_FILES
    return table + "\n" + (f"\n{words('more files', n=more)}\n" if more > 0 else "")


def _conclusion(
    sprint: Sprint, before: Sprint | None, states: Sequence[Status], words: Words
) -> str:
    lines = _lines(sprint, before, states, words)
    width = max(cell_len(line) for line in lines)
    boxed = [f"│ {line}{' ' * (width - cell_len(line))} │" for line in lines]
    frame = "─" * (width + 2)
    return "\n".join(["```text", f"┌{frame}┐", *boxed, f"└{frame}┘", "```"]) + "\n"


def _lines(
    sprint: Sprint, before: Sprint | None, states: Sequence[Status], words: Words
) -> list[str]:
    lines = [words("sprint", n=sprint.number)]
    if sprint.total is not None:
        score = words(
            "box.score",
            total=_points(sprint.total),
            possible=sprint.possible,
            share=form.percent(sprint.total / sprint.possible),
        )
        earlier = _before(before, words)
        lines.append(f"{score}; {earlier}" if earlier else score)
    lines += [
        words(
            "box.runs",
            kept=table.kept,
            of=table.count,
            limit=form.limit(table.limit_ms, "ms"),
            share=form.percent(table.kept / table.count),
            best=_ms(table.best_ms),
            run=table.best_run,
        )
        for table in sprint.tables
        if table.best_ms is not None
    ]
    met = sum(state in MET for state in states)
    lines.append(words("box.targets", met=met, n=len(states)))
    tests = _reading(sprint, "tests")
    if tests is not None:
        lines.append(words("box.tests", passed=tests.kept, total=tests.of))
    return lines


def _before(before: Sprint | None, words: Words) -> str:
    if before is None or before.total is None:
        return ""
    return words(
        "box.before",
        n=before.number,
        total=_points(before.total),
        possible=before.possible,
        share=form.percent(before.total / before.possible),
    )


def _of(sprint: Sprint) -> str:
    assert sprint.total is not None
    share = form.percent(sprint.total / sprint.possible)
    return f"{_points(sprint.total)}/{sprint.possible} ({share})"


def _gain(before: float | None, now: float | None) -> str:
    if before is None or now is None:
        return form.NOTHING
    return _signed(round(now - before, 1))


def _signed(gained: float | None) -> str:
    if gained is None:
        return form.NOTHING
    return f"{gained:+g}" if gained else "±0"


def _count(sign: str, count: int | None) -> str:
    return form.NOTHING if count is None else f"{sign}{count}"


def _ms(value: float | None) -> str:
    return form.NOTHING if value is None else f"{whole_or_rounded(value, 'ms')} ms"


def _points(points: float) -> str:
    return form.number(points, "count")


def _reading(sprint: Sprint, name: str) -> Reading | None:
    return next((reading for reading in sprint.readings if reading.name == name), None)
