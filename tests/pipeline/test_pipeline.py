"""The two threads of a turn: what runs beside what, and how a turn ends when something breaks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import pytest
from scripted_engines import PATIENCE_S, Scripted, sound, until, words

from voicebench.audio.pcm import AudibleRule
from voicebench.errors import EngineError, ModelError
from voicebench.events import (
    AudioChunk,
    Connected,
    Event,
    FirstByte,
    Reply,
    SilenceTrimmed,
    TextChunk,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
    Usage,
)
from voicebench.figures.metrics import compute
from voicebench.pipeline.pipeline import WRITER, run_turn, speak_text, steps
from voicebench.pipeline.scheduling import FreeForAll, TurnTaking
from voicebench.text.chunking import Chunker
from voicebench.turn.recorder import Recorder
from voicebench.turn.timeline import Timeline

_Kind = TypeVar("_Kind", bound=Event)

REPLY = "It is noon. The sun stands high above the quiet town."
CHUNKS = ["It is noon. ", "The sun stands high above the quiet town."]


class Turn:
    """Runs one turn and keeps its events; ``on`` sets an event when the n-th of a kind comes."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.recorder = Recorder()
        self._signals: list[tuple[type, int, threading.Event]] = []

    def on(self, kind: type, number: int = 1) -> threading.Event:
        """Return an event that is set when the ``number``-th event of ``kind`` was emitted."""
        signal = threading.Event()
        self._signals.append((kind, number, signal))
        return signal

    def emit(self, event: Event) -> None:
        self.recorder.emit(event)
        self.events.append(event)
        for kind, number, signal in self._signals:
            if isinstance(event, kind) and len(self.of(kind)) == number:
                signal.set()

    def of(self, kind: type[_Kind]) -> list[_Kind]:
        return [event for event in self.events if isinstance(event, kind)]

    def run(
        self,
        llm: Scripted,
        tts: Scripted,
        *,
        sequential: bool = False,
        schedule: FreeForAll | None = None,
        emit: Callable[[Event], None] | None = None,
    ) -> None:
        run_turn(
            "What time is it?",
            emit or self.emit,
            llm=llm,
            tts=tts,
            chunker=Chunker(3, 8),
            sequential=sequential,
            schedule=schedule,
        )

    def sealed(self) -> Timeline:
        """Return the timeline; raises where a rule of the timeline is broken."""
        return self.recorder.seal(1, "measured", AudibleRule()).timeline


@pytest.fixture
def turn() -> Iterator[Turn]:
    # A test of another file may have a cascade open, whose thread waits for its next turn.
    before = set(threading.enumerate())
    yield Turn()
    started = set(threading.enumerate()) - before
    assert not [thread for thread in started if thread.name == WRITER], "a turn left its thread"


def voice(chunks: int = 2) -> Scripted:
    return Scripted(*([sound()] for _ in range(chunks)))


# A turn that goes well.


def test_a_turn_says_every_token_every_chunk_and_every_sound(turn: Turn) -> None:
    llm, tts = Scripted(words(REPLY)), Scripted([sound(), sound(50)], [sound()])
    turn.run(llm, tts)
    assert llm.heard == ["What time is it?"]
    assert tts.heard == CHUNKS
    assert turn.events[0] == TurnStarted("What time is it?")
    assert turn.events[-1] == TurnFinished()
    timeline = turn.sealed()
    assert timeline.reply == REPLY
    assert [chunk.text for chunk in timeline.chunks] == CHUNKS
    assert [arrival.samples for arrival in timeline.audio] == [1600, 800, 1600]
    assert not timeline.failed


def test_the_chunks_joined_are_the_reply(turn: Turn) -> None:
    turn.run(Scripted(words(REPLY)), voice())
    assert "".join(chunk.text for chunk in turn.of(TextChunk)) == turn.sealed().reply


def test_the_stages_add_up_to_first_audio_within_a_millisecond(turn: Turn) -> None:
    turn.run(Scripted(words(REPLY)), voice())
    residual = compute(turn.sealed())["unattributed_ms"]
    assert residual is not None
    assert abs(residual) < 1.0


