"""A language model behind OpenAI's chat completions, streamed as server-sent events.

vLLM, llama.cpp's server, Ollama, LM Studio and the hosted services all speak ``POST
/v1/chat/completions``. (Format: OpenAI, "API reference: Chat completions, streaming".) Of what they
stream, only visible ``content`` of the first choice is a token. The role, empty deltas, white space
before the first word, reasoning (in a field of its own or between marks in the content), tool calls
and refusals are not; that there were some is remarked.

**Joined reads.** Where several deltas had arrived by the time that the first was read, each is a
`Token`, and all but the first are marked ``joined``: what is between them is not the model's time.

**Whole answers.** A server that answers with one JSON document, asked to or not, gives a `Reply`:
the text is complete, and when its first token was made cannot be seen.

**The end.** A ``finish_reason`` ends the reply, unless more of it comes; `openai_reply` has the
rules.

**Which model.** Without a name the server is asked for it
(`voicebench.remote.clients.offered_models`), before any turn; what it names is in
`OpenAiChat.describe`.

**The server's own times.** ``Server-Timing`` in the head is about what was done before the head was
sent. llama.cpp adds ``timings`` to the last chunk (``prompt_ms``, ``predicted_ms``); their sum is
its duration of the whole reply, and then stands in the place of the header's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from voicebench.errors import UsageError
from voicebench.events import LlmEvent
from voicebench.remote.clients.offered_models import offered_models, one_for
from voicebench.remote.clients.openai_reply import ReplyReader, until_the_end
from voicebench.remote.clients.openai_whole import read_whole
from voicebench.remote.connection.access import Access, base_of, below
from voicebench.remote.connection.answer import Answer
from voicebench.remote.connection.http import HttpService
from voicebench.remote.formats.sse import EventStream

_PATH = "/chat/completions"


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What is asked of the model; None leaves it to the server.

    ``extra`` is merged into the request's JSON last; a value of None takes a key out of it, which
    servers need that refuse one (``max_tokens`` for example, where it is
    ``max_completion_tokens``).
    """

    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    system_prompt: str | None = None
    stream: bool = True
    usage: bool = True
    extra: Mapping[str, object] = field(default_factory=dict)


class OpenAiChat:
    """A `LanguageModel` behind OpenAI's protocol.

    ``base_url`` is what comes before ``/chat/completions``: ``http://127.0.0.1:8000/v1``. ``model``
    None is the one that the server names. Raises `voicebench.errors.UsageError` for a URL or a key
    that cannot be.
    """

    def __init__(
        self,
        base_url: str,
        model: str | None = None,
        options: ChatOptions | None = None,
        access: Access | None = None,
    ) -> None:
        self._base_url = base_of(base_url, _PATH)
        self._url = below(self._base_url, _PATH)
        self._model = model
        self._options = options or ChatOptions()
        self._access = access or Access()
        self._service = HttpService(self._url, self._access, "llm")
        self._http_version: str | None = None
        self._ended: tuple[EventStream, ReplyReader] | None = None

    def reply(self, prompt: str) -> Iterator[LlmEvent]:
        """Yield the reply to ``prompt``, each token the moment its bytes are read.

        Closing the iterator hangs up, which tells the server to stop. Raises `RemoteError`.
        """
        self._ended = None
        with self._service.exchange("POST", self._url, json=self._request(prompt)) as answer:
            self._http_version = answer.http_version
            yield answer.connected
            answer.require_success()
            kind, _ = answer.content_type
            if kind == "text/event-stream" or (not kind and self._options.stream):
                yield from self._streamed(answer)
            elif kind == "application/json":
                yield from answer.server_timing()
                yield from read_whole(answer)
            else:
                raise answer.failure(
                    f"answers {kind or 'of no type'} instead of a reply: "
                    f"{answer.quoted_beginning()}",
                    "check the URL's path",
                )

    def check(self) -> None:
        """Open the connection now and learn the model's name, if nobody gave it.

        Raises `RemoteError` naming the URL, `UsageError` where the server offers several models
        or does not say.
        """
        if self._model is None:
            offered = offered_models(self._base_url, self._access, "llm")
            found = one_for("text-generation", offered, self._service.shown_url, "--llm NAME")
            if found is None:
                raise UsageError(
                    f"{self._service.shown_url} does not say which model it serves",
                    "name it: --llm NAME",
                )
            self._model = found.name
        self._service.check()

    def prepare(self) -> None:
        """Bring the connection into the state in which the next turn shall find it."""
        self._service.prepare()

    def interrupt(self) -> None:
        """Make a running reply fail at once; called from another thread."""
        self._service.interrupt()

    def look_back(self) -> None:
        """Read what has come after the last reply's end, now that nobody waits for it.

        Raises `RemoteError` where it says that the end was none.
        """
        if self._ended is not None:
            stream, reading = self._ended
            reading.check_rest(stream.feed(self._service.rest_of_last()))

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        options = self._options
        return {
            "engine": "openai-http",
            "url": self._service.shown_url,
            "model": self._model,
            "device": "remote",
            "max_tokens": options.max_tokens,
            "temperature": options.temperature,
            "seed": options.seed,
            "system_prompt": options.system_prompt,
            "stream": options.stream,
            "extra": sorted(options.extra),
            "http_version": self._http_version,
        } | self._access.describe()

    def close(self) -> None:
        """Close the connections."""
        self._service.close()

    def _request(self, prompt: str) -> dict[str, object]:
        options = self._options
        messages = [{"role": "user", "content": prompt}]
        if options.system_prompt:
            messages.insert(0, {"role": "system", "content": options.system_prompt})
        request: dict[str, object] = {
            "model": self._model,
            "messages": messages,
            "stream": options.stream,
            "max_tokens": options.max_tokens,
            "temperature": options.temperature,
            "seed": options.seed,
        }
        if options.stream and options.usage:
            request["stream_options"] = {"include_usage": True}
        request |= options.extra
        if "max_completion_tokens" in request:
            # OpenAI's newer name of the same limit; its reasoning models refuse the older one.
            request["max_tokens"] = None
        return {key: value for key, value in request.items() if value is not None}

    def _streamed(self, answer: Answer) -> Iterator[LlmEvent]:
        stream = EventStream()
        reading = ReplyReader(answer)
        for piece in until_the_end(answer, reading):
            with answer.adding_context():
                events = stream.feed(piece.data)
                for event in events:
                    yield from reading.take(event, piece.arrival)
                    if reading.complete:
                        reading.check_rest(events)
            if reading.complete:
                break
        with answer.adding_context():
            yield from reading.finish(stream.stray)
        # The end of the body may come later than the end of the reply; nobody waits for it here.
        answer.content_complete = True
        self._ended = stream, reading
