"""A turn on record: without keys, and otherwise as it was."""

from __future__ import annotations

from dataclasses import replace

from handmade import failed_turn, make_turn

from voicebench.secrecy import NO_SECRETS, Secrets
from voicebench.turn.redaction import without_secrets
from voicebench.turn.timeline import TimedText

KEY = "Kx7-9qLmZ0pT4"


def test_a_turn_without_keys_stays_as_it_is() -> None:
    for turn in (make_turn(), failed_turn()):
        assert without_secrets(turn, NO_SECRETS) == turn
        assert without_secrets(turn, Secrets([KEY])) == turn


def test_a_key_is_in_no_text_of_a_turn_though_it_came_in_pieces() -> None:
    tokens = tuple(
        TimedText(at_ns, text) for at_ns, text in enumerate(["It is ", KEY[:6], KEY[6:], "\x1b!"])
    )
    turn = replace(make_turn(prompt=f"say {KEY}"), tokens=tokens, chunks=(TimedText(5, KEY),))
    kept = without_secrets(turn, Secrets([KEY]))
    assert [token.text for token in kept.tokens] == ["It is ", "***", "*", "\x1b!"]
    assert [token.at_ns for token in kept.tokens] == [0, 1, 2, 3]
    assert kept.chunks == (TimedText(5, "***"),)
    assert kept.prompt == "say ***"


def test_the_reason_of_a_failure_is_a_line_that_prints() -> None:
    turn = failed_turn()
    assert turn.failure
    turn = replace(turn, failure=replace(turn.failure, reason=f"no {KEY}\x1b[2J\nthere"))
    kept = without_secrets(turn, Secrets([KEY]))
    assert kept.failure
    assert kept.failure.reason == "no ***�[2J there"
    plain = without_secrets(turn, NO_SECRETS)
    assert plain.failure
    assert "\x1b" not in plain.failure.reason