def test_the_first_chunk_is_spoken_while_the_reply_is_still_being_written(turn: Turn) -> None:
    heard = turn.on(AudioChunk)
    writing = [*words("It is noon. The"), until(heard), *words("sun is high.")]
    turn.run(Scripted(writing), voice())
    kinds = [type(event) for event in turn.events]
    assert kinds.index(AudioChunk) < len(kinds) - 1 - kinds[::-1].index(Token)


def test_the_reply_is_written_on_while_the_first_chunk_is_still_being_spoken(turn: Turn) -> None:
    all_written = turn.on(Token, number=11)
    turn.run(Scripted(words(REPLY)), Scripted([sound(), until(all_written), sound()], [sound()]))
    assert isinstance(turn.events[-1], TurnFinished)


def test_a_chunk_is_handed_over_when_the_synthesizer_takes_it_and_not_when_it_closes(
    turn: Turn,
) -> None:
    all_written = turn.on(Token, number=11)
    turn.run(Scripted(words(REPLY)), Scripted([until(all_written), sound()], [sound()]))
    kinds = [type(event) for event in turn.events if not isinstance(event, Token)]
    assert kinds == [TurnStarted, TextChunk, AudioChunk, TextChunk, AudioChunk, TurnFinished]


def test_sequential_hands_nothing_over_before_the_reply_is_complete(turn: Turn) -> None:
    handed_over = turn.on(TextChunk)

    def give_it_a_chance() -> None:
        handed_over.wait(0.05)

    writing = [*words("It is noon. The sun"), give_it_a_chance, *words("is high.")]
    turn.run(Scripted(writing), voice(), sequential=True)
    kinds = [type(event) for event in turn.events]
    assert kinds == [
        TurnStarted, *[Token] * 7, TextChunk, AudioChunk, TextChunk, AudioChunk, TurnFinished
    ]  # fmt: skip


def test_sequential_and_overlapping_speak_the_same_chunks(turn: Turn) -> None:
    overlapping, sequential = voice(), voice()
    turn.run(Scripted(words(REPLY)), overlapping)
    Turn().run(Scripted(words(REPLY)), sequential, sequential=True)
    assert overlapping.heard == sequential.heard == CHUNKS


def test_each_engine_works_in_a_thread_of_its_own(turn: Turn) -> None:
    llm, tts = Scripted(words(REPLY)), voice()
    turn.run(llm, tts)
    assert llm.threads == {WRITER}
    assert tts.threads == {threading.current_thread().name}


def test_what_an_engine_says_beside_tokens_and_sound_is_passed_on(turn: Turn) -> None:
    llm = Scripted([Connected(3.0, reused=True), *words("It is noon."), Usage(4)])
    tts = Scripted([Connected(2.0, reused=False), FirstByte(), SilenceTrimmed(30.0), sound()])
    turn.run(llm, tts)
    timeline = turn.sealed()
    assert timeline.usage_tokens == 4
    assert timeline.first_byte_ns is not None
    assert timeline.silence_trimmed_ms == 30.0
    assert sorted(made.connect_ms for made in timeline.connections) == [2.0, 3.0]
    assert tts.heard == ["It is noon."]


def test_a_reply_that_comes_in_one_piece_is_spoken_in_chunks(turn: Turn) -> None:
    tts = voice()
    turn.run(Scripted([Reply(REPLY)]), tts)
    assert tts.heard == CHUNKS
    assert turn.sealed().reply == REPLY
    assert turn.of(Token) == []


def test_a_chunk_that_brings_no_audio_does_not_stop_the_turn(turn: Turn) -> None:
    turn.run(Scripted(words(REPLY)), Scripted([], [sound()]))
    timeline = turn.sealed()
    assert not timeline.failed
    assert [len(timeline.chunks), len(timeline.audio)] == [2, 1]


