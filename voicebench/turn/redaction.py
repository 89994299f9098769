"""Keys hidden in all texts of a turn, because a peer may repeat the key it was sent.

All other text stays as it was, escape sequences included. Only the sentences that are shown (why a
turn failed, what a remark quotes) are made printable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from voicebench.quoting import one_line
from voicebench.secrecy import Secrets
from voicebench.turn.timeline import TimedText, Timeline


def without_secrets(turn: Timeline, secrets: Secrets) -> Timeline:
    """Return ``turn`` with secrets hidden in every text, also those split over several tokens."""
    failure = turn.failure
    if failure is not None:
        reason = one_line(secrets.hidden_in(failure.reason))
        turn = replace(turn, failure=replace(failure, reason=reason))
    remarks = tuple(
        replace(remark, said=one_line(secrets.hidden_in(remark.said))) if remark.said else remark
        for remark in turn.remarks
    )
    turn = replace(turn, remarks=remarks)
    if not secrets:
        return turn
    whole = turn.whole_reply
    return replace(
        turn,
        prompt=secrets.hidden_in(turn.prompt),
        tokens=_hidden_in(turn.tokens, secrets),
        whole_reply=whole and whole._replace(text=secrets.hidden_in(whole.text)),
        chunks=_hidden_in(turn.chunks, secrets),
    )


def _hidden_in(texts: Sequence[TimedText], secrets: Secrets) -> tuple[TimedText, ...]:
    kept = secrets.hidden_in_parts(timed.text for timed in texts)
    return tuple(timed._replace(text=text) for timed, text in zip(texts, kept, strict=True))
