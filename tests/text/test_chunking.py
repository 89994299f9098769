"""The chunker's rules: which chunks, how early, and what is never torn."""

from __future__ import annotations

import itertools
import re

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from voicebench.errors import UsageError
from voicebench.text.chunking import MAX_CHARACTERS, Chunker, chunk

FAMILY = "👩‍👩‍👧‍👦"
SCOTLAND = "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"

SIZES = [
    ("", []),
    ("Hello", ["Hello"]),
    ("one two three", ["one two three"]),
    ("one two three four", ["one two three ", "four"]),
    (
        "a1 a2 a3 b1 b2 b3 b4 b5 b6 b7 b8 c1",
        ["a1 a2 a3 ", "b1 b2 b3 b4 b5 b6 b7 b8 ", "c1"],
    ),
    # What is bound together (here digit groups) at most doubles a chunk.
    ("1 2 3 4 5 6 7 8 9", ["1 2 3 4 5 6 ", "7 8 9"]),
    ("one  two\tthree   four", ["one  two\tthree   ", "four"]),
    ("  one two three four", ["  one two three ", "four"]),
]

ENDS = [
    ("Yes. It is.", ["Yes. ", "It is."]),
    ("Hello! How are you?", ["Hello! ", "How are you?"]),
    ("Why? Because.", ["Why? ", "Because."]),
    ("Well… maybe.", ["Well… ", "maybe."]),
    ("Well... maybe.", ["Well... ", "maybe."]),
    ("Really?! Yes!!! Good.", ["Really?! ", "Yes!!! ", "Good."]),
    ("Yes, of course.", ["Yes,", " of course."]),
    ("Well; no.", ["Well;", " no."]),
    ("Note: it rains.", ["Note: ", "it rains."]),
    ("Well — you know.", ["Well — ", "you know."]),
    ("Well – you know.", ["Well – ", "you know."]),
    ("Well - you know.", ["Well - ", "you know."]),
    ("Well -- you know.", ["Well -- ", "you know."]),
    ("Yes—of course.", ["Yes—", "of course."]),
    ("Title\nThen text", ["Title\n", "Then text"]),
    ("Title\r\nThen text", ["Title\r\n", "Then text"]),
    ("First.\n\nSecond.", ["First.\n", "\nSecond."]),
    # In a later chunk a clause mark closes from half of its words on.
    (
        "We can see red, green, blue, yellow, black, white.",
        ["We can see ", "red, green, blue, yellow, ", "black, white."],
    ),
]

