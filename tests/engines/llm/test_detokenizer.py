from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import byte_level_tokenizer
from tokenizers import Tokenizer, decoders, models

from voicebench.engines.llm.detokenizer import REPLACEMENT, Detokenizer

BYTE_LEVEL = byte_level_tokenizer()


def sentencepiece_tokenizer() -> Tokenizer:
    """A vocabulary as Llama 2 has it: spaces as ▁, and bytes for what has no token."""
    pieces = ["▁Hello", "▁world", "llo", ",", "▁", "H", "e"]
    vocabulary = {f"<0x{byte:02X}>": byte for byte in range(256)}
    vocabulary |= {piece: 256 + index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer


SENTENCEPIECE = sentencepiece_tokenizer()


def pieces_of(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    detokenizer = Detokenizer(tokenizer.decode)
    return [*(detokenizer.push(token_id) for token_id in ids), detokenizer.finish()]


def test_an_emoji_of_several_tokens_comes_whole_with_its_last_token() -> None:
    ids = BYTE_LEVEL.encode("hi 🦄!").ids
    pieces = pieces_of(BYTE_LEVEL, ids)
    assert "".join(pieces) == "hi 🦄!"
    assert len(ids) > 5
    assert REPLACEMENT not in "".join(pieces)


def test_text_before_an_incomplete_character_is_shown_at_once() -> None:
    vocabulary = {f"<0x{byte:02X}>": byte for byte in range(256)} | {"so": 256}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    assert pieces_of(tokenizer, [256, *"é".encode()]) == ["so", "", "é", ""]


def test_a_character_that_never_becomes_whole_is_shown_at_the_end() -> None:
    first_byte_of_an_emoji = BYTE_LEVEL.encode("🦄").ids[0]
    pieces = pieces_of(BYTE_LEVEL, [*BYTE_LEVEL.encode("no").ids, first_byte_of_an_emoji])
    assert pieces[-2] == ""
    assert pieces[-1] == REPLACEMENT


def test_sentencepiece_spaces_stand_between_words_and_not_before_the_first() -> None:
    hello, world, comma = 256, 257, 259
    assert pieces_of(SENTENCEPIECE, [hello, comma, world]) == ["Hello", ",", " world", ""]


@given(ids=st.lists(st.integers(0, BYTE_LEVEL.get_vocab_size() - 1), max_size=300))
@settings(max_examples=60)
def test_pieces_of_any_byte_level_ids_are_the_decoded_whole_even_broken_characters(
    ids: list[int],
) -> None:
    assert "".join(pieces_of(BYTE_LEVEL, ids)) == BYTE_LEVEL.decode(ids)


@given(parts=st.lists(st.sampled_from([b"Hello", b"world", *map(str.encode, "éß你🦄,\n")])))
@settings(max_examples=60)
def test_pieces_of_sentencepiece_ids_are_the_decoded_whole(parts: list[bytes]) -> None:
    # Whole characters only: one wrong byte makes this decoder take back the bytes before it.
    words = {b"Hello": [256], b"world": [257]}
    ids = [token_id for part in parts for token_id in words.get(part, list(part))]
    assert "".join(pieces_of(SENTENCEPIECE, ids)) == SENTENCEPIECE.decode(ids)


@given(text=st.text(max_size=200))
@settings(max_examples=100)
def test_pieces_of_an_encoded_text_are_the_text(text: str) -> None:
    assert "".join(pieces_of(BYTE_LEVEL, BYTE_LEVEL.encode(text).ids)) == text


def test_one_more_id_costs_the_same_late_in_a_long_reply() -> None:
    longest = 0

    def decode(ids: Sequence[int]) -> str:
        nonlocal longest
        longest = max(longest, len(ids))
        return BYTE_LEVEL.decode(ids)

    detokenizer = Detokenizer(decode)
    ids = BYTE_LEVEL.encode("The quick brown fox jumps. " * 40).ids
    text = "".join(detokenizer.push(token_id) for token_id in ids) + detokenizer.finish()
    assert text == BYTE_LEVEL.decode(ids)
    assert longest <= 64
