"""Replies of a paced server: their steps, and the bytes of each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from voicebench.load.pacing.paced_messages import PacedMessages
from voicebench.load.pacing.paced_script import (
    PacedStep,
    chat_steps,
    speech_steps,
    voice_steps,
)


class PacedReply(Protocol):
    """One reply; its steps count from the request, in nanoseconds."""

    @property
    def steps(self) -> Sequence[PacedStep]:
        """The steps, in order of time."""
        ...

    @property
    def can_be_refused(self) -> bool:
        """Whether it begins a turn, so that the script's faults count."""
        ...

    def payload(self, step: PacedStep) -> bytes:
        """Return the bytes of a step; the reply's first includes the head of the answer."""
        ...

    def refused(self) -> bytes:
        """Return the refusal."""
        ...


class ChatReply:
    """A streamed chat completion."""

    can_be_refused = True

    def __init__(self, messages: PacedMessages, *, with_usage: bool) -> None:
        self._messages = messages
        self._with_usage = with_usage
        self.steps = chat_steps(messages.script)

    def payload(self, step: PacedStep) -> bytes:
        """Return the bytes of a step."""
        if step.kind == "end":
            return self._messages.chat_end(with_usage=self._with_usage)
        chunk = self._messages.token_chunk(step.number)
        return chunk if step.number else self._messages.chat_head + chunk

    def refused(self) -> bytes:
        """Return the refusal."""
        return self._messages.refused_request


class SpeechReply:
    """The sound of a text of ``words`` words, as raw PCM."""

    can_be_refused = False

    def __init__(self, messages: PacedMessages, words: int, *, stalls: bool) -> None:
        self._messages = messages
        self.steps = speech_steps(messages.script, words, stalls=stalls)

    def payload(self, step: PacedStep) -> bytes:
        """Return the bytes of a step."""
        if step.kind == "end":
            return b"0\r\n\r\n"
        chunk = self._messages.sound_chunk(step.number)
        return chunk if step.number else self._messages.speech_head + chunk

    def refused(self) -> bytes:
        """Return the refusal."""
        return self._messages.refused_request


class VoiceReply:
    """A reply of the voice socket to the turn with this number."""

    can_be_refused = True

    def __init__(self, messages: PacedMessages, turn: int, *, stalls: bool) -> None:
        self._messages = messages
        self._turn = turn
        self._sound_head = messages.sound_head(turn)
        self.steps = voice_steps(messages.script, stalls=stalls)

    def payload(self, step: PacedStep) -> bytes:
        """Return the bytes of a step."""
        match step.kind:
            case "token":
                return self._messages.token_frame(step.number, self._turn)
            case "sound":
                return self._messages.sound_frame(step.number, self._sound_head)
            case _:
                return self._messages.end_frame(self._turn)

    def refused(self) -> bytes:
        """Return the refusal."""
        return self._messages.refusal_frame(self._turn)


class RealtimeReply:
    """A response of the Realtime protocol, the so-many-th of its connection."""

    can_be_refused = True

    def __init__(self, messages: PacedMessages, turn: int, *, stalls: bool) -> None:
        self._messages = messages
        self._turn = turn
        self._around_sound = messages.realtime_sound(turn)
        self.steps = voice_steps(messages.script, stalls=stalls)

    def payload(self, step: PacedStep) -> bytes:
        """Return the bytes of a step."""
        match step.kind:
            case "token":
                return self._messages.realtime_token_frame(step.number, self._turn)
            case "sound":
                return self._messages.realtime_sound_frame(step.number, self._around_sound)
            case _:
                return self._messages.realtime_end_frame(self._turn)

    def refused(self) -> bytes:
        """Return the refusal."""
        return self._messages.realtime_refusal_frame()