NOT_TORN = [
    # numbers
    ("Pi is 3.14 or so.", ["Pi is 3.14 ", "or so."]),
    ("It costs 1,000 dollars.", ["It costs 1,000 ", "dollars."]),
    ("3.14", ["3.14"]),
    ("1,000,000.5 is big", ["1,000,000.5 is big"]),
    ("At 10:30 we go.", ["At 10:30 we ", "go."]),
    ("We count 100 000 people.", ["We count 100 000 ", "people."]),
    ("We count 100\u202f000 people.", ["We count 100\u202f000 ", "people."]),
    ("From 10–20 people came.", ["From 10–20 people ", "came."]),
    ("5 - 3 is 2.", ["5 - 3 is ", "2."]),
    ("From 1939—1945 it was.", ["From 1939—1945 ", "it was."]),
    ("The answer is 42. Good.", ["The answer is ", "42. ", "Good."]),
    ("See it in Fig. 3 now.", ["See it in ", "Fig. 3 now."]),
    ("Take 42. Now go.", ["Take 42. ", "Now go."]),
    ("1969. Then more.", ["1969. ", "Then more."]),
    ("It is now -5 degrees.", ["It is now ", "-5 degrees."]),
    ("A five- or six-year plan.", ["A five- or ", "six-year plan."]),
    ("1. Eggs\n2. Milk", ["1. Eggs\n", "2. Milk"]),
    ("Buy these: \n1. Eggs", ["Buy these: ", "\n1. Eggs"]),
    # short forms
    ("Dr. Smith is in.", ["Dr. Smith is ", "in."]),
    ("I saw Dr. Smith today.", ["I saw Dr. Smith ", "today."]),
    ("I saw Dr Smith today.", ["I saw Dr Smith ", "today."]),
    ("Bonjour chère Mme Dupont, entrez.", ["Bonjour chère Mme Dupont,", " entrez."]),
    ("In the U.S. people drive.", ["In the U.S. ", "people drive."]),
    ("In U.S. law it is.", ["In U.S. law ", "it is."]),
    ("Fruit, e.g. apples.", ["Fruit,", " e.g. apples."]),
    ("Take fruit, e.g. an apple.", ["Take fruit,", " e.g. an apple."]),
    ("Eat fruit e.g. apples now.", ["Eat fruit e.g. apples ", "now."]),
    ("By J. R. R. Tolkien himself.", ["By J. R. R. Tolkien ", "himself."]),
    ("At 5 p.m. it rains.", ["At 5 p.m. ", "it rains."]),
    ("A Ph.D. takes years.", ["A Ph.D. takes ", "years."]),
    ("No. I do not.", ["No. ", "I do not."]),
    ("No. 5 is mine.", ["No. 5 is ", "mine."]),
    ("Since Jan. 5 it rains.", ["Since Jan. 5 ", "it rains."]),
    # addresses
    (
        "See https://example.com/a,b?c=d.e;f: now.",
        ["See https://example.com/a,b?c=d.e;f: ", "now."],
    ),
    ("Go to example.com.", ["Go to example.com."]),
    ("Write me@mail.example.org, please.", ["Write me@mail.example.org, ", "please."]),
    # quotes and brackets
    ('"Yes," she said.', ['"Yes," ', "she said."]),
    ('She said "no." Then left.', ['She said "no." ', "Then left."]),
    ("It works (mostly.) Good.", ["It works (mostly.) ", "Good."]),
    ("**Note:** it rains.", ["**Note:** ", "it rains."]),
    ("one two three) four", ["one two three) ", "four"]),
    ("one two three ) four", ["one two three ) ", "four"]),
    ("one two three (four", ["one two three ", "(four"]),
    ("one two three — four", ["one two three — ", "four"]),
    # French marks stand behind a space
    ("Comment ça va ? Bien.", ["Comment ça va ? ", "Bien."]),
    ("Comment ça va\u202f? Bien.", ["Comment ça va\u202f? ", "Bien."]),
    ("Merci ! À demain.", ["Merci ! ", "À demain."]),
    ("Voici mon avis : non.", ["Voici mon avis : ", "non."]),
    ("Il pleut ; je reste.", ["Il pleut ; ", "je reste."]),
    ("Il dit « oui » vite.", ["Il dit « oui » ", "vite."]),
    ("« Ça va ? » dit-il.", ["« Ça va ? » ", "dit-il."]),
    ("«\u00a0Ça va\u202f?\u00a0» dit-il.", ["«\u00a0Ça va\u202f?\u00a0» ", "dit-il."]),
    ("Il coûte 5 € ou plus.", ["Il coûte 5 € ", "ou plus."]),
    ("He paid me € 5.", ["He paid me ", "€ 5."]),
    ("Il prend 3 % de plus.", ["Il prend 3 % ", "de plus."]),
    # German guillemets point the other way: the opening one belongs to the next chunk
    ("Er sagt nur »ja« dazu.", ["Er sagt nur ", "»ja« dazu."]),
    # emoji
    (f"Hi {FAMILY} you 🇫🇷🇬🇧 two", [f"Hi {FAMILY} you 🇫🇷🇬🇧 two"]),
    ("Good 👍🏽! Next.", ["Good 👍🏽! ", "Next."]),
    ("Great!😊 Next.", ["Great!😊 ", "Next."]),
    # an accent on a space
    ("one two three \u0301four", ["one two three \u0301four"]),
    # accents written as characters of their own
    (
        "cafe\u0301 cafe\u0301 cafe\u0301 the\u0301",
        ["cafe\u0301 cafe\u0301 cafe\u0301 ", "the\u0301"],
    ),
]

