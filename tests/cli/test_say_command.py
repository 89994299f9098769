"""``voicebench say`` without a sound device: what it writes, prints and refuses."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from ran_command import Command
from scripted_engines import RATE, Scripted, sound
from wav_files import read_wav

from voicebench.audio import loudspeakers
from voicebench.cli.spoken_text import MAX_TEXT_CHARACTERS, arriving_text
from voicebench.errors import UsageError
from voicebench.targets import engine_opening, kinds

SIMULATED = ("--set", "run.target=sim:ttft=1ms,token=0ms,ttfb=1ms,speed=1000x,words=6")


@pytest.fixture
def voice(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """Put a voice of three prepared chunks in the place of the models."""
    scripted = Scripted([sound()], [sound()], [sound()])
    monkeypatch.setattr(engine_opening, "open_voice", lambda settings, say: scripted)
    return scripted


@pytest.fixture
def nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(settings: object, say: object) -> None:
        raise AssertionError("a model would have been loaded")

    monkeypatch.setattr(engine_opening, "open_voice", load)
    monkeypatch.setattr(kinds, "open_target", load)


def type_in(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(text)))
    monkeypatch.setattr(sys, "stdin", stdin)


def test_a_text_is_written_as_a_wav(voicebench: Command, voice: Scripted, tmp_path: Path) -> None:
    file = tmp_path / "said.wav"
    ran = voicebench("say", "One two three. Four five.", "--output", str(file))
    assert ran.code == 0
    assert ran.out == ""
    assert "first audio" in ran.err
    assert f"in {file}" in ran.err
    assert "speaker_ms" not in ran.err
    assert voice.heard == ["One two three. ", "Four five."]
    assert voice.closed
    pcm, rate = read_wav(file)
    assert (pcm.size, rate) == (2 * RATE // 10, RATE)


def test_a_wav_is_replaced_only_where_that_is_asked_for(
    voicebench: Command, tmp_path: Path
) -> None:
    file = tmp_path / "there.wav"
    file.write_bytes(b"mine")
    ran = voicebench("say", "--ask", "What now?", *SIMULATED, "-o", str(file))
    assert ran.code == 2
    assert f"--output {file} is there already; give --force to replace it" in ran.err
    assert file.read_bytes() == b"mine"
    ran = voicebench("say", "--ask", "What now?", *SIMULATED, "-o", str(file), "--force")
    assert ran.code == 0
    assert file.read_bytes().startswith(b"RIFF")


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_standard_input_is_spoken_where_no_text_is_given(
    arguments: tuple[str, ...],
    voicebench: Command,
    voice: Scripted,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    type_in("Ça va ? Très bien.".encode(), monkeypatch)
    ran = voicebench("say", *arguments, "-o", str(tmp_path / "x.wav"))
    assert ran.code == 0, ran.err
    assert "".join(voice.heard) == "Ça va ? Très bien."


def test_an_answer_is_printed_as_it_comes_and_written(voicebench: Command, tmp_path: Path) -> None:
    file = tmp_path / "answer.wav"
    ran = voicebench("say", "--ask", "What now?", *SIMULATED, "-o", str(file))
    assert ran.code == 0, ran.err
    assert ran.out == "The weather will stay clear and\n"
    assert read_wav(file)[0].size > 0


def test_json_is_one_document_and_nothing_else(voicebench: Command, tmp_path: Path) -> None:
    file = tmp_path / "answer.wav"
    ran = voicebench("say", "--ask", "What now?", *SIMULATED, "-o", str(file), "--json")
    document = json.loads(ran.out)
    assert document["schema"] == 1
    assert document["prompt"] == "What now?"
    assert document["reply"] == "The weather will stay clear and"
    assert document["output"] == str(file)
    assert document["speaker"] is None
    assert document["metrics"]["speaker_ms"] is None
    assert document["metrics"]["first_audio_ms"] > 0


def test_quiet_leaves_nothing_but_the_file(voicebench: Command, tmp_path: Path) -> None:
    ran = voicebench(
        "say", "--ask", "What now?", *SIMULATED, "-o", str(tmp_path / "x.wav"), "--quiet"
    )
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_a_text_without_anything_to_pronounce_could_not_be_said(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engine_opening, "open_voice", lambda settings, say: Scripted([]))
    ran = voicebench("say", "🙂", "-o", str(tmp_path / "x.wav"))
    assert ran.code == 4
    assert "without any audio" in ran.err
    assert not (tmp_path / "x.wav").exists()


def test_ctrl_c_exits_130_and_keeps_what_was_written(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    interrupted = Scripted([sound(), KeyboardInterrupt()])
    monkeypatch.setattr(engine_opening, "open_voice", lambda settings, say: interrupted)
    ran = voicebench("say", "Hello there.", "-o", str(tmp_path / "x.wav"))
    assert ran.code == 130
    assert ran.err.splitlines()[-1] == "voicebench: interrupted"
    assert read_wav(tmp_path / "x.wav")[0].size == RATE // 10


@pytest.mark.usefixtures("nothing_is_loaded")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("",), "the text is empty"),
        ((" \n ",), "the text is empty"),
        (("a\x1b[31mb",), "not text (U+001B)"),
        (("word " * 5000,), "25,000 characters"),
        (("hello", "--ask", "what?"), "exclude each other"),
        (("--ask", ""), "--ask"),
        (("--ask", "x" * 100_000), "characters"),
        (("hello", "-o", "."), "is a folder"),
        (("hello", "-o", "said.mp3"), "is not a WAV file"),
        (("hello", "-o", "/no/such/folder/said.wav"), "/no/such/folder first"),
        (("hello", "--speaker", "kitchen"), "no sound device"),
        (("hello",), "no sound device"),
        (("hello", "-o", "x.wav", "--device", "cuda:x"), "device"),
        (("hello", "-o", "x.wav", "--set", "chunker.first_words=0"), "chunker.first_words"),
        (("hello", "-o", "x.wav", "--config", "/no/such.toml"), "/no/such.toml"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence_before_anything_is_loaded(
    arguments: tuple[str, ...],
    sentence: str,
    voicebench: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loudspeakers, "list_speakers", list)
    ran = voicebench("say", *arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1


def test_without_a_sound_device_the_remedy_is_a_file(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loudspeakers, "list_speakers", list)
    assert "--output FILE.wav" in voicebench("say", "hello").err


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (b"", "standard input has no text"),
        (b" \n\t\n", "standard input has no text"),
        (b"caf\xe9 noir", "not UTF-8"),
        (b"cut off \xe2\x82", "not UTF-8"),
        (b"PK\x03\x04", "not text (U+0003)"),
        (b"word " * 5000, "characters or more"),
    ],
)
def test_what_is_typed_and_is_no_text_is_refused(
    typed: bytes,
    sentence: str,
    voicebench: Command,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    answers = [[sound()] for _ in range(5000)]
    monkeypatch.setattr(engine_opening, "open_voice", lambda settings, say: Scripted(*answers))
    type_in(typed, monkeypatch)
    ran = voicebench("say", "-o", str(tmp_path / "x.wav"))
    assert ran.code == 2
    assert sentence in ran.err.splitlines()[-1]


def test_typed_text_is_given_on_as_soon_as_it_is_there_also_within_a_character() -> None:
    reads = [b"Caf", b"\xc3", b"\xa9 noir", b""]
    text = arriving_text(lambda size: reads.pop(0))
    assert next(text) == "Caf"
    assert len(reads) == 3
    assert next(text) == "é noir"
    assert list(text) == []


def test_the_limit_holds_for_all_that_is_typed_together() -> None:
    given = 0

    def speak_without_end() -> None:
        nonlocal given
        for text in arriving_text(lambda size: b"x" * size):
            given += len(text)

    with pytest.raises(UsageError, match="characters or more"):
        speak_without_end()
    assert 0 < given <= MAX_TEXT_CHARACTERS


def test_the_speakers_are_listed_one_a_line_or_as_json(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voicebench.audio import loudspeakers

    room = [
        loudspeakers.Loudspeaker(0, "Built-in", "ALSA", 2, 44100, False),
        loudspeakers.Loudspeaker(12, "Headset", "ALSA", 2, 48000, True),
    ]
    monkeypatch.setattr(loudspeakers, "list_speakers", lambda: room)
    listed = voicebench("say", "--list-speakers").out.splitlines()
    assert listed == [
        "   0  Built-in  (ALSA, 44100 Hz)",
        "* 12  Headset  (ALSA, 48000 Hz)",
    ]
    document = json.loads(voicebench("say", "--list-speakers", "--json").out)
    assert document[1]["name"] == "Headset"
    monkeypatch.setattr(loudspeakers, "list_speakers", list)
    nothing = voicebench("say", "--list-speakers")
    assert (nothing.code, nothing.out) == (0, "")
    assert "no sound device" in nothing.err
