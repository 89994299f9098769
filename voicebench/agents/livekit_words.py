"""Words and states of an agent in a room of LiveKit: what comes beside its sound.

LiveKit's Agents send what was said in two forms: as text streams of the topic ``lk.transcription``,
and as the older transcription packets. Many send both, so the packets count only as long as no text
stream of the same speaker has come. The state of the agent is an attribute of its participant.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field

from livekit.protocol.models import DataPacket, DataStream, Transcription

from voicebench.calls.agent_events import (
    AgentEvent,
    CallerTranscript,
    ReplyComplete,
    ReplyText,
    SpeechEndSeen,
)

TOPIC = "lk.transcription"
FINAL = "lk.transcription_final"
SEGMENT = "lk.segment_id"
STATE = "lk.agent.state"
INITIALIZING, LISTENING, THINKING, SPEAKING = "initializing", "listening", "thinking", "speaking"
"""Values of the attribute `STATE`."""
MOST_STREAMS = 100
"""Text streams that are open at once; of more, the oldest is forgotten."""


@dataclass(slots=True)
class _TextStream:
    speaker: str
    segment: str
    is_final: bool
    text: str = ""
    decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )


class RoomWords:
    """Makes events of one call's messages. ``caller`` is the identity of the caller."""

    def __init__(self, caller: str) -> None:
        self._caller = caller
        self._streams: dict[str, _TextStream] = {}
        self._streamed: set[str] = set()
        """Speakers of whom a text stream has come."""
        self._segment = ""
        self._said = ""
        """What was shown of the segment of the agent's answer."""
        self._by_packet = ""
        """The last final transcript of the caller that came as a packet."""
        self._state = ""
        self._was_talked_over = False

    def caller_is_audible(self) -> None:
        """Note that the caller speaks now."""
        self._was_talked_over = True

    def take_state(self, state: str) -> Iterator[AgentEvent]:
        """Yield what the agent's new state means.

        An answer that was stopped ends as one that is complete: with ``listening``. So it counts as
        complete only if the caller was silent all the while.
        """
        before, self._state = self._state, state
        if state == before:
            return
        if state == THINKING:
            yield SpeechEndSeen()
        elif state == SPEAKING:
            self._was_talked_over = False
        elif before == SPEAKING and not self._was_talked_over:
            yield ReplyComplete()

    def take_packet(self, content: bytes) -> Iterator[AgentEvent]:
        """Yield what a message of the data channel means. Raises `ValueError`."""
        try:
            packet = DataPacket.FromString(content)
        except Exception:  # its class is another one in each implementation of protocol buffers
            raise ValueError("sends a data packet that cannot be read") from None
        match packet.WhichOneof("value"):
            case "stream_header":
                self._open(packet.stream_header, packet.participant_identity)
            case "stream_chunk":
                yield from self._add(packet.stream_chunk)
            case "stream_trailer":
                yield from self._close(packet.stream_trailer)
            case "transcription":
                yield from self._take_transcription(packet.transcription)

    def _open(self, header: DataStream.Header, speaker: str) -> None:
        if header.topic != TOPIC or not header.HasField("text_header"):
            return
        if len(self._streams) >= MOST_STREAMS:
            del self._streams[next(iter(self._streams))]
        segment = header.attributes.get(SEGMENT) or header.stream_id
        if speaker not in self._streamed and speaker != self._caller:
            self._segment = segment  # so what its packets have shown is not shown again
        self._streamed.add(speaker)
        is_final = header.attributes.get(FINAL) == "true"
        self._streams[header.stream_id] = _TextStream(speaker, segment, is_final)

    def _add(self, chunk: DataStream.Chunk) -> Iterator[AgentEvent]:
        stream = self._streams.get(chunk.stream_id)
        if stream is not None:
            stream.text += stream.decoder.decode(chunk.content)
            if stream.speaker != self._caller:
                yield from self._show(stream.segment, stream.text)

    def _close(self, trailer: DataStream.Trailer) -> Iterator[AgentEvent]:
        stream = self._streams.pop(trailer.stream_id, None)
        if stream is None or stream.speaker != self._caller or not stream.text.strip():
            return
        is_final = trailer.attributes.get(FINAL, "true" if stream.is_final else "") == "true"
        came_by_packet, self._by_packet = self._by_packet, ""
        if not (is_final and stream.text == came_by_packet):
            yield CallerTranscript(stream.text, final=is_final)

    def _take_transcription(self, said: Transcription) -> Iterator[AgentEvent]:
        speaker = said.transcribed_participant_identity
        if speaker in self._streamed:
            return
        for segment in said.segments:
            if not segment.text.strip():
                continue
            if speaker != self._caller:
                yield from self._show(segment.id, segment.text)
            else:
                self._by_packet = segment.text if segment.final else ""
                yield CallerTranscript(segment.text, final=segment.final)

    def _show(self, segment: str, text: str) -> Iterator[AgentEvent]:
        """Yield what is new in the text of a segment."""
        if segment != self._segment:
            self._segment, self._said = segment, ""
        if len(text) > len(self._said) and text.startswith(self._said):
            yield ReplyText(text[len(self._said) :])
            self._said = text
