from __future__ import annotations

from dataclasses import replace

from handmade import failed_turn, make_turn, ns

from voicebench.report.lanes import Kind, Lane, heard_until_ms, lanes, path, start_ms, whole_ms
from voicebench.turn.timeline import Failure, TimedText, Timeline


def spans(lane: Lane) -> list[tuple[float, float, Kind]]:
    return [(span.start_ms, span.end_ms, span.kind) for span in lane.spans]


def marks(lane: Lane) -> list[tuple[float, Kind]]:
    return [(mark.at_ms, mark.kind) for mark in lane.marks]


def lane(turn: Timeline, name: str) -> Lane:
    [found] = [lane for lane in lanes(turn) if lane.name == name]
    return found


TWO_CHUNKS = make_turn(
    tokens=((100, "The"), (110, " weather"), (120, " is fine"), (160, " today.")),
    chunks=((120, "The weather is"), (300, " fine today.")),
    audio=((180, 100), (240, 100), (420, 200)),
    silence_ms=20,
)


def test_the_path_is_the_stages_one_after_the_other() -> None:
    assert spans(path(TWO_CHUNKS)) == [
        (0, 100, Kind.PREFILL),
        (100, 120, Kind.WAIT),
        (120, 180, Kind.SYNTHESIS),
        (180, 620, Kind.PLAYING),
        (180, 200, Kind.SILENCE),
        (380, 420, Kind.STALL),
    ]
    assert marks(path(TWO_CHUNKS)) == [
        (160, Kind.LLM_DONE),
        (200, Kind.FIRST_SOUND),
        (180, Kind.FIRST_AUDIO),
    ]


def test_the_language_model_waits_then_writes_token_by_token() -> None:
    assert spans(lane(TWO_CHUNKS, "LLM")) == [(0, 100, Kind.PREFILL), (100, 160, Kind.WRITING)]
    assert marks(lane(TWO_CHUNKS, "LLM")) == [(at_ms, Kind.TOKEN) for at_ms in (100, 110, 120, 160)]


def test_the_voice_waits_for_text_works_and_delivers_for_each_chunk() -> None:
    assert spans(lane(TWO_CHUNKS, "voice")) == [
        (100, 120, Kind.WAIT),
        (120, 180, Kind.SYNTHESIS),
        (180, 240, Kind.ARRIVING),
        (240, 300, Kind.WAIT),
        (300, 420, Kind.SYNTHESIS),
        (420, 420, Kind.ARRIVING),
    ]


def test_the_listener_hears_silence_speech_and_stalls() -> None:
    assert lane(TWO_CHUNKS, "heard").kinds() == {
        Kind.SILENCE,
        Kind.PLAYING,
        Kind.STALL,
        Kind.FIRST_AUDIO,
        Kind.FIRST_SOUND,
    }
    assert heard_until_ms(TWO_CHUNKS) == 620


def test_a_chunk_without_audio_is_still_work() -> None:
    turn = make_turn(chunks=((116, "Hi."), (250, "👍")), audio=((186, 500), (240, 100)))
    assert spans(lane(turn, "voice"))[-1] == (250, 250, Kind.SYNTHESIS)


def test_a_reply_in_one_piece_is_a_wait_that_ends_with_the_reply() -> None:
    turn = replace(make_turn(tokens=()), whole_reply=TimedText(ns(110), "The weather is fine."))
    assert spans(lane(turn, "LLM")) == [(0, 110, Kind.PREFILL)]
    assert marks(lane(turn, "LLM")) == [(110, Kind.LLM_DONE)]
    assert spans(path(turn))[:2] == [(0, 110, Kind.PREFILL), (110, 116, Kind.WAIT)]


def test_a_target_that_shows_only_audio_has_no_lane_of_a_language_model() -> None:
    turn = make_turn(tokens=(), chunks=())
    assert [lane.name for lane in lanes(turn)] == ["voice", "heard"]
    assert spans(lane(turn, "voice"))[0] == (0, 186, Kind.SYNTHESIS)


def test_a_turn_that_failed_in_the_voice_ends_in_its_lane() -> None:
    turn = failed_turn(at_ms=150)
    assert spans(path(turn))[-1] == (120, 150, Kind.SYNTHESIS)
    assert marks(path(turn)) == [(150, Kind.FAILED)]
    assert marks(lane(turn, "voice")) == [(150, Kind.FAILED)]
    assert (150, Kind.FAILED) not in marks(lane(turn, "LLM"))


def test_a_turn_that_failed_before_its_first_token_is_a_wait_and_its_end() -> None:
    failure = Failure("no model", "engine", "llm")
    turn = make_turn(tokens=(), chunks=(), audio=(), failure=failure, end_ms=80)
    assert spans(path(turn)) == [(0, 80, Kind.PREFILL)]
    assert spans(lane(turn, "LLM")) == [(0, 80, Kind.PREFILL)]
    assert marks(lane(turn, "LLM")) == [(80, Kind.FAILED)]


def test_silent_audio_is_never_drawn_as_speech() -> None:
    failure = Failure("silent", "audio", "audio")
    turn = make_turn(silence_ms=None, failure=failure)
    assert Kind.PLAYING not in path(turn).kinds()
    assert Kind.SILENCE in path(turn).kinds()


def test_an_axis_has_to_show_the_beginning_and_in_detail_the_whole() -> None:
    assert start_ms(TWO_CHUNKS) == 200
    assert whole_ms(TWO_CHUNKS) == 420
    assert start_ms(failed_turn(at_ms=150)) == 150
