"""The sprint as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len

from voicebench import format as form
from voicebench.report.exchange.markdown import escape, markdown_table
from voicebench.sprints.analysis import analyse
from voicebench.sprints.comparing import compare_sprints
from voicebench.sprints.first_lines import conclusion_lines, front_matter, opening, title
from voicebench.sprints.language import Lang
from voicebench.sprints.readings import SIGNS
from voicebench.sprints.sprint import RunTable, Sprint
from voicebench.sprints.sprint_tables import score_table, summary_table
from voicebench.sprints.words import Words
from voicebench.sprints.work import changes, files


def sprint_page(sprint: Sprint, before: Sprint | None, lang: Lang = "en") -> str:
    """Return the page; ``before`` is the sprint that it is compared with."""
    words = Words(lang)
    compared = compare_sprints(sprint, before)
    sections = [
        front_matter(sprint, compared, words),
        f"# {escape(title(sprint, words))}\n",
        opening(sprint, before, compared, words),
        _section(words("summary"), summary_table(sprint, before, compared, words)),
        _section(words("changes"), changes(sprint, words)),
    ]
    sections += [_section(*part) for part in _measurements(sprint, words)]
    sections += [
        _section(words("tests"), _tests(sprint, words)),
        _section(words("score card"), score_table(sprint, before, words)),
        _section(words("analysis"), _analysis(sprint, before, words)),
        _section(words("files"), files(sprint, words)),
        _section(words("conclusion"), _box(conclusion_lines(sprint, before, lang))),
    ]
    if sprint.closing is not None:
        sections.append(f"---\n\n*{escape(words.text(sprint.closing))}*\n")
    return "\n".join(sections)


def _section(heading: str, content: str) -> str:
    return f"## {heading}\n\n{content.rstrip()}\n"


def _measurements(sprint: Sprint, words: Words) -> Iterator[tuple[str, str]]:
    if sprint.first_chunks:
        yield words("first chunks"), _first_chunks(sprint, words)
    if sprint.lengths:
        yield words("lengths"), _lengths(sprint, words)
    for table in sprint.tables:
        yield words.of_result(escape(sprint.said_of(table)), words("runs")), _runs(table, words)


def _first_chunks(sprint: Sprint, words: Words) -> str:
    rows = [
        [
            words.text(chunk.text) + (f" ({words('cold')})" if chunk.cold else ""),
            words.ms(chunk.first_byte_ms),
        ]
        for chunk in sprint.first_chunks
    ]
    return markdown_table([words("text"), words("first byte")], rows, [False, True]) + "\n"


def _lengths(sprint: Sprint, words: Words) -> str:
    counted = any(length.chunks is not None for length in sprint.lengths)
    rows = []
    for length in sprint.lengths:
        chunks = form.NOTHING if length.chunks is None else str(length.chunks)
        took = [words.ms(length.first_byte_ms), words.ms(length.total_ms)]
        rows.append([length.characters, *([chunks] if counted else []), *took])
    head = [words("characters"), *([words("chunks")] if counted else [])]
    head += [words("first byte"), words("total")]
    return markdown_table(head, rows, [True] * len(head)) + "\n"


def _runs(table: RunTable, words: Words) -> str:
    if not table.count:
        return words("no runs") + "\n"
    rows = []
    for run in table.runs:
        kept = "pass" if run.keeps(table.limit_ms) else "failed" if run.failed else "fail"
        in_time = words(kept) if table.judged else f"{SIGNS['not judged']} {words('not judged')}"
        figures = (run.llm_ms, run.tts_ttfb_ms, run.first_audio_ms)
        rows.append([str(run.run), *map(words.ms, figures), in_time])
    head = [words("run"), words("llm"), words("ttfb"), words("first audio"), words("in time")]
    lines = [markdown_table(head, rows, [True, True, True, True, False]), ""]
    if len(table.runs) < table.count:
        lines += [words("shortlist", shown=len(table.runs), count=table.count) + "  "]
    if not table.judged:
        return "\n".join(lines) + "\n"
    limit, share = words.limit(table.limit_ms, "ms"), words.percent(table.kept / table.count)
    lines.append(words("success", kept=table.kept, of=table.count, limit=limit, share=share) + "  ")
    if table.best_ms is not None:
        lines.append(words("best", best=words.ms(table.best_ms), run=table.best_run))
    return "\n".join(lines) + "\n"


def _tests(sprint: Sprint, words: Words) -> str:
    tests = sprint.reading("tests")
    if tests is None:
        return words("no tests") + "\n"
    share = words.percent((tests.kept or 0) / tests.of if tests.of else None)
    line = words("tests passed", passed=tests.kept, total=tests.of, share=share)
    suite = sprint.suite
    more = [
        *([] if suite.skipped is None else [words("skipped", n=suite.skipped)]),
        *([] if suite.warnings is None else [words("warnings", n=suite.warnings)]),
        *([] if suite.seconds is None else [words.figure(f"{suite.seconds:.2f} s")]),
    ]
    return (f"{line} {', '.join(more)}." if more else line) + "\n"


def _analysis(sprint: Sprint, before: Sprint | None, words: Words) -> str:
    found, said = analyse(sprint, before, words), sprint.reported
    parts = []
    for heading, reported, sentences in (
        ("well", said.well, found.well),
        ("improve", said.improve, found.improve),
        ("next", said.to_try, found.to_try),
    ):
        lines = [f"- {escape(sentence)}" for sentence in sentences] or [words("nothing")]
        if reported:
            told = [f"- {escape(words.text(one))}" for one in reported]
            ours = ["", words("as figures say") + "\n", *lines]
            lines = [words("as reported") + "\n", *told, *ours]
        parts.append("\n".join([f"### {words(heading)}\n", *lines]) + "\n")
    return "\n".join(parts)


def _box(lines: Sequence[str]) -> str:
    width = max(cell_len(line) for line in lines)
    boxed = [f"│ {line}{' ' * (width - cell_len(line))} │" for line in lines]
    frame = "─" * (width + 2)
    return "\n".join(["```text", f"┌{frame}┐", *boxed, f"└{frame}┘", "```"]) + "\n"
