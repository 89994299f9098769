"""Scripts of calls: mistakes in a step are named, and none is read aloud."""

from __future__ import annotations

import pytest

from voicebench.calls.call_script import parse_script
from voicebench.errors import UsageError


def step(words: str) -> str:
    return f'name = "test"\n[[step]]\n{words}\n'


def test_pauses_stand_between_texts() -> None:
    script = parse_script(step('say = "Hello [pause 600ms] there [ pause 1s ] friend."'), "it")
    assert script.steps[0].pieces == ("Hello", 600.0, "there", 1000.0, "friend.")
    assert script.steps[0].text == "Hello there friend."


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ('say = "Hello [pause] there"', r"'\[pause\]' is not a pause"),
        ('say = "Hello [Pause 600ms] there"', r"'\[Pause 600ms\]' is not a pause"),
        ('say = "Hello [pause: 300ms] there"', "is not a pause"),
        ('say = "Hello there [pause 600ms"', "is not a pause"),
        ('say = "Hello [pause 600] there"', "pause '600' is not a duration"),
        ('say = "..."', "says nothing"),
        ('say = "Hello [pause 1s] ?"', "says nothing"),
        ('say = "[pause 1s] Hello"', "begins or ends with a pause"),
        ('say = "Hello"\nlimit = "0ms"', "limit is 0"),
    ],
)
def test_a_mistake_in_a_step_is_named(words: str, named: str) -> None:
    with pytest.raises(UsageError, match=f"it, step 1.*{named}"):
        parse_script(step(words), "it")
