"""A turn's texts without keys: what a peer repeats of a key is on record nowhere.

Everything else stays as it was, escape sequences included; only the sentences that say why a turn
failed, and what was odd about it, are such as print, for they are there to be shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from voicebench.quoting import one_line
from voicebench.secrecy import Secrets
from voicebench.turn.timeline import TimedText, Timeline


def without_secrets(turn: Timeline, secrets: Secrets) -> Timeline:
    """Return ``turn`` with no secret in any text of it, also where it came in several tokens."""
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
