"""The bodies of requests: types with bounds, and checks of the texts in them.

Every field that OpenAI's clients are known to send is either obeyed, or refused with a reason, or
listed in `IGNORED` (and in the documentation) as having no effect.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from voicebench.server.refusal import Refusal
from voicebench.server.served import AnswerRequest
from voicebench.text.chat_template import PastMessage

MAX_TEXT_CHARACTERS = 4096
"""Limit of a text to speak and of a message; the same as OpenAI's for speech."""
MAX_MESSAGES = 64
MAX_CONVERSATION_CHARACTERS = 16_384
"""Limit of all messages together: the model reads them in one step, and other turns wait."""
MAX_PARTS = 16
_INSTRUCTING = ("system", "developer")
"""Roles whose messages are the system prompt."""

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
"""Fields that would change the answer, each with its value that has no effect."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT_CHARACTERS)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="allow", allow_inf_nan=False)


class TextPart(BaseModel):
    """A part of a message; only text is supported."""

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
    """Options of a streamed answer beside the text."""

    include_usage: bool | None = None


class ChatRequest(_Request):
    """The body of `POST /v1/chat/completions`."""

    model: Name
    messages: Annotated[
        list[ChatMessage],
        Field(
            min_length=1,
            max_length=MAX_MESSAGES,
            description="System messages, if any, then the conversation. The user begins and ends "
            "it. Successive messages of one role are joined. System and developer messages are "
            "the same; one without words of the user behind it is answered too. Together at most "
            f"{MAX_CONVERSATION_CHARACTERS:,} characters.",
        ),
    ]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1, le=4096)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=4096)] | None = None
    n: Literal[1] | None = None

    def answer_request(self) -> AnswerRequest:
        """Return the request as the model gets it. Raises `Refusal`."""
        self._check_unsupported()
        texts = [
            (message.role, spoken_text(message.text(), "messages", MAX_PARTS * MAX_TEXT_CHARACTERS))
            for message in self.messages
        ]
        letters = sum(len(text) for _, text in texts)
        if letters > MAX_CONVERSATION_CHARACTERS:
            raise Refusal(
                400,
                f"the messages have {letters:,} characters together; at most "
                f"{MAX_CONVERSATION_CHARACTERS:,} are allowed",
                param="messages",
                code="string_too_long",
            )
        system, spoken = _instructions_apart(texts)
        if texts[-1][0] in _INSTRUCTING and (not spoken or spoken[-1][0] == "assistant"):
            # An agent greets so, or speaks again, without a word of its user.
            spoken.append(("user", ""))
        *earlier, last = _conversation(spoken)
        limits = [limit for limit in (self.max_tokens, self.max_completion_tokens) if limit]
        return AnswerRequest(
            prompt=last.text,
            system_prompt="\n\n".join(system) or None,
            max_tokens=min(limits, default=None),
            earlier=tuple(earlier),
        )

    def _check_unsupported(self) -> None:
        """Raise `Refusal` for an unsupported field that would change the answer."""
        for name, plain in _REFUSED.items():
            value = (self.model_extra or {}).get(name)
            if value and value != plain:
                raise Refusal(
                    400,
                    f"{name} is not supported by this server: it answers in plain text",
                    param=name,
                    code="unsupported_parameter",
                )


def _instructions_apart(
    texts: Sequence[tuple[str, str]],
) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the instructions before and behind the conversation, and the conversation."""
    spoken = [number for number, (role, _) in enumerate(texts) if role not in _INSTRUCTING]
    first, behind = (spoken[0], spoken[-1] + 1) if spoken else (len(texts), len(texts))
    told = [text for _, text in (*texts[:first], *texts[behind:])]
    return told, list(texts[first:behind])


def _conversation(texts: Sequence[tuple[str, str]]) -> list[PastMessage]:
    """Return the messages of user and model in turn, the user first and last. Raises `Refusal`."""
    said: list[PastMessage] = []
    for role, run in itertools.groupby(texts, key=lambda message: message[0]):
        if role in _INSTRUCTING:
            raise _odd_conversation("system messages must come before all others")
        who: Literal["user", "assistant"] = "user" if role == "user" else "assistant"
        said.append(PastMessage(who, "\n\n".join(text for _, text in run)))
    if not said or said[0].role != "user":
        raise _odd_conversation("the conversation must begin with a message of the user")
    if said[-1].role != "user":
        raise _odd_conversation("the last message must be the user's")
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
        """Return the name of the voice."""
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


def spoken_text(text: str, param: str, most: int = MAX_TEXT_CHARACTERS) -> str:
    """Return ``text`` without the spaces around it. Raises `Refusal` if it cannot be spoken.

    It may have ``most`` characters. ``param`` is what messages call the text.
    """
    if len(text) > most:
        why = f"{param} has {len(text):,} characters; at most {most:,} are allowed"
        raise Refusal(400, why, param=param, code="string_too_long")
    spoken = text.strip()
    if not spoken:
        raise Refusal(400, f"{param} is empty", param=param, code="empty_text")
    for character in spoken:
        category = unicodedata.category(character)
        if category == "Cs" or (category == "Cc" and character not in "\n\r\t\f"):
            why = f"{param} has a character that is not text (U+{ord(character):04X})"
            raise Refusal(400, why, param=param, code="invalid_text")
    return spoken
