"""What a request may say: its body as a type, with bounds, and the words in it as plain text.

Every field that OpenAI's clients are known to send is either done as asked, or refused with the
reason, or listed in `IGNORED` (and in the documentation) as having no effect. Nothing is quietly
done in another way.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from voicebench.server.refusal import Refusal
from voicebench.server.served import Asked
from voicebench.text.chat_template import PastMessage

MAX_TEXT_CHARACTERS = 4096
"""Of a text to speak, or of a message; OpenAI's limit for speech."""
MAX_MESSAGES = 64
MAX_CONVERSATION_CHARACTERS = 16_384
"""Of all messages together: the model reads them in one step, and other turns wait for it."""
MAX_PARTS = 16
_TOLD = ("system", "developer")

IGNORED = (
    "temperature, top_p, seed, stop, penalties, user, metadata: replies are sampled as the server "
    "was started"
)

_REFUSED: dict[str, object] = {
    "tools": None,
    "functions": None,
    "audio": None,
    "logprobs": None,
    "response_format": {"type": "text"},
    "modalities": ["text"],
}
"""Fields that would change the answer, each with the value that changes nothing."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT_CHARACTERS)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="allow", allow_inf_nan=False)


class TextPart(BaseModel):
    """A part of a message; only text can be read."""

    type: Literal["text"]
    text: Text


class ChatMessage(BaseModel):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[list[TextPart], Field(min_length=1, max_length=MAX_PARTS)]

    def text(self) -> str:
        """Return all of its text."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """What a streamed answer has beside the text."""

    include_usage: bool | None = None


class ChatRequest(_Request):
    """The body of `POST /v1/chat/completions`."""

    model: Name
    messages: Annotated[
        list[ChatMessage],
        Field(
            min_length=1,
            max_length=MAX_MESSAGES,
            description="What the system is told, if anything, then the conversation: the user "
            "begins, and has the last word. Messages of one side in a row are one. Together at "
            f"most {MAX_CONVERSATION_CHARACTERS:,} characters.",
        ),
    ]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1, le=4096)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=4096)] | None = None
    n: Literal[1] | None = None

    def asked(self) -> Asked:
        """Return the request as the model gets it. Raises `Refusal`."""
        self._refuse_what_is_not_done()
        texts = [
            (message.role, spoken_text(message.text(), "messages")) for message in self.messages
        ]
        letters = sum(len(text) for _, text in texts)
        if letters > MAX_CONVERSATION_CHARACTERS:
            raise Refusal(
                400,
                f"the messages have {letters:,} characters together; at most "
                f"{MAX_CONVERSATION_CHARACTERS:,} are taken",
                param="messages",
                code="string_too_long",
            )
        told = list(itertools.takewhile(lambda message: message[0] in _TOLD, texts))
        *earlier, asked = _conversation(texts[len(told) :])
        limits = [limit for limit in (self.max_tokens, self.max_completion_tokens) if limit]
        return Asked(
            prompt=asked.text,
            system_prompt="\n\n".join(text for _, text in told) if told else None,
            max_tokens=min(limits, default=None),
            earlier=tuple(earlier),
        )

    def _refuse_what_is_not_done(self) -> None:
        """Raise `Refusal` for a field that would change the answer and cannot be obeyed."""
        for name, plain in _REFUSED.items():
            value = (self.model_extra or {}).get(name)
            if value and value != plain:
                raise Refusal(
                    400,
                    f"{name} is not supported by this server: it answers in plain text",
                    param=name,
                    code="unsupported_parameter",
                )


def _conversation(texts: Sequence[tuple[str, str]]) -> list[PastMessage]:
    """Return what user and model said in turn, the user first and last. Raises `Refusal`."""
    said: list[PastMessage] = []
    for role, run in itertools.groupby(texts, key=lambda message: message[0]):
        if role in _TOLD:
            raise _odd_conversation("what the system is told has to come before all else")
        who: Literal["user", "assistant"] = "user" if role == "user" else "assistant"
        said.append(PastMessage(who, "\n\n".join(text for _, text in run)))
    if not said or said[0].role != "user":
        raise _odd_conversation("the conversation has to begin with a message of the user")
    if said[-1].role != "user":
        raise _odd_conversation("the last message has to be the user's")
    return said


def _odd_conversation(why: str) -> Refusal:
    return Refusal(400, why, param="messages", code="unsupported_conversation")


class VoiceId(BaseModel):
    """A voice by its id."""

    id: Name


class SpeechRequest(_Request):
    """The body of `POST /v1/audio/speech`."""

    model: Name
    text: Text = Field(alias="input")
    voice: Name | VoiceId = "default"
    response_format: Annotated[
        Literal["wav", "pcm"],
        Field(description="16-bit mono; 'wav' is a WAV of unknown length, so that it streams."),
    ] = "wav"
    stream_format: Literal["audio", "sse"] = "audio"
    speed: Annotated[
        Literal[1], Field(description="The pace is the one that the server was started with.")
    ] = 1

    def voice_name(self) -> str:
        """Return which voice is wanted."""
        return self.voice if isinstance(self.voice, str) else self.voice.id


class PlainRequest(BaseModel):
    """The body of `POST /tts/stream`."""

    text: Text
    format: Annotated[
        Literal["wav", "wav-chunks", "pcm"],
        Field(
            description="'wav': one WAV of unknown length; 'wav-chunks': a whole WAV for each "
            "piece; 'pcm': raw samples, their rate in the content type. All 16-bit mono."
        ),
    ] = "wav"


def bounded_text(text: str, param: str, name: str) -> str:
    """Return what `spoken_text` does of a text that no form has measured yet.

    ``name`` is what the text is called where it is refused as no text. Raises `Refusal`.
    """
    if len(text) > MAX_TEXT_CHARACTERS:
        raise Refusal(
            400,
            f"the {param} has {len(text):,} characters; at most {MAX_TEXT_CHARACTERS:,} are taken",
            param=param,
            code="string_too_long",
        )
    return spoken_text(text, name)


def spoken_text(text: str, param: str) -> str:
    """Return ``text`` without the spaces around it. Raises `Refusal` where it is none."""
    spoken = text.strip()
    if not spoken:
        raise Refusal(400, f"{param} is empty", param=param, code="empty_text")
    for character in spoken:
        category = unicodedata.category(character)
        if category == "Cs" or (category == "Cc" and character not in "\n\r\t\f"):
            raise Refusal(
                400,
                f"{param} has a character that is no text (U+{ord(character):04X})",
                param=param,
                code="invalid_text",
            )
    return spoken
