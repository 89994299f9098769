"""Every target records the same of the same broken server, and its next turn is as good as any."""

from __future__ import annotations

import pytest
from contract import PROMPT
from hostile import BROKEN, Broken, works
from hostile_in_process import IN_PROCESS
from hostile_kinds import KINDS, Kind

from voicebench.audio.pcm import AudibleRule
from voicebench.remote import Remote
from voicebench.targets import Target
from voicebench.turn.recorder import Recorder
from voicebench.turn.timeline import Timeline

ALL_KINDS = (*KINDS, IN_PROCESS)
SHOWN = [(kind, broken) for kind in ALL_KINDS for broken in BROKEN if kind.shows(broken)]


def take(target: Target, number: int) -> Timeline:
    if isinstance(target, Remote):
        target.prepare()
    recorder = Recorder()
    target.run(PROMPT, recorder.emit)
    return recorder.seal(number, "measured", AudibleRule()).timeline


@pytest.mark.parametrize(("kind", "broken"), SHOWN, ids=str)
def test_a_broken_turn_is_recorded_for_what_it_is_and_the_next_one_works(
    kind: Kind, broken: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However late the server's thread gets to it, an answer comes to its end.
    monkeypatch.setattr("voicebench.remote.connection.http.SETTLE_S", 10)
    with kind.open(broken) as target:
        broken.check(take(target, 1))
        works(take(target, 2))


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_every_broken_turn_is_shown_by_some_kind(broken: Broken) -> None:
    assert any(kind.shows(broken) for kind in ALL_KINDS)


@pytest.mark.parametrize("kind", ALL_KINDS, ids=str)
def test_every_kind_shows_broken_replies_and_broken_speech(kind: Kind) -> None:
    assert sum(kind.shows(broken) for broken in BROKEN) >= 5