def test_an_iterator_that_cannot_be_closed_will_do(turn: Turn) -> None:
    class Plain:
        def reply(self, prompt: str) -> Iterator[Token]:
            return iter(words(REPLY))

        def speak(self, text: str) -> Iterator[AudioChunk]:
            return iter([sound()])

    turn.run(Plain(), Plain())  # type: ignore[arg-type]
    assert not turn.sealed().failed


# A turn that brings nothing.


def test_an_empty_reply_ends_the_turn_and_the_turn_is_failed(turn: Turn) -> None:
    tts = voice()
    turn.run(Scripted([]), tts)
    assert turn.events == [TurnStarted("What time is it?"), TurnFinished()]
    assert tts.heard == []
    failure = turn.sealed().failure
    assert failure is not None
    assert failure.reason == "the turn ended without any audio"


def test_a_reply_that_cannot_be_pronounced_is_a_failed_turn(turn: Turn) -> None:
    turn.run(Scripted([Token("🙂")]), Scripted([]))
    assert turn.sealed().failed


# An engine that breaks.


def test_a_language_model_that_breaks_in_mid_reply_fails_the_turn_with_its_reason(
    turn: Turn,
) -> None:
    broken = EngineError("the model ran out of memory", "use a smaller one")
    llm, tts = Scripted([*words("It is noon. The sun"), broken]), voice()
    turn.run(llm, tts)
    assert turn.events[-1] == TurnFailed(
        "the model ran out of memory; use a smaller one", "engine", "llm"
    )
    assert tts.heard == ["It is noon. "]  # what was handed over is spoken, the rest is not
    assert turn.sealed().failed


def test_sequential_speaks_nothing_of_a_reply_that_breaks(turn: Turn) -> None:
    tts = voice()
    turn.run(Scripted([*words(REPLY), EngineError("broke")]), tts, sequential=True)
    assert tts.heard == []
    assert turn.events[-1] == TurnFailed("broke", "engine", "llm")


def test_a_language_model_that_refuses_before_its_first_token_is_on_record(turn: Turn) -> None:
    class Refusing(Scripted):
        def reply(self, prompt: str) -> Iterator[Token]:
            raise EngineError("the prompt is too long")

    turn.run(Refusing(), voice())
    assert turn.events == [
        TurnStarted("What time is it?"),
        TurnFailed("the prompt is too long", "engine", "llm"),
    ]


def test_a_synthesizer_that_breaks_fails_the_turn_and_ends_the_reply(turn: Turn) -> None:
    failing = threading.Event()

    def break_down() -> None:
        failing.set()
        raise EngineError("the voice broke")

    endless = [Token(" on")] * 200_000
    llm = Scripted([*words("It is noon. The"), until(failing), *endless])
    tts = Scripted([sound(), break_down])
    turn.run(llm, tts)
    assert turn.events[-1] == TurnFailed("the voice broke", "engine", "tts")
    assert llm.unfinished == tts.unfinished == 0
    assert len(tts.heard) == 1
    assert len(turn.of(Token)) < 200_000
    assert turn.sealed().audio  # what was heard before stays on record


def test_where_both_engines_break_the_turn_still_ends_once(turn: Turn) -> None:
    llm = Scripted([*words("It is noon. The"), EngineError("the model broke")])
    turn.run(llm, Scripted([EngineError("the voice broke")]))
    assert turn.events[-1] == TurnFailed("the voice broke", "engine", "tts")
    assert len(turn.of(TurnFailed)) == 1


@pytest.mark.parametrize("sequential", [False, True])
def test_a_model_error_is_a_failed_turn_whatever_its_class(turn: Turn, sequential: bool) -> None:
    turn.run(Scripted([ModelError("no weights")]), voice(), sequential=sequential)
    assert turn.events[-1] == TurnFailed("no weights", "engine", "llm")


def test_the_kind_of_fault_and_its_place_are_the_errors_own(turn: Turn) -> None:
    timeout = EngineError("no answer in 30 s")
    timeout.fault, timeout.stage = "timeout", "connect"
    turn.run(Scripted([timeout]), voice())
    assert turn.events[-1] == TurnFailed("no answer in 30 s", "timeout", "connect")


# A defect: the turn is on record, and the exception goes on.


