"""What single messages mean: truncation in Realtime, marks on a telephone, Pipecat's frames."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from voicebench.agents.pcm_dialect import PcmDialect
from voicebench.agents.pipecat_dialect import (
    PipecatDialect,
    audio_frame,
    encoded_field,
    fields_of,
)
from voicebench.agents.realtime_dialect import RealtimeDialect
from voicebench.agents.telephony_dialect import TelephonyDialect
from voicebench.agents.wire_dialect import Answered
from voicebench.audio import g711
from voicebench.calls.agent_events import AgentAudio, AgentCleared, AgentFailed
from voicebench.settings import load_settings

FRAME_24K = np.zeros(480, dtype=np.int16)
FRAME_8K = np.zeros(160, dtype=np.int16)


def sound_delta(samples: int, item: str) -> str:
    content = base64.b64encode(np.ones(samples, dtype="<i2").tobytes()).decode()
    kind = "response.output_audio.delta"
    return json.dumps({"type": kind, "item_id": item, "delta": content})


def answered(found: list[object]) -> list[dict[str, Any]]:
    return [json.loads(one.message) for one in found if isinstance(one, Answered)]


def test_realtime_is_told_how_much_of_its_answer_was_heard() -> None:
    dialect = RealtimeDialect()
    list(dialect.take(sound_delta(24_000, "item_1")))
    for _ in range(15):
        list(dialect.frame(FRAME_24K))
    found: list[object] = list(dialect.take('{"type": "input_audio_buffer.speech_started"}'))
    assert isinstance(found[0], AgentCleared)
    (truncated,) = answered(found)
    assert truncated["item_id"] == "item_1"
    assert truncated["audio_end_ms"] == 300
    # What still comes of the interrupted answer is not played, and the next answer is.
    assert not list(dialect.take(sound_delta(480, "item_1")))
    assert isinstance(next(dialect.take(sound_delta(480, "item_2"))), AgentAudio)


def test_realtime_clears_nothing_if_nothing_is_playing() -> None:
    assert not list(RealtimeDialect().take('{"type": "input_audio_buffer.speech_started"}'))


def test_realtime_names_an_error_and_sound_that_is_none() -> None:
    said = json.dumps({"type": "error", "error": {"message": "no such voice"}})
    (failed,) = RealtimeDialect().take(said)
    assert isinstance(failed, AgentFailed)
    assert "no such voice" in failed.reason
    wrong = json.dumps({"type": "response.output_audio.delta", "delta": "%%%"})
    with pytest.raises(ValueError, match="not base64"):
        list(RealtimeDialect().take(wrong))


def sounds(found: list[object]) -> list[float]:
    return [float(one) for event in found if isinstance(event, AgentAudio) for one in event.pcm]


def test_a_sample_that_two_messages_share_is_whole_and_half_a_one_ends_with_its_answer() -> None:
    dialect = PcmDialect(load_settings().settings.call)
    sound = np.array([1000, 2000, 3000], dtype="<i2").tobytes()
    wanted = [1000 / 32768, 2000 / 32768, 3000 / 32768]
    found: list[object] = [*dialect.take(sound[:3]), *dialect.take(sound[3:] + b"\x01")]
    assert sounds(found) == pytest.approx(wanted)
    list(dialect.take('{"type": "complete"}'))
    assert sounds(list(dialect.take(sound))) == pytest.approx(wanted)


def media(samples: int) -> str:
    payload = base64.b64encode(bytes([0xFF]) * samples).decode()
    return json.dumps({"event": "media", "streamSid": "MZ", "media": {"payload": payload}})


MARK = json.dumps({"event": "mark", "streamSid": "MZ", "mark": {"name": "end"}})


def events_of(messages: list[Any]) -> list[str]:
    return [json.loads(message)["event"] for message in messages]


def test_a_mark_comes_back_when_the_sound_before_it_was_played() -> None:
    dialect = TelephonyDialect()
    list(dialect.take(media(320)))  # 40 ms
    list(dialect.take(MARK))
    assert events_of(list(dialect.frame(FRAME_8K))) == ["media"]
    assert events_of(list(dialect.frame(FRAME_8K))) == ["mark", "media"]
    assert events_of(list(dialect.frame(FRAME_8K))) == ["media"]


def test_a_clear_gives_back_all_marks_at_once() -> None:
    dialect = TelephonyDialect()
    list(dialect.take(media(8000)))
    list(dialect.take(MARK))
    found: list[object] = list(dialect.take('{"event": "clear", "streamSid": "MZ"}'))
    assert isinstance(found[0], AgentCleared)
    assert answered(found)[0]["mark"] == {"name": "end"}


def test_a_media_stream_opens_as_the_protocol_says() -> None:
    connected, start = (json.loads(message) for message in TelephonyDialect().opening())
    assert connected["event"] == "connected"
    assert start["start"]["mediaFormat"]["encoding"] == "audio/x-mulaw"
    assert start["streamSid"] == start["start"]["streamSid"]


def test_mulaw_has_the_codes_of_the_standard() -> None:
    # Values of ITU-T G.711, table 2a, scaled to 16 bits.
    levels = g711.decode(np.array([0x00, 0x7F, 0x80, 0xFF, 0xAA], dtype=np.uint8), "mulaw")
    assert levels.tolist() == [-32124, 0, 32124, 0, 5372]
    alaw = g711.decode(np.array([0xD5, 0x55, 0x2A, 0xAA], dtype=np.uint8), "alaw")
    assert alaw.tolist() == [8, -8, -32256, 32256]
    for law in ("mulaw", "alaw"):
        samples = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
        off = g711.decode(g711.encode(samples, law), law).astype(int) - samples
        assert np.abs(off).max() <= 1024
        assert np.abs(off[32768 - 100 : 32768 + 100]).max() <= 8


def test_a_frame_of_pipecat_has_the_bytes_of_its_protocol() -> None:
    # Frame.audio (field 2) = AudioRawFrame(audio=01 00 02 00, sample_rate=16000, num_channels=1).
    wanted = bytes.fromhex("120b 1a0401000200 20807d 2801".replace(" ", ""))
    assert audio_frame(np.array([1, 2], dtype=np.int16), 16_000) == wanted
    (event,) = PipecatDialect().take(wanted)
    assert isinstance(event, AgentAudio)
    assert event.sample_rate == 16_000
    assert event.pcm.size == 2


@pytest.mark.parametrize("content", [b"\xff", b"\x12\x05ab", b"\x0b", b"\x00\x01"])
def test_what_is_no_protocol_buffer_is_named(content: bytes) -> None:
    with pytest.raises(ValueError, match="not a protocol buffer"):
        list(fields_of(content))


def test_large_numbers_survive() -> None:
    assert list(fields_of(encoded_field(4, 192_000))) == [(4, 192_000)]
