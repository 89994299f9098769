"""One run, from its settings to its record: check, open, take the turns, judge."""

from __future__ import annotations

from pathlib import Path

from voicebench.errors import UsageError
from voicebench.judging.judgement import look_counts
from voicebench.measuring.open_run import open_folder, open_run, until_interrupted
from voicebench.measuring.plan import Observer, check_language, prompts_for
from voicebench.results.baseline import wanted_baseline
from voicebench.results.folder import check_writable
from voicebench.results.run import RecordedRun
from voicebench.settings import Effective, Settings
from voicebench.targets import Conversing, Target
from voicebench.targets.kinds import check_target, kind_of
from voicebench.targets.recorded_names import expected_settings
from voicebench.text.prompts import PromptSet


def run_session(
    effective: Effective, observer: Observer, target: Target | None = None
) -> RecordedRun:
    """Measure what ``effective`` describes. Raises a `VoicebenchError` if nothing can be measured.

    ``target`` is one that is open already, and stays open; without it, the settings name it.

    After each look the gates are judged; no more turns are taken once all are decided.
    """
    settings = effective.settings
    baseline = check_session(settings, target)
    opened = open_folder(effective, target, observer) if target else open_run(effective, observer)
    with opened as run:
        observer.planned(run.planned)
        with until_interrupted(run):
            for count in look_counts(settings.model_dump()):
                run.take_until(count)
                if run.is_decided():
                    break
            run.take_idle()
        return run.finish(baseline)


def check_session(settings: Settings, target: Target | None = None) -> RecordedRun | None:
    """Return the baseline, if the settings name one.

    Raises a `VoicebenchError` for settings that cannot be measured. Takes milliseconds: no model
    is fetched or loaded. ``target`` is as for `run_session`.
    """
    if target is None:
        check_target(settings)
        if settings.run.target == "cascade" and settings.tts.url is None:
            check_language(settings, {"tts": {"voice": settings.tts.voice}})
    if not isinstance(target, Conversing):
        check_conversations(settings, prompts_for(settings, "en"))
    check_writable(Path(settings.run.results))
    return wanted_baseline(settings, lambda: expected_settings(settings))


def check_conversations(settings: Settings, prompts: PromptSet) -> None:
    """Raise `UsageError` for conversations with a target that cannot be told what was said."""
    kind = kind_of(settings)
    is_wanted = settings.run.turns_per_conversation > 1 or prompts.conversations
    if is_wanted and kind.why_no_history is not None:
        raise UsageError(
            f"target {kind.name!r} cannot have conversations: {kind.why_no_history}",
            "measure a language model in process or a chat server (--server http://…), or leave "
            "--turns-per-conversation and prompts in conversations out",
        )
