"""The routes by plain HTTP: what comes, in which form, and what is refused in which words."""

from __future__ import annotations

import base64
import json
import re
from contextlib import closing
from typing import Any

import httpx
import numpy as np
import pytest
from scripted_engines import RATE, Scripted, sound, words
from served_somewhere import QUICK, REPLY, engines, prepared, server

from voicebench.audio.pcm import from_int16
from voicebench.audio.wav import WavStream
from voicebench.audio.wav_writer import wav_header
from voicebench.errors import EngineError, TooLong
from voicebench.events import AudioChunk, Emit
from voicebench.pipeline.scheduling import FreeForAll
from voicebench.remote.clients.openai_speech import OpenAiSpeech, SpeechOptions
from voicebench.remote.failure import RemoteError
from voicebench.remote.formats.server_timing import parse_server_timing
from voicebench.server.request_bodies import MAX_TEXT_CHARACTERS
from voicebench.server.request_gate import MAX_BODY_BYTES
from voicebench.server.served import AnswerRequest, ServedCascade, ServedScript
from voicebench.targets.script import parse_script
from voicebench.targets.simulated import plan_speech
from voicebench.text.chat_template import PastMessage

SAYS = {"model": "simulated", "input": "Hello there", "voice": "default"}
ASKS = {"model": "simulated", "messages": [{"role": "user", "content": "Hello?"}]}


def planned_pcm(text: str) -> np.ndarray:
    plan = plan_speech(parse_script("sim:"), [(0, text)])
    return np.concatenate([step.event.pcm for step in plan if isinstance(step.event, AudioChunk)])


def samples_in(wav: bytes) -> np.ndarray:
    stream = WavStream()
    return np.concatenate([stream.feed(wav), stream.finish()])


# Sound, in its forms.


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("form", [None, "wav", "wav-chunks", "pcm"])
def test_the_plain_route_speaks_every_sample_in_every_form(
    client: httpx.Client, method: str, form: str | None
) -> None:
    fields = {"text": "Hello there"} | ({"format": form} if form else {})
    where: dict[str, Any] = {"params": fields} if method == "GET" else {"json": fields}
    answer = client.request(method, "/tts/stream", **where)
    assert answer.status_code == 200
    if form == "pcm":
        assert answer.headers["content-type"] == "audio/pcm; rate=16000; channels=1; bits=16"
        pcm = from_int16(np.frombuffer(answer.content, dtype="<i2"))
    else:
        assert answer.headers["content-type"] == "audio/wav"
        pcm = samples_in(answer.content)
    np.testing.assert_allclose(pcm, planned_pcm("Hello there"), atol=1 / 32768)


@pytest.mark.parametrize("form", ["pcm", "wav"])
@pytest.mark.parametrize("stream_format", ["audio", "sse"])
def test_sound_says_its_rate_in_the_head_in_every_form(
    client: httpx.Client, form: str, stream_format: str
) -> None:
    asked = SAYS | {"response_format": form, "stream_format": stream_format}
    answer = client.post("/v1/audio/speech", json=asked)
    assert answer.headers["x-sample-rate"] == "16000"


@pytest.mark.parametrize("stream_format", ["audio", "sse"])
def test_a_client_that_was_told_another_rate_fails_the_turn(url: str, stream_format: Any) -> None:
    options = SpeechOptions("pcm", sample_rate=24_000, stream_format=stream_format)
    contradictory = "the sample rate is contradictory: the settings: 24000"
    with closing(OpenAiSpeech(f"{url}/v1", options=options)) as speech:
        speech.check()
        with pytest.raises(RemoteError, match=contradictory):
            list(speech.speak("Hello there"))


@pytest.mark.parametrize("stream_format", ["audio", "sse"])
def test_a_client_that_was_told_no_rate_believes_the_server(url: str, stream_format: Any) -> None:
    options = SpeechOptions("pcm", stream_format=stream_format)
    with closing(OpenAiSpeech(f"{url}/v1", options=options)) as speech:
        speech.check()
        rates = {it.sample_rate for it in speech.speak("Hello") if isinstance(it, AudioChunk)}
    assert rates == {16_000}


def test_wav_chunks_are_whole_wavs_and_one_wav_is_one(client: httpx.Client) -> None:
    chunks = client.get("/tts/stream", params={"text": "Hello there", "format": "wav-chunks"})
    heads = [match.start() for match in re.finditer(b"RIFF", chunks.content)]
    assert len(heads) == 6  # 600 ms in pieces of 100 ms
    first = chunks.content[heads[0] : heads[1]]
    assert first.startswith(wav_header(16_000, 1600))
    assert len(first) == 44 + 3200
    one = client.get("/tts/stream", params={"text": "Hello there", "format": "wav"})
    assert one.content.startswith(wav_header(16_000))
    assert one.content.count(b"RIFF") == 1


