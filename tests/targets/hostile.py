"""The hostile half of the contract: turns of a broken server, and what must be recorded of them.

A `Broken` turn is a list of steps for the reply and one for the speech, in no protocol's words.
Each kind of target that can show all of its steps plays it (`hostile_kinds`), and must record the
same: the turn fails in the server's words, or its figures are those of what was there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from voicebench.figures.metrics import compute
from voicebench.turn.timeline import Timeline

REPLY = "It is late."
WORDS = tuple(f" word{number}" for number in range(12))
GAP_S = 0.03
LONG_S = 0.15
QUIET_S = 0.4
"""The limit on silence, where the server will be silent."""
SAID = "out of memory"


@dataclass(frozen=True)
class Step:
    """What a server does next."""


@dataclass(frozen=True)
class Say(Step):
    """A piece of the reply's text."""

    text: str = REPLY


@dataclass(frozen=True)
class SayAndEnd(Step):
    """A piece of text, with the claim that the reply is over."""

    text: str


@dataclass(frozen=True)
class Wait(Step):
    seconds: float


@dataclass(frozen=True)
class End(Step):
    """The good end of the reply, or of the speech."""


@dataclass(frozen=True)
class FalseEnd(Step):
    """An end as good as any, after which more comes."""


@dataclass(frozen=True)
class EndOfNothing(Step):
    """An end as good as any, of a reply without text."""


@dataclass(frozen=True)
class OnlyDone(Step):
    """The stream is over, and nothing says that the reply is."""


@dataclass(frozen=True)
class Filtered(Step):
    """The reply ends because a filter cut it."""


@dataclass(frozen=True)
class Fail(Step):
    """An error in a shape of the server's own, with its words; ``within`` another message."""

    said: str = SAID
    within: bool = False


@dataclass(frozen=True)
class Chatter(Step):
    """Something that the protocol does not know, and that is no error."""


@dataclass(frozen=True)
class Count(Step):
    """The server's count of the reply's tokens."""

    tokens: int


@dataclass(frozen=True)
class Sound(Step):
    """A piece of audible sound."""


@dataclass(frozen=True)
class Silence(Step):
    """A piece of silent sound."""


@dataclass(frozen=True)
class Close(Step):
    """The stream is closed in good order, whatever was said before."""


@dataclass(frozen=True)
class Break(Step):
    """The connection ends in the middle of a word or a sample."""


@dataclass(frozen=True)
class Stall(Step):
    """Nothing more comes, and the connection stays."""


@dataclass(frozen=True)
class Page(Step):
    """A web page of status 200."""


GOOD_REPLY = (Say(), End())
GOOD_SPEECH = (Sound(), End())


@dataclass(frozen=True)
class Broken:
    """A turn of a broken server, and the check of what is recorded of it."""

    name: str
    check: Callable[[Timeline], None]
    reply: tuple[Step, ...] = GOOD_REPLY
    speech: tuple[Step, ...] = GOOD_SPEECH

    def __str__(self) -> str:
        return self.name


def works(turn: Timeline) -> None:
    """Hold ``turn`` to a good one, with nothing of another turn in it."""
    assert turn.failure is None, turn.failure.reason
    assert turn.reply == REPLY
    assert turn.sound is not None
    assert sum(arrival.samples for arrival in turn.audio) == SOUND_SAMPLES


SOUND_SAMPLES = 1600


def fails(*said: str, fault: str | None = None) -> Callable[[Timeline], None]:
    """Return the check that the turn fails, and with which words."""

    def check(turn: Timeline) -> None:
        assert turn.failure is not None
        assert any(words in turn.failure.reason for words in said or ("",)), turn.failure.reason
        assert fault in (None, turn.failure.fault)

    return check


def the_whole_reply_counts(turn: Timeline) -> None:
    assert turn.failure is None, turn.failure.reason
    assert turn.reply == "".join(WORDS)
    total = compute(turn)["llm_total_ms"]
    assert total is not None
    assert total >= 1000 * GAP_S * (len(WORDS) - 1)


def only_the_answer_is_heard(turn: Timeline) -> None:
    assert turn.failure is None, turn.failure.reason
    assert turn.reply.strip() == REPLY
    assert "".join(chunk.text for chunk in turn.chunks).strip() in (REPLY, "")
    assert "reasoning" in [remark.kind for remark in turn.remarks]
    first = compute(turn)["llm_ttft_ms"]
    assert (first is None) == (turn.whole_reply is not None)
    assert first is None or first >= 1000 * LONG_S


