"""The rules of turns: how long a pause ends one, and which sounds of the caller stop the agent."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNFINISHED = """
a an the my your his her its our their these those to of for from with at by into onto and or but
because if when while until since than as i we he she they who where how very some any that let
about between through without um uh er erm
"""
UNFINISHED_BEHIND = frozenset(_UNFINISHED.split())
"""Words that end few sentences. Unless both models are sure, a caller goes on behind them."""

_NEVER_LAST = frozenset(
    ["a", "an", "the", "my", "your", "our", "their", "and", "or", "because", "if"]
)
"""Words that end no sentence, however sure the models are. A recogniser makes a question of "how
long does it take the"."""

_SOUNDS = "mm mmm mhm mm-hmm mmhmm mmm-hmm hm hmm hmmm uh-huh uhhuh uh um er erm ah oh ahem"
NO_ANSWER = frozenset(_SOUNDS.split())
"""Sounds that are no turn of the caller."""

LISTENING = NO_ANSWER | {"yeah", "yes", "yep", "yup", "ok", "okay", "right", "sure"}
"""Words by which a caller says that he listens: the agent goes on speaking."""

_MOMENT = "(?:moment|second|sec|minute)"
_ASKS_FOR_TIME = re.compile(
    r"(?:.* )?(?:"
    r"hold on|hang on|bear with me|let me (?:see|think|check|look)"
    rf"|(?:wait|hold on|hang on|give me)(?: for)? a {_MOMENT}"
    rf"|(?:just a|one) {_MOMENT}"
    r")"
    rf"|a {_MOMENT}|(?:(?:no|oh|ok|okay|please|just|sorry) )*wait(?: wait)*"
)
"""The end of a sentence by which a caller asks for time: he is about to go on."""

_FAREWELL = re.compile(r"(?:.* )?(?:good[ -]?bye|bye(?:[ -]bye)?)(?: for now| now| then)?")
"""Nobody goes on behind it, whatever it sounds like."""

_ASIDE = re.compile(r"\([^)]*\)|\[[^\]]*\]|\*[^*]*\*")
"""Whisper writes noises so: "(coughs)", "[BLANK_AUDIO]", "*sighs*"."""


@dataclass(frozen=True, slots=True)
class TurnPolicy:
    """When a pause ends a turn, and when speech stops the agent. Times in milliseconds.

    Two models say whether a pause ends the turn: one by the sound, with a probability, and the
    recogniser, whose words are *settled* or not. If the probability is at least ``sure`` and the
    words are settled, ``sure_ms`` of silence end it. If the models disagree, or the probability is
    at least ``likely``, ``likely_ms`` do, and behind a farewell. If both object, ``unlikely_ms``
    do, and behind words that end no sentence ``open_ms``; behind those that end few, ``likely_ms``
    or ``open_ms``. ``on_suspicion`` begins the reply at once, and holds its sound until the turn
    is over.

    Speech of ``words_after_ms`` over the agent is looked at for words, each ``words_again_ms``
    again. It stops the agent if it has others than those of a listener, or lasts ``stop_after_ms``.
    """

    sure: float = 0.3
    likely: float = 0.1
    sure_ms: float = 240.0
    likely_ms: float = 680.0
    unlikely_ms: float = 1000.0
    open_ms: float = 1400.0
    on_suspicion: bool = True
    words_after_ms: float = 160.0
    words_again_ms: float = 60.0
    stop_after_ms: float = 700.0

    def silence_ms(
        self, probability: float | None, text: str | None, *, is_settled: bool = True
    ) -> float:
        """Return the silence that ends a turn.

        ``probability`` is the model's that the turn is over, ``text`` the transcript; None is not
        known yet. ``is_settled`` says that the recogniser was sure of its words to the end.
        """
        is_sure = probability is not None and probability >= self.sure and is_settled
        if text is not None and is_farewell(text):
            return self.sure_ms if is_sure else self.likely_ms
        if text is not None and may_go_on(text):
            return self.open_ms
        if probability is None or text is None:
            return self.likely_ms
        if not may_be_last(text):
            return self.likely_ms if is_sure else self.open_ms
        if is_sure:
            return self.sure_ms
        is_doubtful = probability >= self.likely or is_settled
        return self.likely_ms if is_doubtful else self.unlikely_ms


def words_of(text: str) -> list[str]:
    """Return the words of a transcript in lower case, without marks and remarks about noises."""
    plain = _ASIDE.sub(" ", text.lower())
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", plain)


def may_go_on(text: str) -> bool:
    """Return whether a transcript ends as no last sentence does.

    It breaks off ("because the", "and then…"), or asks for time ("Sorry, wait a moment.").
    """
    words = words_of(text)
    if _is_begun_again(words) or _asks_for_time(text) or words == ["please"]:
        return True
    # A recogniser writes a full stop behind anything; a question mark only behind a question.
    if text.rstrip().endswith(("...", "…", "-", "–", ",")):
        return True
    return bool(words) and words[-1] in _NEVER_LAST


def may_be_last(text: str) -> bool:
    """Return whether the last word of a transcript ends sentences: few end with "for" or "some"."""
    words = words_of(text)
    is_asked = text.rstrip().endswith(("?", "!"))
    return is_asked or not words or words[-1] not in UNFINISHED_BEHIND


def _is_begun_again(words: list[str]) -> bool:
    """Return whether all words are the first two or more, again and again, and then a part of them.

    Whisper repeats an unfinished sentence from its beginning: "How many? How many? How".
    """
    return any(
        len(words) % length and all(word == words[at % length] for at, word in enumerate(words))
        for length in range(2, (len(words) - 1) // 2 + 1)
    )


def _asks_for_time(text: str) -> bool:
    """Return whether the last clause ends by asking for time."""
    clauses = [words for part in re.split(r"[,.;!…]", text) if (words := words_of(part))]
    if clauses and clauses[-1] == ["please"]:
        clauses.pop()
    said = " ".join(clauses[-1]).removesuffix(" please") if clauses else ""
    return "?" not in text[-2:] and _ASKS_FOR_TIME.fullmatch(said) is not None


def is_farewell(text: str) -> bool:
    """Return whether a transcript ends with a farewell."""
    return _FAREWELL.fullmatch(" ".join(words_of(text))) is not None


def joined(before: str, behind: str) -> str:
    """Return the words before and behind a pause as one text.

    Marks that the recogniser put before the pause are dropped: nobody knew that he would go on.
    """
    if not before:
        return behind
    if not words_of(behind):
        return before
    return f"{before.rstrip(' .…?!,-–')} {behind}"


def is_turn(text: str) -> bool:
    """Return whether a transcript has words that are to be answered."""
    return any(word not in NO_ANSWER for word in words_of(text))


def interrupts(text: str) -> bool:
    """Return whether words stop the agent: others than those of a listener."""
    return any(word not in LISTENING for word in words_of(text))
