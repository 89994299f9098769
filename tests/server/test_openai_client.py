"""OpenAI's own Python client, pointed at this server: what it gets is what it expects."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from scripted_engines import words
from served_somewhere import QUICK, REPLY, engines, prepared, server

from voicebench.audio.wav import WavStream
from voicebench.errors import EngineError
from voicebench.targets.simulated import SAMPLE_RATE, SECONDS_PER_WORD

ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What will the weather be?"}]
TWO_WORDS_BYTES = round(2 * SECONDS_PER_WORD * SAMPLE_RATE) * 2


@pytest.fixture
def openai_client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_it_lists_what_is_served(openai_client: openai.OpenAI) -> None:
    (model,) = openai_client.models.list().data
    assert (model.id, model.object, model.owned_by) == ("simulated", "model", "voicebench")
    assert openai_client.models.retrieve("simulated").id == "simulated"


def test_it_gets_a_whole_reply(openai_client: openai.OpenAI) -> None:
    reply = openai_client.chat.completions.create(model="simulated", messages=ASKED)
    (choice,) = reply.choices
    assert (choice.message.role, choice.message.content) == ("assistant", REPLY)
    assert choice.finish_reason == "stop"
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (5, 6)
    assert reply.usage.total_tokens == 11


def test_it_streams_a_reply_token_by_token(openai_client: openai.OpenAI) -> None:
    chunks = list(
        openai_client.chat.completions.create(
            model="simulated",
            messages=ASKED,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    *said, usage = chunks
    deltas = [chunk.choices[0].delta for chunk in said]
    assert deltas[0].role == "assistant"
    tokens = [delta.content for delta in deltas if delta.content]
    assert tokens == ["The", " weather", " will", " stay", " clear", " and"]
    assert [chunk.choices[0].finish_reason for chunk in said if chunk.choices[0].finish_reason] == [
        "stop"
    ]
    assert usage.choices == []
    assert usage.usage is not None
    assert usage.usage.completion_tokens == 6
    assert {chunk.id for chunk in chunks} == {chunks[0].id}


def test_it_gets_no_usage_that_it_did_not_ask_for(openai_client: openai.OpenAI) -> None:
    stream = openai_client.chat.completions.create(model="simulated", messages=ASKED, stream=True)
    assert all(chunk.usage is None and chunk.choices for chunk in stream)


def test_its_token_limit_holds_and_is_given_as_the_reason(openai_client: openai.OpenAI) -> None:
    reply = openai_client.chat.completions.create(
        model="simulated", messages=ASKED, max_completion_tokens=2
    )
    assert reply.choices[0].message.content == "The weather"
    assert reply.choices[0].finish_reason == "length"


def test_it_streams_speech_as_raw_samples(openai_client: openai.OpenAI) -> None:
    with openai_client.audio.speech.with_streaming_response.create(
        model="simulated", voice="default", input="Hello there", response_format="pcm"
    ) as speech:
        assert speech.headers["content-type"] == "audio/pcm; rate=16000; channels=1; bits=16"
        pieces = list(speech.iter_bytes())
    assert sum(map(len, pieces)) == TWO_WORDS_BYTES
    assert len(pieces) > 1


def test_it_gets_speech_as_a_wav(openai_client: openai.OpenAI) -> None:
    speech = openai_client.audio.speech.create(
        model="simulated", voice="simulated", input="Hello there", response_format="wav"
    )
    stream = WavStream()
    assert stream.feed(speech.content).size * 2 == TWO_WORDS_BYTES
    assert stream.sample_rate == SAMPLE_RATE


def test_it_knows_a_wrong_model_when_it_is_told(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as told:
        openai_client.chat.completions.create(model="gpt-4o", messages=ASKED)
    assert told.value.code == "model_not_found"
    assert told.value.param == "model"


def test_it_knows_a_bad_request_when_it_is_told(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as told:
        openai_client.audio.speech.create(
            model="simulated", voice="default", input="x", response_format="mp3"
        )
    assert told.value.param == "response_format"
    assert told.value.type == "invalid_request_error"


def test_it_is_let_in_with_the_key_and_only_with_it() -> None:
    with server(QUICK, token="s3cret") as url:
        with (
            openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0) as stranger,
            pytest.raises(openai.AuthenticationError),
        ):
            stranger.models.list()
        with openai.OpenAI(base_url=f"{url}/v1", api_key="s3cret", max_retries=0) as friend:
            assert friend.models.list().data


def test_an_engine_that_breaks_is_a_server_error_with_its_reason() -> None:
    llm = prepared([EngineError("the model caught fire")], name="llm")
    with (
        server(engines(llm, prepared())) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
        pytest.raises(openai.InternalServerError, match="caught fire"),
    ):
        client.chat.completions.create(model="default", messages=ASKED)


def test_an_engine_that_breaks_in_mid_stream_is_told_of_there() -> None:
    llm = prepared([*words("so far"), EngineError("the model caught fire")], name="llm")
    with (
        server(engines(llm, prepared())) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        stream = client.chat.completions.create(model="default", messages=ASKED, stream=True)
        with pytest.raises(openai.APIError, match="caught fire"):
            list(stream)
