"""One HTTP answer while it is read: its framing, its log, and how it ended."""

from __future__ import annotations

from collections.abc import Callable

from voicebench.load.reading.http_framing import AnswerFraming, BrokenFraming
from voicebench.load.reading.read_log import KeptSound, ReadLog

Piece = Callable[[bytes, int], None]


class AnswerReader:
    """A `Receiver` of one answer.

    ``kept`` says of which pieces the bytes are kept. ``ended`` is called once, with an error in
    words or an empty text; ``piece`` gets each piece of the body, if it is given.
    """

    def __init__(
        self,
        kept: KeptSound,
        ended: Callable[[str, int], None],
        piece: Piece | None = None,
    ) -> None:
        self.log = ReadLog()
        self.framing = AnswerFraming()
        self.head_ns: int | None = None
        self.latest_ns: int | None = None
        """When something was read last."""
        self._kept = kept
        self._ended = ended
        self._piece = piece

    def opened(self, at_ns: int) -> None:
        """Nothing to do: requests are sent on open connections."""

    def took(self, data: bytes, at_ns: int, received_ns: int | None) -> None:
        """Note the pieces of the body in ``data``."""
        self.latest_ns = at_ns
        framing = self.framing
        try:
            data, spans = framing.feed(data)
        except BrokenFraming as broken:
            self._ended(f"violated the rules of HTTP ({broken})", at_ns)
            return
        if self.head_ns is None and framing.head is not None:
            self.head_ns = at_ns
        log = self.log
        for begin, end in spans:
            log.add(at_ns, received_ns, end - begin)
            if self._kept.takes(end - begin):
                log.keep(memoryview(data)[begin:end])
            if self._piece is not None:
                self._piece(data[begin:end], at_ns)
        if framing.ended:
            self._ended("", at_ns)

    def closed(self, why: str, at_ns: int) -> None:
        """End the answer: a body without a length is whole now."""
        if self.framing.ends_with_connection and not why:
            self._ended("", at_ns)
        else:
            self._ended(f"closed the connection early ({why})", at_ns)