UNSPACED = [
    ("你好，我是语音助手。", ["你好，", "我是语音助手。"]),
    ("这是一个很长的句子没有标点", ["这是一个很长", "的句子没有标点"]),
    ("这是一个很长「的」", ["这是一个很长", "「的」"]),
    ("one two three(日本)", ["one two three(日", "本)"]),
    ("你好.我是", ["你好.", "我是"]),
    ("ああああああああああああああ", ["ああああああああああああ", "ああ"]),
    ("好的——我们走吧。", ["好的——", "我们走吧。"]),
    ("「はい！」と言った。", ["「はい！」", "と言った。"]),
    ("今日の天気は晴れです。", ["今日の天気は", "晴れです。"]),
    ("私はコンピュータです", ["私はコンピュータです"]),
    ("東京都知事は二〇年", ["東京都知事は", "二〇年"]),
    ("人口は2024年に", ["人口は2024年に"]),
    ("手机iPhone很好用的", ["手机iPhone很好", "用的"]),
    ("안녕하세요 저는 음성 비서입니다", ["안녕하세요 저는 음성 ", "비서입니다"]),
]

WORDLESS = [
    ("   ", ["   "]),
    ("😊", ["😊"]),
    ("... — !", ["... — !"]),
    ("😊 Hi. You.", ["😊 Hi. ", "You."]),
    ("\n\n- one\n- two\n", ["\n\n- one\n", "- two\n"]),
    ("Yes. 😊 Good.", ["Yes. ", "😊 Good."]),
    # What is left at the end goes alone: the chunk before it has long been spoken.
    ("Yes. 😊", ["Yes. ", "😊"]),
]


@pytest.mark.parametrize(
    ("text", "chunks"), [*SIZES, *ENDS, *NOT_TORN, *UNSPACED, *WORDLESS], ids=lambda v: repr(v)[:40]
)
def test_text_is_cut_as_drawn_by_hand(text: str, chunks: list[str]) -> None:
    assert chunk(text) == chunks


# Which delta closes which chunk: (deltas, [(index of the delta, chunk)]).
EARLY = [
    # A comma after a letter decides by itself in a plain first chunk …
    (["Yes", ",", " of", " course"], [(1, "Yes,")]),
    # … but not behind an open quote, where a closing one may follow, nor after a digit.
    (['"', "Yes", ",", '"', " she"], [(4, '"Yes," ')]),
    (["10", ",", "000", " of"], []),
    # A sentence's end is known at the space, whatever follows it.
    (["It", " is", ".", " "], [(3, "It is. ")]),
    (["Really", "?", "!", " Yes"], [(3, "Really?! ")]),
    (["Title", "\n"], [(1, "Title\n")]),
    # The number of words: at the first character behind the space, in the same delta or not.
    (["one", " two", " three", " f", "our"], [(3, "one two three ")]),
    (["one", " two", " three", " ", "f"], [(4, "one two three ")]),
    (["one", " two", " th", "ree", " ?", " Four"], [(5, "one two three ? ")]),
    (["one", " two", " three", "?", " Four"], [(4, "one two three? ")]),
    # An emoji is not waited for: it leads the next chunk.
    (["one", " two", " three", " \U0001f60a", " four"], [(3, "one two three ")]),
    (["That's", " right", ",", " yes"], [(2, "That's right,")]),
    # After a closed quote the space decides again, whichever way the guillemets point.
    (["« Oui » dit Paul.", " "], [(1, "« Oui » dit Paul. ")]),
    (["Er sagt »ja«.", " "], [(1, "Er sagt »ja«. ")]),
    # A known short form needs no look behind its space, "No." does.
    (["Dr", ".", " Smith", " is"], []),
    (["No", ".", " ", "I"], [(3, "No. ")]),
    (["No", ".", " ", "5"], []),
    (["No", "!", " "], [(2, "No! ")]),
    # Inside guillemets the closing one may stand behind the space.
    (["« ", "Oui", " !", " ", "»", " dit"], [(5, "« Oui ! » ")]),
    (["« ", "Oui", " !", " ", "Non"], [(4, "« Oui ! ")]),
    # Wide marks may be followed by a closing bracket, never by a space.
    (["「", "はい", "。", "」", "と"], [(4, "「はい。」")]),
    (["你好", "，", "我"], [(1, "你好，")]),
]