def test_sound_is_sent_piece_by_piece_as_it_is_made(client: httpx.Client) -> None:
    with client.stream("GET", "/tts/stream", params={"text": "a b c d e f"}) as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        assert len(list(answer.iter_raw())) > 1


def test_speech_in_events_ends_with_how_long_it_took(client: httpx.Client) -> None:
    asked = SAYS | {"stream_format": "sse", "response_format": "pcm"}
    answer = client.post("/v1/audio/speech", json=asked)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *deltas, done = [
        json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line
    ]
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    data = b"".join(base64.b64decode(delta["audio"]) for delta in deltas)
    pcm = from_int16(np.frombuffer(data, dtype="<i2"))
    np.testing.assert_allclose(pcm, planned_pcm("Hello there"), atol=1 / 32768)
    assert done["type"] == "speech.audio.done"
    took = done["timings"]
    assert 0 <= took["queue_ms"] <= took["first_audio_ms"] <= took["total_ms"]
    assert took["first_audio_ms"] >= 3


def test_every_answer_says_how_long_the_server_took(client: httpx.Client) -> None:
    whole = parse_server_timing(
        client.post("/v1/chat/completions", json=ASKS).headers["server-timing"]
    )
    assert whole["total"] >= whole["first-token"] >= 4
    with client.stream("POST", "/v1/audio/speech", json=SAYS) as speech:
        began = parse_server_timing(speech.headers["server-timing"])
        assert began["first-audio"] >= 3
        assert "total" not in began  # nobody knows it yet
        speech.read()
    for path in ("/health", "/metrics", "/v1/models", "/openapi.json", "/nowhere"):
        assert "total" in parse_server_timing(client.get(path).headers["server-timing"])


def test_the_last_event_of_a_reply_has_what_the_whole_reply_took(client: httpx.Client) -> None:
    answer = client.post("/v1/chat/completions", json=ASKS | {"stream": True})
    *_, last, end = [line for line in answer.text.split("\n\n") if line]
    assert end == "data: [DONE]"
    timings = json.loads(last.removeprefix("data: "))["timings"]
    assert timings["prompt_ms"] >= 4
    # A first token that comes late takes from the time after it.
    assert timings["prompt_ms"] + timings["predicted_ms"] >= 9


# What is refused.


def error_of(answer: httpx.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error: dict[str, object] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": " \n "}, "input"),
        ({"input": "x" * (MAX_TEXT_CHARACTERS + 1)}, "input"),
        ({"input": "a\x00b"}, "input"),
        ({"input": "a\x1b[31m"}, "input"),
        ({"input": 7}, "input"),
        ({"input": None}, "input"),
        ({"response_format": "opus"}, "response_format"),
        ({"stream_format": "carrier pigeon"}, "stream_format"),
        ({"speed": 1.5}, "speed"),
    ],
)
def test_a_bad_request_for_speech_is_told_which_part_is_bad(
    client: httpx.Client, changes: dict[str, object], param: str
) -> None:
    error = error_of(client.post("/v1/audio/speech", json=SAYS | changes), 400)
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param


@pytest.mark.parametrize("sent", ['{"input": "Hello."}', "[]"])
def test_a_body_that_is_not_sent_as_json_is_told_the_header(
    client: httpx.Client, sent: str
) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded"} if "{" in sent else {}
    error = error_of(client.post("/v1/audio/speech", content=sent, headers=kind), 400)
    assert "content-type: application/json is missing" in str(error["message"])


def said(role: str, text: object) -> dict[str, object]:
    return {"role": role, "content": text}


def user(text: object) -> dict[str, object]:
    return said("user", text)


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [user("")]}, "messages.0.content"),
        ({"messages": [said("assistant", "a"), user("b")]}, "messages"),
        ({"messages": [user("a"), said("assistant", "b")]}, "messages"),
        ({"messages": [user("a"), said("system", "b"), user("c")]}, "messages"),
        ({"messages": [said("tool", "a"), user("b")]}, "messages.0.role"),
        ({"messages": 5 * [user("a" * 4000)]}, "messages"),
        ({"messages": [user([{"type": "image_url", "image_url": "x"}])]}, "messages.0.content"),
        ({"n": 2}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 10**30}, "max_tokens"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
    ],
)
def test_a_bad_request_for_a_reply_is_told_which_part_is_bad(
    client: httpx.Client, changes: dict[str, object], param: str
) -> None:
    error = error_of(client.post("/v1/chat/completions", json=ASKS | changes), 400)
    assert str(error["param"]).startswith(param)