def test_a_defect_in_a_language_model_is_on_record_and_goes_on(turn: Turn) -> None:
    defect = ZeroDivisionError("division by zero")
    with pytest.raises(ZeroDivisionError) as raised:
        turn.run(Scripted([*words("It is noon. The"), defect]), voice())
    assert raised.value is defect
    assert turn.events[-1] == TurnFailed("ZeroDivisionError: division by zero", "engine", "llm")
    assert turn.sealed().failed


def test_a_defect_in_a_synthesizer_is_on_record_and_goes_on(turn: Turn) -> None:
    llm, defect = Scripted(words(REPLY)), KeyError("window")
    with pytest.raises(KeyError) as raised:
        turn.run(llm, Scripted([sound(), defect]))
    assert raised.value is defect
    assert turn.events[-1] == TurnFailed("KeyError: 'window'", "engine", "tts")
    assert llm.unfinished == 0


def test_a_defect_keeps_its_own_traceback(turn: Turn) -> None:
    def divide_by_nothing() -> None:
        1 / 0  # noqa: B018

    with pytest.raises(ZeroDivisionError) as raised:
        turn.run(Scripted([divide_by_nothing]), voice())
    assert "divide_by_nothing" in [entry.name for entry in raised.traceback]


# A turn that the user breaks off.


def test_an_interrupted_turn_is_on_record_and_the_interrupt_goes_on(turn: Turn) -> None:
    llm = Scripted(words(REPLY))
    with pytest.raises(KeyboardInterrupt):
        turn.run(llm, Scripted([sound(), KeyboardInterrupt()]))
    assert turn.events[-1] == TurnFailed("interrupted by the user", "interrupted", "turn")
    assert llm.unfinished == 0
    assert turn.sealed().failed


def test_an_interrupt_between_two_windows_closes_both_engines(turn: Turn) -> None:
    """The interrupt comes while the recorder is at work: the synthesizer did not raise it."""
    llm, tts = Scripted(words(REPLY)), Scripted([sound(), sound(), sound()])

    def emit(event: Event) -> None:
        turn.emit(event)
        if isinstance(event, AudioChunk):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        turn.run(llm, tts, emit=emit)
    assert llm.unfinished == tts.unfinished == 0
    assert len(turn.of(AudioChunk)) == 1
    assert turn.events[-1] == TurnFailed("interrupted by the user", "interrupted", "turn")


def test_a_language_model_that_waits_is_woken_up_when_the_turn_is_given_up(turn: Turn) -> None:
    woken = threading.Event()

    class Waiting(Scripted):
        def interrupt(self) -> None:
            woken.set()

    llm = Waiting([*words("It is noon. The"), until(woken), EngineError("broken off")])
    turn.run(llm, Scripted([sound(), EngineError("the voice broke")]))
    assert woken.is_set()
    assert turn.events[-1] == TurnFailed("the voice broke", "engine", "tts")
    assert llm.unfinished == 0


# Taking turns on a device.


