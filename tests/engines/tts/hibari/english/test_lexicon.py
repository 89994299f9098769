"""A small lexicon by hand: look-up, parts of speech, endings, stress."""

from __future__ import annotations

import pytest

from voicebench.engines.tts.hibari.english.lexicon import After, Entry, Lexicon, weaker

GOLD: dict[str, Entry] = {
    "cat": "kˈæt",
    "bus": "bˈʌs",
    "try": "tɹˈI",
    "stop": "stˈɑp",
    "bake": "bˈAk",
    "wait": "wˈAt",
    "and": "ænd",
    "read": {"DEFAULT": "ɹˈid", "VBD": "ɹˈɛd"},
    "use": {"DEFAULT": "jˈuz", "NOUN": "jˈus"},
    "have": {"DEFAULT": "hæv", "None": "hˈæv"},
    "U": "jˈu",
    "S": "ˈɛs",
    "A": "ˈA",
    "Rome": "ɹˈOm",
}
VOWEL, CONSONANT, END = After(True), After(False), After(None)


@pytest.fixture
def lexicon() -> Lexicon:
    return Lexicon(GOLD, {"zebra": "zˈibɹə"})


@pytest.mark.parametrize(
    ("word", "tag", "after", "phonemes"),
    [
        ("cat", "NN", END, "kˈæt"),
        ("zebra", "NN", END, "zˈibɹə"),
        ("rome", "NNP", END, "ɹˈOm"),
        ("read", "VB", END, "ɹˈid"),
        ("read", "VBD", END, "ɹˈɛd"),
        ("use", "NN", END, "jˈus"),
        ("have", "VBP", END, "hˈæv"),
        ("have", "VBP", CONSONANT, "hæv"),
        ("the", "DT", VOWEL, "ði"),
        ("the", "DT", CONSONANT, "ðə"),
        ("to", "TO", CONSONANT, "tə"),
        ("to", "TO", VOWEL, "tʊ"),
        ("a", "DT", CONSONANT, "ɐ"),
        ("in", "IN", CONSONANT, "ɪn"),
        ("in", "RP", CONSONANT, "ˈɪn"),
        ("used", "VBD", After(False, is_to=True), "jˈust"),
        ("And", "CC", CONSONANT, "ˌænd"),
        ("cats", "NNS", END, "kˈæts"),
        ("buses", "NNS", END, "bˈʌsᵻz"),
        ("tries", "VBZ", END, "tɹˈIz"),
        ("baked", "VBD", END, "bˈAkt"),
        ("waited", "VBD", END, "wˈAɾᵻd"),
        ("stopped", "VBD", END, "stˈɑpt"),
        ("tried", "VBD", END, "tɹˈId"),
        ("baking", "VBG", END, "bˈAkɪŋ"),
        ("stopping", "VBG", END, "stˈɑpɪŋ"),
        ("waiting", "VBG", END, "wˈAɾɪŋ"),
        ("cat's", "NN", END, "kˈæts"),
        ("U.S.A.", "NNP", END, "jˌuˌɛsˈA"),
        ("USA", "NNP", END, "jˌuˌɛsˈA"),
        ("CAT", "NN", END, "kˈæt"),
        ("unheard", "JJ", END, None),
    ],
)
def test_a_word_sounds_like_this(
    lexicon: Lexicon, word: str, tag: str, after: After, phonemes: str | None
) -> None:
    assert lexicon.phonemes(word, tag, after) == phonemes


def test_less_stress() -> None:
    assert weaker("ɹˌiˈin") == "ɹiˌin"
    assert weaker("ænd") == "ænd"
