"""A language model behind OpenAI's chat completions, streamed as server-sent events.

vLLM, llama.cpp's server, Ollama, LM Studio and the hosted services serve ``POST
/v1/chat/completions``. (Format: OpenAI, "API reference: Chat completions, streaming".) Only visible
``content`` of the first choice is a token. The role, empty deltas, white space before the first
word, reasoning (in a field of its own or between marks in the content), tool calls and refusals are
withheld; a remark says so.

**Joined reads.** If several deltas had arrived when the first was read, each is a `Token`, and all
but the first are marked ``joined``: the gaps between them are not the model's.

**Whole answers.** A server that answers with one JSON document gives a `Reply`: the text is
complete, and nothing shows when its first token was made.

**The end.** A ``finish_reason`` ends the reply, unless more of it comes; `openai_reply` has the
rules.

**Which model.** Without a name, the server is asked for it before any turn
(`voicebench.remote.clients.offered_models`).

**The server's own times.** ``Server-Timing`` in the head is about the time before the head.
llama.cpp adds ``timings`` to the last chunk; its ``prompt_ms`` then replaces the header's value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import chain

from voicebench.errors import UsageError
from voicebench.events import LlmEvent
from voicebench.remote.clients.http_engine import HttpEngine
from voicebench.remote.clients.offered_models import offered_models, only_model_for
from voicebench.remote.clients.openai_reply import ReplyReader, read_whole, until_the_end
from voicebench.remote.connection.access import Access, base_of, below
from voicebench.remote.connection.answer import Answer
from voicebench.remote.formats.sse import EventStream
from voicebench.text.chat_template import PastMessage
from voicebench.text.chat_template import messages as conversation_with

_PATH = "/chat/completions"


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """Options of a chat request; None leaves the choice to the server.

    ``extra`` is merged into the request's JSON last; a value of None removes a key from it, for
    servers that refuse the key (for example ``max_tokens``).
    """

    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    system_prompt: str | None = None
    stream: bool = True
    extra: Mapping[str, object] = field(default_factory=dict)


class OpenAiChat(HttpEngine):
    """A `LanguageModel` behind OpenAI's protocol.

    ``base_url`` is what comes before ``/chat/completions``: ``http://127.0.0.1:8000/v1``. ``model``
    None is the one that the server names.
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
        super().__init__(self._url, access, "llm")
        self._model = model
        self._options = options or ChatOptions()
        self._earlier: tuple[PastMessage, ...] = ()
        self._ended: tuple[EventStream, ReplyReader] | None = None

    def reply(self, prompt: str) -> Iterator[LlmEvent]:
        """Yield the reply to ``prompt``, each token the moment its bytes are read.

        Closing the iterator hangs up, which tells the server to stop. Raises `RemoteError`.
        """
        self._ended = None
        with self.exchange("POST", self._url, json=self._body(prompt)) as answer:
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
                raise answer.peer.failure(
                    f"answers {kind or 'without a content type'} instead of a reply: "
                    f"{answer.quoted_beginning()}",
                    "check the URL's path",
                )

    def in_conversation(self, earlier: Sequence[PastMessage], scope: str = "") -> OpenAiChat:  # noqa: ARG002
        """Return the same client that sends the messages ``earlier`` before each prompt.

        Both share the connections. The server decides what it computes again.
        """
        after = copy(self)
        after._earlier = tuple(earlier)
        return after

    def check(self) -> None:
        """Open the connection now and learn the model's name, if it is not set.

        Raises `RemoteError` naming the URL, `UsageError` where the server offers several models
        or names none.
        """
        if self._model is None:
            offered = offered_models(self._base_url, self.access, "llm")
            found = only_model_for("text-generation", offered, self.shown_url, "--llm NAME")
            if found is None:
                raise UsageError(
                    f"{self.shown_url} does not say which model it serves",
                    "name it: --llm NAME",
                )
            self._model = found.name
        super().check()

    def look_back(self) -> None:
        """Read what came after the last reply's end, now that no turn waits.

        Raises `RemoteError` where it shows that the reply was not complete.
        """
        if self._ended is not None:
            stream, reader = self._ended
            reader.check_rest(chain(stream.feed(self.rest_of_last()), stream.last()))

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        options = self._options
        facts: dict[str, object] = {
            "model": self._model,
            "max_tokens": options.max_tokens,
            "temperature": options.temperature,
            "seed": options.seed,
            "system_prompt": options.system_prompt,
            "stream": options.stream,
            "extra": sorted(options.extra),
        }
        return self._described("openai-http", facts)

    def _body(self, prompt: str) -> dict[str, object]:
        options = self._options
        messages = conversation_with(options.system_prompt or "", prompt, self._earlier)
        request: dict[str, object] = {
            "model": self._model,
            "messages": messages,
            "stream": options.stream,
            "max_tokens": options.max_tokens,
            "temperature": options.temperature,
            "seed": options.seed,
        }
        if options.stream:
            request["stream_options"] = {"include_usage": True}
        request |= options.extra
        if "max_completion_tokens" in request:
            # The newer name of the same limit; OpenAI's reasoning models refuse the older one.
            request["max_tokens"] = None
        return {key: value for key, value in request.items() if value is not None}

    def _streamed(self, answer: Answer) -> Iterator[LlmEvent]:
        stream = EventStream()
        reader = ReplyReader(answer)
        arrival = -1
        for piece in until_the_end(answer, reader):
            arrival = piece.arrival
            with answer.peer.adding_context():
                events = stream.feed(piece.data)
                for event in events:
                    yield from reader.take(event, arrival)
                    if reader.complete:
                        reader.check_rest(events)
            if reader.complete:
                break
        with answer.peer.adding_context():
            stray = stream.stray
            if not reader.complete:
                for event in stream.last():
                    yield from reader.take(event, arrival)
            yield from reader.finish(stray)
        # The body may end later than the reply; that is read after the turn.
        answer.content_complete = True
        self._ended = stream, reader