@pytest.mark.parametrize(("deltas", "closings"), EARLY, ids=lambda v: repr(v)[:40])
def test_a_chunk_closes_with_the_delta_that_decides_it(
    deltas: list[str], closings: list[tuple[int, str]]
) -> None:
    chunker = Chunker()
    seen = [(index, text) for index, delta in enumerate(deltas) for text in chunker.feed(delta)]
    assert seen == closings


def test_one_delta_can_close_several_chunks() -> None:
    assert Chunker().feed("Yes. No. One two three four") == ["Yes. ", "No. "]


def test_finish_returns_what_is_left_once() -> None:
    chunker = Chunker()
    assert chunker.feed("Hello") == []
    assert chunker.finish() == ["Hello"]
    assert chunker.finish() == []


def test_both_sizes_are_settings() -> None:
    assert chunk("one two three four five", 1, 2) == ["one ", "two three ", "four five"]
    assert chunk("Yes, of course I do", 4, 8) == ["Yes, of course I ", "do"]
    assert chunk("one two three four five", 2, 1) == ["one two ", "three ", "four ", "five"]


@pytest.mark.parametrize(
    ("first", "later", "name"), [(0, 8, "first"), (3, 0, "later"), (-1, 8, "first")]
)
def test_a_size_under_one_word_is_refused(first: int, later: int, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} text chunk"):
        Chunker(first, later)


def test_the_first_size_holds_until_a_word_has_been_sent() -> None:
    bullets = "• " * MAX_CHARACTERS
    chunks = chunk(bullets + "one two three four five")
    assert chunks[-2:] == ["one two three ", "four five"]


def test_a_long_word_is_cut_at_the_limit() -> None:
    assert [len(text) for text in chunk("a" * 10_000)] == [MAX_CHARACTERS] * 50


def test_a_chunk_that_is_too_long_is_cut_before_its_last_word() -> None:
    address = "https://example.com/" + "x" * 150
    assert chunk(f"{'y' * 60} {address} now") == ["y" * 60 + " ", f"{address} now"]
    word = "x" * 98 + "."
    assert chunk(f"{'y' * 100} {word} z") == ["y" * 100 + " ", word + " ", "z"]
    assert chunk(f"{'y' * 196} zz w") == ["y" * 196 + " zz ", "w"]


@pytest.mark.parametrize(
    "cluster", ["e\u0301", FAMILY, "🇫🇷", "👍🏽", "क्षि", SCOTLAND, "1️⃣", "\u1112\u1161\u11ab", "ガ"]
)
def test_a_long_word_is_cut_between_what_a_reader_sees_as_characters(cluster: str) -> None:
    for lead in ("", "a", "ab", "abc"):
        text = lead + cluster * 300
        clusters = regex.findall(r"\X", text)
        seams = set(itertools.accumulate(len(part) for part in clusters))
        cuts = list(itertools.accumulate(len(part) for part in chunk(text)))
        assert len(cuts) > 1
        assert set(cuts) <= seams


def test_an_endless_cluster_is_cut_all_the_same() -> None:
    assert [len(text) for text in chunk("a" + "\u0301" * 1_000)] == [400, 400, 201]