class Noting(FreeForAll):
    """Notes in which order the steps and notices came."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.held = 0
        self.given_way = False

    def chunk_waits(self) -> None:
        self.notes.append("waits")

    def chunk_spoken(self) -> None:
        self.notes.append("spoken")

    def audio_out(self, seconds: float) -> None:
        self.notes.append(f"{seconds} s")

    def give_way(self) -> None:
        self.given_way = True

    @contextmanager
    def token_step(self) -> Iterator[None]:
        yield

    @contextmanager
    def speech_step(self) -> Iterator[None]:
        self.held += 1
        yield
        self.held -= 1


def test_the_schedule_hears_of_each_chunk_and_of_its_sound(turn: Turn) -> None:
    schedule = Noting()
    turn.run(Scripted(words("It is noon.")), Scripted([sound(100), sound(50)]), schedule=schedule)
    assert schedule.notes == ["waits", "0.1 s", "0.05 s", "spoken"]
    assert schedule.given_way


def test_a_chunk_that_breaks_is_given_up(turn: Turn) -> None:
    schedule = Noting()
    turn.run(Scripted(words("It is noon.")), Scripted([EngineError("x")]), schedule=schedule)
    assert schedule.notes == ["waits", "spoken"]
    assert schedule.given_way


def test_the_device_is_held_while_an_item_is_made_and_not_while_it_is_passed_on(
    turn: Turn,
) -> None:
    schedule = Noting()
    held: list[tuple[str, int]] = []

    def emit(event: Event) -> None:
        turn.emit(event)
        if isinstance(event, AudioChunk):
            held.append(("passed on", schedule.held))

    making = [lambda: held.append(("made", schedule.held)), sound()]
    turn.run(Scripted(words("It is noon.")), Scripted(making), schedule=schedule, emit=emit)
    assert held == [("made", 1), ("passed on", 0)]


def test_steps_holds_the_step_for_the_last_look_too_and_yields_all() -> None:
    entered: list[str] = []

    @contextmanager
    def step() -> Iterator[None]:
        entered.append("step")
        yield

    assert list(steps(iter("ab"), step)) == ["a", "b"]
    assert len(entered) == 3


@pytest.mark.parametrize("speech", [[EngineError("the voice broke")], []])
def test_a_turn_on_a_shared_device_never_hangs(turn: Turn, speech: list[object]) -> None:
    """Tokens wait for the chunk in front of them; a chunk without sound must let them go."""
    endless = words("It is noon. " + "and so on " * 300)
    done = threading.Event()

    def run() -> None:
        tts = Scripted(*([speech] * 400))
        turn.run(Scripted(endless), tts, schedule=TurnTaking())
        done.set()

    threading.Thread(target=run, daemon=True).start()
    assert done.wait(PATIENCE_S)
    assert isinstance(turn.events[-1], TurnFailed | TurnFinished)


# Speaking text as it comes.


def spoken(pieces: Iterator[str], tts: Scripted) -> list[Event]:
    events: list[Event] = []
    speak_text(pieces, events.append, tts=tts, chunker=Chunker(3, 8))
    return events


def test_text_is_spoken_chunk_by_chunk_without_a_turn_around_it() -> None:
    tts = voice()
    events = spoken(iter([REPLY]), tts)
    assert [type(event) for event in events] == [TextChunk, AudioChunk, TextChunk, AudioChunk]
    assert tts.heard == CHUNKS


def test_text_is_spoken_while_it_still_comes() -> None:
    tts = voice()

    def typing() -> Iterator[str]:
        yield "It is noon. "
        assert tts.heard == ["It is noon. "]
        yield "The sun is high."

    spoken(typing(), tts)
    assert tts.heard == ["It is noon. ", "The sun is high."]


def test_speaking_text_raises_what_the_synthesizer_raises() -> None:
    tts = Scripted([sound(), EngineError("the voice broke")])
    with pytest.raises(EngineError, match="the voice broke"):
        spoken(iter([REPLY]), tts)
    assert tts.unfinished == 0


def test_no_text_is_no_sound() -> None:
    assert spoken(iter([]), voice()) == []


class Trimming(Scripted):
    """A voice that leaves out the silence before a reply's first sound."""

    def __init__(self, *answers: Sequence[object]) -> None:
        super().__init__(*answers)
        self.openings: list[str] = []

    def speak_opening(self, text: str, longer_ms: float = 0.0) -> Iterator[object]:
        assert longer_ms == 0.0  # nobody else waits
        self.openings.append(text)
        return self.speak(text)


def test_only_the_reply_s_first_sound_is_spoken_without_its_silence() -> None:
    turn = Turn()
    voice = Trimming([sound()], [sound()])
    turn.run(Scripted(words(REPLY)), voice)
    assert [chunk.text for chunk in turn.of(TextChunk)] == CHUNKS
    assert voice.openings == CHUNKS[:1]


def test_a_first_chunk_with_nothing_to_say_leaves_the_opening_to_the_next() -> None:
    turn = Turn()
    voice = Trimming([], [sound()])
    turn.run(Scripted(words(REPLY)), voice)
    assert voice.openings == CHUNKS