class Remembers(Scripted):
    """An engine that keeps in mind what it was asked, as a model in process is asked it."""

    def __init__(self, answers: int = 1) -> None:
        super().__init__(*[words("Fine.")] * answers)
        self.asked: list[AnswerRequest] = []

    def served(self) -> ServedCascade:
        served = engines(self, Scripted())
        write = served.write

        def written(request: AnswerRequest, emit: Emit, schedule: FreeForAll) -> None:
            self.asked.append(request)
            write(request, emit, schedule)

        served.write = written  # type: ignore[method-assign]
        return served


def test_a_conversation_is_what_was_said_before_and_the_last_word_of_the_user() -> None:
    model = Remembers()
    told = [said("system", "Be brief."), said("developer", "Be kind.")]
    spoken = [user("Hello."), user("Are you there?"), said("assistant", "Yes."), user("Well?")]
    with server(model.served()) as url:
        body = {"model": "default", "messages": told + spoken}
        answer = httpx.post(f"{url}/v1/chat/completions", json=body, trust_env=False)
    assert answer.json()["choices"][0]["message"]["content"] == "Fine."
    earlier = (PastMessage("user", "Hello.\n\nAre you there?"), PastMessage("assistant", "Yes."))
    assert model.asked == [AnswerRequest("Well?", "Be brief.\n\nBe kind.", earlier=earlier)]


def test_instructions_without_words_of_the_user_are_answered() -> None:
    model = Remembers(3)
    before = [user("Hello."), said("assistant", "Hi.")]
    told = said("developer", "Ask whether the caller is there.")
    with server(model.served()) as url:
        for messages in ([told], [*before, told], [before[0], told]):
            body = {"model": "default", "messages": messages}
            answer = httpx.post(f"{url}/v1/chat/completions", json=body, trust_env=False)
            assert answer.json()["choices"][0]["message"]["content"] == "Fine."
    earlier = (PastMessage("user", "Hello."), PastMessage("assistant", "Hi."))
    instruction = "Ask whether the caller is there."
    assert model.asked == [
        AnswerRequest("", instruction),
        AnswerRequest("", instruction, earlier=earlier),
        AnswerRequest("Hello.", instruction),
    ]


def test_an_odd_conversation_is_refused_in_words(client: httpx.Client) -> None:
    messages = [user("Hello."), said("assistant", "Hi, ")]
    answer = client.post("/v1/chat/completions", json=ASKS | {"messages": messages})
    error = error_of(answer, 400)
    assert error["message"] == "the last message must be the user's"
    assert error["code"] == "unsupported_conversation"


