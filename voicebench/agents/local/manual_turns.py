"""Turns that the caller's client ends by hand: it commits what was said, and asks for the answer.

No pause ends such a turn, and no speech stops the agent: the client cancels. The reply is begun
with the transcript, and held back until it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebench.agents.local.caller_utterance import BEFORE, CallerUtterance
from voicebench.agents.local.dialogue import Dialogue
from voicebench.agents.local.turn_policy import is_turn
from voicebench.calls.agent_events import CallerTranscript, ReplyComplete, SpeechEndSeen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ManualDialogue(Dialogue):
    """The decisions of one call whose turns are ended by `commit`."""

    _from = 0
    """The first sample that was not committed yet."""
    _is_wanted = False

    def hear(self, frame: NDArray[np.int16]) -> None:
        """Take the next samples of the caller, int16 mono at 16 kHz."""
        self._sound.add(frame)

    def drop_sound(self) -> None:
        """Forget what was not committed yet."""
        self._from = self._sound.position

    def commit(self) -> None:
        """Take what was heard since the last commit as the caller's turn."""
        self.cancel()
        self._number += 1
        self._text = None
        self._utterance = CallerUtterance(self._from + BEFORE)
        self._from = self._sound.position
        self._emit(SpeechEndSeen())
        self._asking.recognise(self._number, self._utterance.part(self._sound))

    def recognised(self, number: int, text: str, is_settled: bool = True) -> None:
        """Take the transcript of what was committed, and begin the reply."""
        del is_settled
        if number != self._number:
            return
        self._text = text
        if is_turn(text):
            self._emit(CallerTranscript(text))
            self.suspicion.begun += not self._is_wanted
            self._begin(held=not self._is_wanted)
        elif self._is_wanted:
            self._emit(ReplyComplete())  # nothing was said, so there is nothing to answer

    def respond(self) -> None:
        """Let the answer be heard, now or when it comes."""
        self._is_wanted = True
        if self._held is not None:
            self._release()
        elif self._text is not None and not is_turn(self._text):
            self._emit(ReplyComplete())

    def cancel(self) -> None:
        """Discard the reply under way; what was heard of it is remembered."""
        self._is_wanted = False
        if self._reply is None:
            return
        if self._held is None and self._played_until:
            self._reply.discard()
            self._remember()
        if self._reply is not None:
            self._throw_away()
