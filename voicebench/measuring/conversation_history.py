"""The messages so far of the conversation whose turns are being measured.

The user's words are the prompts; the model's are its replies as they were received. They are sent
along with the next turn, so each turn of a conversation is answered after those before it.
"""

from __future__ import annotations

from voicebench.targets import Conversing, Target
from voicebench.text.chat_template import PastMessage
from voicebench.turn.timeline import Timeline


class ConversationHistory:
    """The messages of one conversation after the other.

    ``name`` is different for each run: a target may use again what it has computed in the same
    conversation, and never in another one, even if that has the same words.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._conversation: int | None = None
        self._said: list[PastMessage] = []

    def target_for(self, conversation: int | None, target: Target) -> Target:
        """Return ``target`` after what was said in ``conversation``, for its next turn.

        For a turn that stands alone (None) it is the target itself.
        """
        if conversation is None:
            return target
        if conversation != self._conversation:
            self._conversation, self._said = conversation, []
        assert isinstance(target, Conversing)  # the settings were checked
        return target.in_conversation(tuple(self._said), f"{self._name} {conversation}")

    def heard(self, turn: Timeline) -> None:
        """Take what was said in a turn.

        A turn without a reply is left out: user and model speak in turn. An interrupted reply
        counts as far as it was received.
        """
        if turn.conversation is not None:
            self.said(turn.prompt, turn.reply)

    def said(self, prompt: str, reply: str) -> None:
        """Take the words of a turn of the present conversation; without a reply it is left out."""
        if reply.strip():
            self._said += [PastMessage("user", prompt), PastMessage("assistant", reply.strip())]