def test_a_message_in_parts_is_one_text(client: httpx.Client) -> None:
    parts = [{"type": "text", "text": "Hello "}, {"type": "text", "text": "there?"}]
    answer = client.post("/v1/chat/completions", json=ASKS | {"messages": [user(parts)]})
    assert answer.json()["choices"][0]["message"]["content"] == REPLY
    assert answer.json()["usage"]["prompt_tokens"] == 2


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_request_is_refused(client: httpx.Client, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    for path in ("/v1/audio/speech", "/v1/chat/completions", "/tts/stream"):
        error_of(client.post(path, content=body, headers=headers), 400)


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(
    client: httpx.Client,
) -> None:
    body = b" " * (MAX_BODY_BYTES + 1)
    headers = {"content-type": "application/json"}
    error_of(client.post("/tts/stream", content=body, headers=headers), 413)
    drops = (body[start : start + 9999] for start in range(0, len(body), 9999))
    error_of(client.post("/tts/stream", content=drops, headers=headers), 413)


def test_what_cannot_be_pronounced_is_no_empty_success(client: httpx.Client) -> None:
    for answer in (
        client.get("/tts/stream", params={"text": "…"}),
        client.post("/v1/audio/speech", json=SAYS | {"input": "🙂"}),
        client.post("/v1/audio/speech", json=SAYS | {"input": "🙂", "stream_format": "sse"}),
    ):
        assert error_of(answer, 400)["code"] == "nothing_to_pronounce"


def test_other_paths_and_methods_are_refused_in_the_same_words(client: httpx.Client) -> None:
    error_of(client.get("/v1/nothing"), 404)
    error_of(client.get("/v1/models/gpt-4o"), 404)
    refused = client.delete("/tts/stream")
    error_of(refused, 405)
    assert "GET" in refused.headers["allow"] or "POST" in refused.headers["allow"]


def test_words_that_do_not_fit_the_model_are_the_clients_doing() -> None:
    too_long = prepared([TooLong("the prompt takes 9000 tokens")])
    with server(engines(too_long, prepared())) as url:
        asks = ASKS | {"model": "default"}
        answer = httpx.post(f"{url}/v1/chat/completions", json=asks, trust_env=False)
    assert error_of(answer, 400)["code"] == "context_length_exceeded"


def test_a_voice_that_breaks_before_a_sample_is_a_server_error() -> None:
    broken = prepared([EngineError("the voice is hoarse")])
    with server(engines(prepared(), broken)) as url:
        answer = httpx.get(f"{url}/tts/stream", params={"text": "Hello"}, trust_env=False)
    error = error_of(answer, 500)
    assert error["type"] == "server_error"
    assert "hoarse" in str(error["message"])


def test_a_voice_that_breaks_after_a_sample_breaks_the_answer_off() -> None:
    broken = prepared([sound(), EngineError("the voice is hoarse")])
    with (
        server(engines(prepared(), broken)) as url,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        httpx.get(f"{url}/tts/stream", params={"text": "Hello"}, trust_env=False)


def test_a_defect_is_a_server_error_that_tells_nothing_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = prepared([ZeroDivisionError("secret detail")])
    with server(engines(prepared(), broken)) as url:
        answer = httpx.get(f"{url}/tts/stream", params={"text": "Hello"}, trust_env=False)
    error_of(answer, 500)
    assert "ZeroDivisionError" in caplog.text


class Broken(ServedScript):
    """A script, served by a server whose own code has a defect."""

    def prompt_tokens(self, asked: AnswerRequest) -> int:
        raise ZeroDivisionError("secret detail")


def test_a_defect_of_the_routes_own_code_is_an_answer_like_any_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # The turn itself is finished when its counts are asked for.
    with server(Broken(QUICK)) as url:
        asks = ASKS | {"stream": False}
        answer = httpx.post(f"{url}/v1/chat/completions", json=asks, trust_env=False)
        counts = httpx.get(f"{url}/metrics", trust_env=False).text
    error = error_of(answer, 500)
    assert "secret" not in str(error["message"])
    assert "ZeroDivisionError" in caplog.text
    assert answer.headers["server-timing"].startswith("total;dur=")
    assert answer.headers["x-content-type-options"] == "nosniff"
    route = 'route="/v1/chat/completions"'
    assert f'voicebench_requests_total{{{route},status="500"}} 1.0' in counts
    assert f'voicebench_turns_total{{outcome="failed",{route}}} 1.0' in counts
    assert 'outcome="finished"' not in counts


def test_a_defect_after_the_head_breaks_the_answer_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with server(Broken(QUICK)) as url:
        asks = ASKS | {"stream": True, "stream_options": {"include_usage": True}}
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(f"{url}/v1/chat/completions", json=asks, trust_env=False)
        counts = httpx.get(f"{url}/metrics", trust_env=False).text
    assert "ZeroDivisionError" in caplog.text
    assert 'voicebench_turns_total{outcome="failed",route="/v1/chat/completions"} 1.0' in counts


# State.


def test_health_says_what_is_served(client: httpx.Client) -> None:
    assert client.get("/health").json() == {
        "status": "ok",
        "chat_model": "simulated",
        "voice": "simulated",
        "sample_rate": 16_000,
        "parameters": None,
        "hears": False,
        "running": 0,
        "waiting": 0,
    }


def test_metrics_count_turns_tokens_and_seconds_of_audio() -> None:
    llm, tts = prepared(words("One two three.")), prepared([sound(), sound()])
    with (
        server(engines(llm, tts)) as url,
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        client.post("/v1/chat/completions", json=ASKS | {"model": "default"})
        client.get("/tts/stream", params={"text": "Hello"})
        client.get("/tts/stream", params={"text": ""})
        text = client.get("/metrics").text
    assert 'voicebench_turns_total{outcome="finished",route="/tts/stream"} 1.0' in text
    assert 'voicebench_requests_total{route="/tts/stream",status="400"} 1.0' in text
    assert "voicebench_tokens_total 3.0" in text
    assert f"voicebench_audio_seconds_total {2 * sound().pcm.size / RATE}" in text
    assert 'voicebench_first_audio_seconds_count{route="/tts/stream"} 1.0' in text
    assert "voicebench_turns_running 0.0" in text


def test_openapi_describes_every_route_and_each_refusal(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) >= {
        "/v1/chat/completions", "/v1/audio/speech", "/v1/models", "/tts/stream", "/health",
        "/metrics",
    }  # fmt: skip
    speech = document["paths"]["/v1/audio/speech"]["post"]["responses"]
    assert {"200", "400", "401", "404", "413", "500", "503"} <= set(speech)
