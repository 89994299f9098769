"""``voicebench say``: speak a text, or the answer to a question, through the loudspeaker."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voicebench.cli.options import Device, Json, Llm, Set, Voice, effective_settings
from voicebench.cli.output import Force, print_json
from voicebench.cli.server_options import KeyEnv, LlmUrl, Server, TtsUrl, server_settings
from voicebench.cli.shown import shown, to_stderr
from voicebench.cli.spoken_text import text_or_question
from voicebench.errors import CannotMeasure, UsageError

if TYPE_CHECKING:
    from voicebench.audio.speaker import Played
    from voicebench.events import Emit
    from voicebench.measuring.speaking import HeardTurn
    from voicebench.settings import Settings


def say(
    text: Annotated[
        str | None,
        typer.Argument(help="Text to speak. Default: standard input, spoken while it arrives."),
    ] = None,
    ask: Annotated[
        str | None,
        typer.Option(
            metavar="QUESTION",
            help="Let the language model answer this question, and speak the reply.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.wav",
            help="Write a WAV file instead of playing. With --speaker: do both.",
        ),
    ] = None,
    force: Force = False,
    speaker: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Loudspeaker: its name, a part of its name, or its number."
        ),
    ] = None,
    buffer_ms: Annotated[
        float,
        typer.Option(
            "--speaker-buffer",
            metavar="MS",
            min=1,
            max=2000,
            help="Length of the loudspeaker's buffer. A longer one is safer on a busy machine, "
            "but the sound is heard later.",
        ),
    ] = 50.0,
    list_speakers: Annotated[
        bool, typer.Option("--list-speakers", help="List the loudspeakers and exit.")
    ] = False,
    voice: Voice = None,
    llm: Llm = None,
    device: Device = None,
    server: Server = None,
    llm_url: LlmUrl = None,
    tts_url: TtsUrl = None,
    key_env: KeyEnv = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings file (TOML), or the name of one; see run."),
    ] = None,
    assignments: Set = None,
    as_json: Json = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print no progress and no figures on stderr.")
    ] = False,
) -> None:
    """Speak a text aloud while it is being synthesized.

    Then print how soon it was heard.

    Examples:

      voicebench say "Hello, how are you?"

      voicebench say --ask "What is the capital of France?"

      tail -f log.txt | voicebench say

      voicebench say "Hello" --output hello.wav

      voicebench say "Hello" --tts-url http://127.0.0.1:8880/v1 --voice af_heart
    """
    from rich.console import Console

    from voicebench.audio.loudspeakers import find_speaker
    from voicebench.cli.models import fetch_with_progress
    from voicebench.targets.kinds import check_target

    if list_speakers:
        _print_speakers(as_json)
        return
    report = _ignore if quiet else to_stderr
    settings = effective_settings(
        config,
        assignments,
        {"run.device": device, "tts.voice": voice, "llm.model": llm}
        | server_settings(server, llm_url=llm_url, tts_url=tts_url),
        key_env=key_env,
    ).settings
    aloud = output is None or speaker is not None
    pieces, question = text_or_question(text, ask)
    check_target(settings)
    if aloud:
        find_speaker(speaker)
    if output is not None:
        _check_output(output, force=force)
    console = Console(stderr=True, quiet=quiet)
    fetch_with_progress(settings, console, voice_only=question is None)
    heard = _speak(
        settings,
        pieces,
        question,
        aloud=aloud,
        speaker=speaker,
        buffer_ms=buffer_ms,
        output=output,
        print_reply=question is not None and not as_json and not quiet,
        report=report,
    )
    if as_json:
        print_json(_document(heard, output))
    for line in _figures(heard, output):
        report(line)


def _check_output(output: Path, *, force: bool) -> None:
    """Raise `UsageError` if the WAV cannot be written, before a model is loaded."""
    if output.is_dir():
        raise UsageError(f"--output {output} is a folder", "name a file in it")
    if output.suffix.lower() not in ("", ".wav", ".wave"):
        raise UsageError(f"--output {output} is not a WAV file", "name a file that ends with .wav")
    place = output if output.exists() else output.absolute().parent
    if not place.exists():
        raise UsageError(f"the folder of --output {output} does not exist", f"make {place} first")
    if not os.access(place, os.W_OK):
        raise UsageError(f"--output {output} cannot be written", "choose another place")
    if output.is_file() and not force:
        raise UsageError(f"--output {output} is there already", "give --force to replace it")


def _speak(
    settings: Settings,
    pieces: Iterator[str],
    question: str | None,
    *,
    aloud: bool,
    speaker: str | None,
    buffer_ms: float,
    output: Path | None,
    print_reply: bool,
    report: Callable[[str], None],
) -> HeardTurn:
    """Load what is needed, take the turn, and return when its last sample was played."""
    from voicebench.measuring.plan import audible_rule
    from voicebench.measuring.speaking import Listener, read_aloud, silenced_by_signals
    from voicebench.settings import secrets_of
    from voicebench.targets.engine_opening import open_voice
    from voicebench.targets.kinds import open_target
    from voicebench.text.chunking import Chunker

    printer = _ReplyPrinter()
    with ExitStack() as stack:
        if question is None:
            tts = stack.enter_context(closing(open_voice(settings, report)))
            description = tts.describe()
            chunker = Chunker(settings.chunker.first_words, settings.chunker.later_words)

            def turn(emit: Emit) -> None:
                read_aloud(pieces, emit, tts=tts, chunker=chunker)
        else:
            target = stack.enter_context(closing(open_target(settings, report)))
            description = target.describe()

            def turn(emit: Emit) -> None:
                target.run(question, emit)

        listener = stack.enter_context(
            Listener(
                aloud=aloud,
                speaker=speaker,
                buffer_ms=buffer_ms,
                output=output,
                preferred_rate=_rate(description),
                on_token=printer.take if print_reply else None,
                secrets=secrets_of(settings),
            )
        )
        if listener.speaker is not None:
            stack.enter_context(silenced_by_signals(listener.speaker.stop))
        heard = listener.listen(turn, audible_rule(settings.audible))
    if print_reply:
        printer.finish()
    failure = heard.recording.timeline.failure
    if failure is not None:
        raise CannotMeasure(f"nothing usable was spoken: {failure.reason}")
    return heard


def _rate(description: dict[str, object]) -> int | None:
    """Return the voice's sample rate in Hz, if it is known: the loudspeaker is opened with it."""
    voice = description.get("tts", description)
    rate = voice.get("sample_rate") if isinstance(voice, dict) else None
    return rate if isinstance(rate, int) else None