@pytest.mark.slow
def test_the_work_grows_with_the_text_and_not_with_its_square(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Count the characters that are joined again: the only work that is not once per character."""
    joined = 0
    token = Chunker._token

    def counted(self: Chunker) -> str:
        nonlocal joined
        joined += len(self._held) - self._token_start
        return token(self)

    monkeypatch.setattr(Chunker, "_token", counted)
    for text in (
        "No. Dr. 3.14 of it, or; " * 4_200,
        "." * 100_000,
        "a" * 100_000,
        "No." + " " * 99_997,
    ):
        joined = 0
        chunker = Chunker()
        pieces = [piece for char in text for piece in chunker.feed(char)] + chunker.finish()
        assert "".join(pieces) == text
        assert joined <= 5 * len(text)


PIECES = [
    *["word", "Dr.", "U.S.", "3.14", "1,000", "No.", "e.g.", "J.", "don't", "x", "a.b@c.de"],
    *[" ", "  ", "\n", "\r\n", "\u00a0", "\u202f", "\t"],
    *[".", ",", "!", "?", ";", ":", "…", "—", "-", '"', "(", ")", "«", "»", "”", "%", "*"],
    *["。", "，", "「", "」", "你好", "です", "カー", "々", "한국"],
    *["😊", FAMILY, "🇫🇷", "👍🏽", "e\u0301", "\u0301", "\u200d", "z" * 90],
]
TEXTS = st.one_of(
    st.text(max_size=300),
    st.lists(st.sampled_from(PIECES), max_size=80).map("".join),
)
FIRST_WORDS = st.integers(1, 5)
LATER_WORDS = st.integers(1, 10)


@given(TEXTS, FIRST_WORDS, LATER_WORDS)
def test_the_chunks_joined_are_the_text(text: str, first: int, later: int) -> None:
    chunks = chunk(text, first, later)
    assert "".join(chunks) == text
    assert "" not in chunks


@pytest.mark.slow
@given(TEXTS, st.data(), FIRST_WORDS, LATER_WORDS)
def test_any_tokens_give_the_chunks_of_the_whole_text(
    text: str, data: st.DataObject, first: int, later: int
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
    chunker = Chunker(first, later)
    chunks = [
        piece
        for start, end in itertools.pairwise([0, *cuts, len(text)])
        for piece in chunker.feed(text[start:end])
    ]
    assert chunks + chunker.finish() == chunk(text, first, later)


@given(TEXTS)
def test_no_chunk_is_longer_than_twice_the_limit(text: str) -> None:
    assert all(len(piece) <= 2 * MAX_CHARACTERS for piece in chunk(text * 5))


PLAIN = st.lists(st.sampled_from(["one", "l'eau", "two-fold", "été", "x1"]), max_size=60)


@given(PLAIN, FIRST_WORDS, LATER_WORDS)
def test_plain_words_fill_every_chunk_but_the_last(
    words: list[str], first: int, later: int
) -> None:
    sizes = [len(piece.split()) for piece in chunk(" ".join(words), first, later)]
    assert sizes[:1] in ([], [min(first, len(words))])
    assert all(size == later for size in sizes[1:-1])
    assert all(size <= later for size in sizes[1:])


SPACED = st.lists(
    st.sampled_from(
        [*PIECES[:11], " ", " ", "\n", ".", ",", "!", "?", "—", "-", '"', "«", "»", "%", "😊", "5"]
    ),
    max_size=80,
).map(" ".join)


@pytest.mark.slow
@given(SPACED, FIRST_WORDS, LATER_WORDS)
def test_what_is_bound_together_at_most_doubles_a_chunk(text: str, first: int, later: int) -> None:
    word = re.compile(r"[^\s]*\w[^\s]*")
    sizes = [len(word.findall(piece)) for piece in chunk(text, first, later)]
    assert all(size <= 2 * first for size in sizes[:1])
    assert all(size <= 2 * max(first, later) for size in sizes)


@given(TEXTS)
def test_a_short_wordless_text_is_never_sent_before_a_word(text: str) -> None:
    chunks = chunk(text[:MAX_CHARACTERS])
    has_word = [any(char.isalnum() for char in piece) for piece in chunks]
    assert all(has_word[:-1])