def the_first_word_is_the_first_token(turn: Timeline) -> None:
    assert turn.failure is None, turn.failure.reason
    assert turn.reply.strip() == REPLY
    first = compute(turn)["llm_ttft_ms"]
    assert (first is None) == (turn.whole_reply is not None)
    assert first is None or first >= 1000 * LONG_S


def no_rate_is_made(turn: Timeline) -> None:
    assert turn.failure is None, turn.failure.reason
    assert turn.usage_tokens is not None
    figures = compute(turn)
    assert figures["llm_tokens"] == len(turn.tokens) == len(WORDS)
    assert figures["llm_tokens_per_s"] is None


def it_works_and_the_chatter_is_remarked(turn: Timeline) -> None:
    works(turn)
    assert "unknown" in [remark.kind for remark in turn.remarks]


_TEXT = tuple(step for word in WORDS for step in (Say(word), Wait(GAP_S)))
_ENDS = tuple(step for word in WORDS for step in (SayAndEnd(word), Wait(GAP_S)))
_THOUGHT = (Say("<thi"), Say("nk>They ask for the time.</th"), Wait(LONG_S), Say("ink>\n\n"))

BROKEN = (
    # The reply.
    Broken("an end with every word", the_whole_reply_counts, (*_ENDS, End())),
    Broken("the reply fails, then ends well", fails(SAID), (Say(), Fail(), End())),
    Broken("the reply ends well, then fails", fails(SAID), (Say(), FalseEnd(), Fail(), Close())),
    Broken(
        "an error within a message of the reply", fails(SAID), (Say(), Fail(within=True), End())
    ),
    Broken("the reply ends with [DONE] alone", fails("no finish_reason"), (Say(), OnlyDone())),
    Broken("the reply is filtered", fails("content_filter"), (Say(), Filtered())),
    Broken("the reply is closed without an end", fails(), (Say(), Close())),
    Broken("the reply breaks in mid-word", fails(), (Say("It is l"), Break())),
    Broken("the reply stalls", fails(fault="timeout"), (Say("It is"), Stall())),
    Broken("the reply is a page", fails("Welcome", "text/html"), (Page(),)),
    Broken("the reply is empty", fails(), (EndOfNothing(),)),
    Broken("the reply is blank", fails(), (Say("\n"), Say(" "), EndOfNothing())),
    Broken("a thought in the content", only_the_answer_is_heard, (*_THOUGHT, *GOOD_REPLY)),
    Broken(
        "a thought in marks of another spelling",
        only_the_answer_is_heard,
        (Say("<think type='x'"), Say(">They ask.<"), Wait(LONG_S), Say("/Think >"), *GOOD_REPLY),
    ),
    Broken("a thought without end", fails("reasoning"), (Say("<think>They ask."), End())),
    Broken(
        "a blank first delta",
        the_first_word_is_the_first_token,
        (Say("\n\n"), Wait(LONG_S), *GOOD_REPLY),
    ),
    Broken("a count with reasoning in it", no_rate_is_made, (*_TEXT, Count(411), End())),
    Broken("a count below what was seen", no_rate_is_made, (*_TEXT, Count(3), End())),
    Broken("a count of nothing", no_rate_is_made, (*_TEXT, Count(0), End())),
    Broken("chatter in the reply", it_works_and_the_chatter_is_remarked, (Chatter(), *GOOD_REPLY)),
    # The speech.
    Broken("no sound", fails(), speech=(End(),)),
    Broken("silence", fails("silent"), speech=(Silence(), End())),
    Broken("the speech fails at once", fails(SAID), speech=(Fail(), End())),
    Broken("the speech fails, then ends well", fails(SAID), speech=(Sound(), Fail(), End())),
    Broken(
        "an error within a message of the speech",
        fails(SAID),
        speech=(Sound(), Fail(within=True), End()),
    ),
    Broken(
        "the speech ends well, then fails",
        fails(SAID),
        speech=(Sound(), FalseEnd(), Fail(), Close()),
    ),
    Broken("the speech goes on after its end", fails(), speech=(Sound(), FalseEnd(), Sound())),
    Broken("the speech breaks in mid-sample", fails(), speech=(Sound(), Break())),
    Broken("the speech stalls", fails(fault="timeout"), speech=(Sound(), Stall())),
    Broken("the speech is a page", fails("Welcome", "text/html"), speech=(Page(),)),
    Broken(
        "chatter in the speech",
        it_works_and_the_chatter_is_remarked,
        speech=(Chatter(), *GOOD_SPEECH),
    ),
)
