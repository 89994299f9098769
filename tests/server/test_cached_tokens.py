"""The server finds what it has computed of a conversation, and says how much: real engines here."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from openai.types.completion_usage import CompletionUsage
from scripted_engines import words
from served_somewhere import engines, prepared, server
from small_models import tiny_llama_config, write_model, write_tokenizer

from voicebench.engines.llm.language_model import load_language_model
from voicebench.events import Usage

FIRST: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is a fox?"}]
SECOND: list[ChatCompletionMessageParam] = [
    *FIRST,
    {"role": "assistant", "content": "A quick brown dog."},
    {"role": "user", "content": "Is it lazy?"},
]
THIRD: list[ChatCompletionMessageParam] = [
    *SECOND,
    {"role": "assistant", "content": "No."},
    {"role": "user", "content": "How are you?"},
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a small random Llama on the fast engine."""
    folder = tmp_path_factory.mktemp("served-llama")
    write_tokenizer(folder)
    write_model(folder, tiny_llama_config())
    model = load_language_model(
        str(folder), device="cpu", engine="fast", kernels="torch", precision="fp32", max_tokens=6
    )
    with server(engines(model, prepared())) as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as asking:
        yield asking


def counts(usage: CompletionUsage | None) -> tuple[int, int]:
    """Return the tokens of a prompt, and how many of them were not computed again."""
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens is not None
    return usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens


def asked(client: openai.OpenAI, said: list[ChatCompletionMessageParam]) -> tuple[int, int]:
    reply = client.chat.completions.create(model=model_of(client), messages=said)
    return counts(reply.usage)


def model_of(client: openai.OpenAI) -> str:
    return client.models.list().data[0].id


def test_a_conversation_is_computed_once(client: openai.OpenAI, url: str) -> None:
    first, _ = asked(client, FIRST)
    second, of_first = asked(client, SECOND)
    third, of_second = asked(client, THIRD)
    # The replies in the messages are other words than the model's, so they are read anew.
    assert of_first == first
    assert of_second == second
    assert third > second > first
    text = httpx.get(f"{url}/metrics", trust_env=False).text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(lines["voicebench_prompt_tokens_total"]) >= first + second + third
    assert float(lines["voicebench_cached_tokens_total"]) >= of_first + of_second


def test_a_streamed_reply_says_it_too(client: openai.OpenAI) -> None:
    before, _ = asked(client, SECOND)
    *_, last = client.chat.completions.create(
        model=model_of(client),
        messages=THIRD,
        stream=True,
        stream_options={"include_usage": True},
    )
    prompt, cached = counts(last.usage)
    assert before <= cached < prompt


def test_a_conversation_of_its_own_shares_only_the_system_prompt(client: openai.OpenAI) -> None:
    system: ChatCompletionMessageParam = {"role": "system", "content": "Speak like a pirate. " * 3}
    asked(client, [system, *FIRST])
    prompt, cached = asked(client, [system, {"role": "user", "content": "Hello!"}])
    assert 0 < cached < prompt
    _, unrelated = asked(client, [{"role": "system", "content": "X"}, *FIRST])
    assert unrelated < cached


def test_a_model_that_does_not_count_its_prompts_claims_nothing() -> None:
    llm = prepared([*words("Fine."), Usage(1)], name="llm")
    with (
        server(engines(llm, prepared())) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        reply = client.chat.completions.create(model="default", messages=FIRST)
    assert reply.usage is not None
    assert reply.usage.prompt_tokens_details is None
