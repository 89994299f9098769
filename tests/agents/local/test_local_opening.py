"""The settings of the section ``ears`` become the policy of turns."""

from __future__ import annotations

import pytest
from scripted_engines import Scripted

from voicebench.agents.local.local_agent import Ears, LocalAgent
from voicebench.agents.local.local_opening import turn_policy
from voicebench.agents.local.turn_policy import TurnPolicy
from voicebench.settings import load_settings
from voicebench.targets.cascade import Cascade


def test_the_default_settings_are_the_usual_policy() -> None:
    assert turn_policy(load_settings().settings) == TurnPolicy()


def test_each_setting_of_the_ears_is_in_the_policy() -> None:
    given = {
        "ears.pause_ms": 300.0,
        "ears.unsure_ms": 1360.0,
        "ears.on_suspicion": False,
        "ears.interrupt_ms": 240.0,
        "ears.longest_aside_ms": 900.0,
    }
    found = turn_policy(load_settings(None, given).settings)
    assert (found.sure_ms, found.likely_ms) == (300.0, 1360.0)
    assert found.unlikely_ms == pytest.approx(2000.0)
    assert (found.words_after_ms, found.stop_after_ms) == (240.0, 900.0)
    assert not found.on_suspicion


def test_a_caller_who_may_go_on_is_not_answered_sooner_than_one_who_is_done() -> None:
    given = {"ears.pause_ms": 1000.0, "ears.unsure_ms": 300.0}
    found = turn_policy(load_settings(None, given).settings)
    assert found.sure_ms == found.likely_ms < found.unlikely_ms < found.open_ms


@pytest.mark.parametrize("own", [False, True])
def test_engines_that_were_given_are_not_closed_with_the_agent(own: bool) -> None:
    llm, tts = Scripted(), Scripted()
    cascade = Cascade(llm, tts, first_words=3, later_words=8)
    ears = object.__new__(Ears)  # nobody speaks
    LocalAgent(ears, cascade, closes_cascade=own).close()
    assert (llm.closed, tts.closed) == (own, own)