def _document(heard: HeardTurn, output: Path | None) -> dict[str, object]:
    from voicebench.figures.metrics import compute

    turn = heard.recording.timeline
    return {
        "schema": 1,
        "prompt": turn.prompt,
        "reply": turn.reply or None,
        "phase": turn.phase,
        "metrics": compute(turn),
        "speaker": asdict(heard.played) if heard.played else None,
        "output": str(output) if output else None,
    }


def _figures(heard: HeardTurn, output: Path | None) -> Iterator[str]:
    """Yield the figures of the turn, one line each."""
    from voicebench.figures.metrics import compute
    from voicebench.format import quantity

    figures, played = compute(heard.recording.timeline), heard.played
    yield f"first audio  {quantity(figures['first_audio_ms'], 'ms')}  (first turn after loading)"
    yield f"first sound  {quantity(figures['first_sound_ms'], 'ms')}"
    if played is not None:
        yield (
            f"speaker_ms   {quantity(figures['speaker_ms'], 'ms')}  "
            f"(DAC time of {played.speaker}; {quantity(played.delay_ms, 'ms')} of it in the device)"
        )
        yield f"underruns    {_underruns(played)}"
    yield f"audio        {quantity(figures['audio_s'], 's')}{f'  in {output}' if output else ''}"


def _underruns(played: Played) -> str:
    """Return in words how often the sound stopped, and the remedy."""
    from voicebench.format import plural, quantity

    underruns = f"{played.device_underruns} of the device"
    if played.device_underruns:
        underruns += " (the machine was too busy to feed it: try a larger --speaker-buffer)"
    if played.gaps:
        underruns += (
            f"; {plural(played.gaps, 'gap')} of {quantity(played.gap_ms, 'ms')} in all, "
            "because the next words were not ready"
        )
    return underruns


def _print_speakers(as_json: bool) -> None:
    from voicebench.audio.loudspeakers import list_speakers

    speakers = list_speakers()
    if as_json:
        print_json([asdict(speaker) for speaker in speakers])
        return
    if not speakers:
        to_stderr("there is no sound device that can play")
    for speaker in speakers:
        line = (
            f"{'*' if speaker.is_default else ' '} {speaker.index:>2}  {speaker.name}  "
            f"({speaker.host_api}, {speaker.sample_rate} Hz)"
        )
        typer.echo(shown(line))


class _ReplyPrinter:
    """Prints a reply word by word, because a key that must be hidden may arrive in pieces."""

    def __init__(self) -> None:
        self._held = ""

    def take(self, text: str) -> None:
        """Print the words that ``text`` completes."""
        whole, space, self._held = (self._held + text).rpartition(" ")
        typer.echo(shown(whole + space), nl=False)

    def finish(self) -> None:
        """Print the last word."""
        typer.echo(shown(self._held))


def _ignore(_line: str) -> None:
    """Print nothing."""
