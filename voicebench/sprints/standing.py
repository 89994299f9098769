"""The verdict of a run with its reasons and advice: a sprint begins with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from voicebench.judging.final import Word
from voicebench.judging.gates import Verdict
from voicebench.results.reading import object_in
from voicebench.results.run import RecordedRun
from voicebench.sprints.sprint import Sentence, SprintStanding

MOST_FLAGGED = 5


def standing_of(run: RecordedRun) -> SprintStanding:
    """Return the verdict of ``run``, the same as in its own report, with reasons and advice."""
    word = run.final.word
    return SprintStanding(
        word=word,
        judged=not word.is_obstacle,
        why=tuple(_why(word, run)),
        advice=tuple(_advice(run)),
    )


def _why(word: Word, run: RecordedRun) -> Iterator[Sentence]:
    turns, failed, planned = run.taken.measured, run.taken.failed, run.taken.planned
    if word is Word.INTERRUPTED:
        if planned is None:
            yield Sentence("why.interrupted", {"turns": turns})
        else:
            yield Sentence("why.interrupted of", {"turns": turns, "planned": planned})
    elif word is Word.NOTHING_MEASURED:
        yield Sentence("why.all failed" if turns else "why.no turn", {"turns": turns})
    elif word is Word.INVALID:
        yield Sentence("why.noise" if run.judged.invalid else "why.refused")
    elif run.gate_results:
        passed = sum(result.verdict is Verdict.PASS for result in run.gate_results)
        yield Sentence("why.gates", {"passed": passed, "gates": len(run.gate_results)})
    regressions = run.judged.regressions
    if regressions and not word.is_obstacle:
        kept = sum(found.verdict is Verdict.PASS for found in regressions)
        yield Sentence("why.baseline", {"kept": kept, "figures": len(regressions)})
    if run.final.nothing_compared and not word.is_obstacle:
        yield Sentence("why.nothing compared")
    if word is Word.NOT_JUDGED:
        yield Sentence("why.no gate")
    if failed and not word.is_obstacle:
        yield Sentence("why.failed", {"failed": failed, "turns": turns})


def _advice(run: RecordedRun) -> Iterator[Sentence]:
    """Yield what invalidates the run, its flagged audio, its advice, then all other noise."""
    noise = _judged(run, "noise")
    yield from (_noise(entry) for entry in noise if entry.get("invalidates") is True)
    yield from _flagged(run)
    for advice in run.advice:
        sentence = {"finding": advice.finding, "remedy": advice.remedy}
        yield Sentence(f"advice.{advice.kind}", {**advice.figures, **sentence})
    yield from (_noise(entry) for entry in noise if entry.get("invalidates") is not True)


def _flagged(run: RecordedRun) -> Iterator[Sentence]:
    flags = _judged(run, "flagged")
    runs = list(dict.fromkeys(str(flag.get("run")) for flag in flags))
    if runs:
        shown = ", ".join([*runs[:MOST_FLAGGED], *(["…"] if len(runs) > MOST_FLAGGED else [])])
        finding = str(flags[0].get("finding"))
        yield Sentence("flagged", {"flagged": len(runs), "runs": shown, "finding": finding})


def _noise(entry: Mapping[str, object]) -> Sentence:
    return Sentence(
        f"noise.{entry.get('kind')}", {key: str(entry.get(key)) for key in ("finding", "remedy")}
    )


def _judged(run: RecordedRun, name: str) -> list[Mapping[str, object]]:
    """Return the entries of ``name`` in the stored judgement of the run."""
    found = object_in(run.stored, "judgement").get(name)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
