"""What may be set, and the one sentence that a wrong setting is answered with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebench.errors import SettingsError
from voicebench.judging.gates import parse_gate
from voicebench.settings import (
    DEFAULT_GATES,
    Settings,
    describe_keys,
    load_settings,
    lookup,
    parse_override,
)
from voicebench.settings.origins import MAX_CONFIG_BYTES


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file that messages call ``run.toml``."""
    monkeypatch.chdir(tmp_path)
    return Path("run.toml")


def refusal_of(config: Path, text: str) -> str:
    config.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load_settings(config)
    assert refused.value.exit_code == 2
    return str(refused.value)


# The three layers.


def test_the_defaults_need_no_file() -> None:
    effective = load_settings()
    assert effective.settings == Settings()
    assert effective.settings.run.runs == 20
    assert effective.settings.gates == list(DEFAULT_GATES)
    assert {setting.origin for setting in effective} == {"default"}


def test_a_file_overlays_the_defaults_and_the_command_line_overlays_the_file(config: Path) -> None:
    config.write_text("[run]\nruns = 8\nwarmup = 1\n")
    effective = load_settings(config, {"run.runs": 5})
    assert effective.settings.run.runs == 5
    assert effective.settings.run.warmup == 1
    assert effective.settings.chunker.first_words == 3
    origins = {setting.key: setting.origin for setting in effective}
    assert origins["run.runs"] == "command line"
    assert origins["run.warmup"] == "run.toml"
    assert origins["chunker.first_words"] == "default"


def test_gates_of_the_file_replace_the_default_gates(config: Path) -> None:
    config.write_text('gates = ["first_audio.p50 < 1s"]')
    assert load_settings(config).settings.gates == ["first_audio.p50 < 1s"]


def test_no_gates_at_all_may_be_asked_for(config: Path) -> None:
    config.write_text("gates = []")
    assert load_settings(config).settings.gates == []


def test_a_whole_number_may_stand_where_a_fraction_may(config: Path) -> None:
    config.write_text("[run]\npause_s = 1\n[llm]\ntemperature = 1\n")
    settings = load_settings(config).settings
    assert settings.run.pause_s == 1.0
    assert settings.llm.temperature == 1.0


@pytest.mark.parametrize(("written", "share"), [("0.1", 0.1), ('"10%"', 0.1), ('"150%"', 1.5)])
def test_a_limit_on_a_change_is_a_percentage_or_a_number_below_one(
    config: Path, written: str, share: float
) -> None:
    config.write_text(f"[judge]\nmax_regression = {written}")
    effective = load_settings(config)
    assert effective.settings.judge.max_regression == pytest.approx(share)
    assert load_settings(None, effective.given).settings == effective.settings


def test_an_empty_section_that_exists_is_no_mistake(config: Path) -> None:
    config.write_text("[run]\n[llm]\n")
    assert load_settings(config).settings == Settings()


def test_an_empty_file_is_the_defaults(config: Path) -> None:
    config.write_text("")
    assert load_settings(config).settings == Settings()


@pytest.mark.parametrize("engine", ["llm", "tts"])
def test_an_engine_runs_on_the_runs_device_unless_it_has_one_of_its_own(engine: str) -> None:
    settings = load_settings(None, {"run.device": "cuda", f"{engine}.device": "cpu"}).settings
    devices = {"llm": settings.llm_device(), "tts": settings.tts_device()}
    assert devices.pop(engine) == "cpu"
    assert set(devices.values()) == {"cuda"}


def test_settings_cannot_be_changed_behind_the_back_of_a_run() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().settings.run.runs = 3


# Every key is described, and every default is one of the values that it allows.


@pytest.mark.parametrize(("key", "description"), describe_keys())
def test_every_key_says_what_it_is(key: str, description: str) -> None:
    assert description.strip()
    lookup(Settings(), key)


@pytest.mark.parametrize("key", [key for key, _ in describe_keys()])
def test_every_default_may_be_written_down(key: str) -> None:
    value = lookup(Settings(), key)
    assert lookup(load_settings(None, {key: value}).settings, key) == value


def test_every_setting_is_listed_once_in_the_order_of_the_documentation() -> None:
    keys = [setting.key for setting in load_settings()]
    assert keys == [key for key, _ in describe_keys()]
    assert len(set(keys)) == len(keys)


def test_the_default_gates_can_be_read() -> None:
    for gate in DEFAULT_GATES:
        parse_gate(gate)


# One sentence for each mistake: file, key, what is allowed.

MISTAKES = {
    "[run]\nruns = 0": "run.toml: run.runs = 0 is not allowed; "
    "it should be greater than or equal to 1",
    "[run]\nruns = 100001": "run.toml: run.runs = 100001 is not allowed; "
    "it should be less than or equal to 100000",
    "[run]\nruns = 2.5": "run.toml: run.runs = 2.5 is not allowed; it should be a valid integer",
    '[run]\nruns = "20"': "run.toml: run.runs = '20' is not allowed; it should be a valid integer",
    "[run]\nruns = true": "run.toml: run.runs = true is not allowed; it should be a valid integer",
    "[run]\nsave_audio = 1": "run.toml: run.save_audio = 1 is not allowed; "
    "it should be a valid boolean",
    "[run]\npause_s = -1": "run.toml: run.pause_s = -1 is not allowed; "
    "it should be greater than or equal to 0",
    "[run]\npause_s = nan": "run.toml: run.pause_s = nan is not allowed; "
    "it should be less than or equal to 600",
    "[run]\npause_s = inf": "run.toml: run.pause_s = inf is not allowed; "
    "it should be less than or equal to 600",
    '[run]\nname = "a/b"': "run.toml: run.name = 'a/b' is not allowed; "
    "write at most 64 letters, digits, '.', '_' or '-', the first a letter or digit",
    "[run]\nname = 7": "run.toml: run.name = 7 is not allowed; it should be a valid string",
    '[llm]\nengine = "vllm"': "run.toml: llm.engine = 'vllm' is not allowed; "
    "it should be 'auto', 'fast' or 'transformers'",
    '[tts]\nvoice = ""': "run.toml: tts.voice = '' is not allowed; "
    "it should have at least 1 character",
    "[audible]\nthreshold = 1": "run.toml: audible.threshold = 1 is not allowed; "
    "it should be less than 1",
    "[tts]\nlength_scale = 0": "run.toml: tts.length_scale = 0 is not allowed; "
    "it should be greater than 0",
    "[chunker]\nfirst_words = 0": "run.toml: chunker.first_words = 0 is not allowed; "
    "it should be greater than or equal to 1",
    "[llm.model]\nname = 'x'": "run.toml: llm.model = {'name': 'x'} is not allowed; "
    "it should be a valid string",
    "[run]\nrunz = 3": "run.toml: unknown key 'run.runz'; did you mean 'run.runs'?",
    "runs = 3": "run.toml: unknown key 'runs'; did you mean 'run.runs'?",
    '[run]\nvoice = "x"': "run.toml: unknown key 'run.voice'; did you mean 'tts.voice'?",
    "[qwxyz]\nabc = 3": "run.toml: unknown key 'qwxyz.abc'; `voicebench config` lists all keys",
    '[output]\nfolder = "x"': "run.toml: unknown key 'output.folder'; "
    "`voicebench config` lists all keys",
    "[rum]": "run.toml: unknown key 'rum'; did you mean 'run'?",
    "run = 3": "run.toml: 'run' is a section, not a value; write [run] above its keys",
    "[[run]]\nruns = 3": "run.toml: 'run' is a section, not a value; write [run] above its keys",
    'gates = "errors.rate <= 0"': "run.toml: gates = 'errors.rate <= 0' is not allowed; "
    "it should be a valid list",
    "gates = [5]": "run.toml: gates = 5 is not allowed; it should be a valid string",
    'gates = ["first_adio.p95 < 1s"]': "run.toml: gate 'first_adio.p95 < 1s' names an unknown "
    "metric 'first_adio'; did you mean 'first_audio'?",
    "[judge]\nmax_regression = 10": "run.toml: judge.max_regression = 10 is not allowed; "
    "write '10%' or '0.1': it could mean 10 % or 1000 %",
    '[judge]\nmax_regression = "1"': "run.toml: judge.max_regression = '1' is not allowed; "
    "write '1%' or '0.01': it could mean 1 % or 100 %",
    "runs == 3": "settings file run.toml is not valid TOML: Invalid value (at line 1, column 7)",
}


@pytest.mark.parametrize(("text", "sentence"), MISTAKES.items())
def test_a_mistake_is_answered_in_one_sentence(config: Path, text: str, sentence: str) -> None:
    assert refusal_of(config, text) == sentence


def test_a_long_value_is_cut_in_the_sentence(config: Path) -> None:
    sentence = refusal_of(config, f"[llm]\nsystem_prompt = '{'long ' * 2000}'")
    assert len(sentence) < 200
    assert sentence.endswith("... is not allowed; it should have at most 8000 characters")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"a = {'[' * 50_000}", id="nested 50,000 deep"),
        pytest.param(f"[run]\nruns = {'9' * 5000}", id="a number of 5,000 digits"),
        pytest.param(f"[run]\nruns = 0x{'f' * 5000}", id="a number of 5,000 hexadecimal digits"),
        pytest.param("[run]\nname = 2026-01-02", id="a date"),
        pytest.param('"\\u001b[31m" = 1', id="a control character in a key"),
        pytest.param("[run]\nname = 'a'\nname = 'b'", id="a key given twice"),
        pytest.param("\x00", id="a NUL"),
    ],
)
def test_a_file_made_to_break_the_parser_is_answered_in_one_sentence(
    config: Path, text: str
) -> None:
    sentence = refusal_of(config, text)
    assert "run.toml" in sentence
    assert sentence.isprintable()


@given(st.text(max_size=80))
def test_any_text_is_settings_or_is_refused_and_never_breaks(text: str) -> None:
    for overrides in (dict([parse_override(f"run.name={text}")]), {text or "-": 1}):
        sentence = "command line"
        try:
            load_settings(None, overrides)
        except SettingsError as error:
            sentence = str(error)
        assert sentence.startswith("command line")


def test_a_folder_is_no_settings_file(config: Path) -> None:
    config.mkdir()
    with pytest.raises(SettingsError) as refused:
        load_settings(config)
    assert str(refused.value) == "run.toml is a folder, not a settings file; name a .toml file"
    (config / "turns.jsonl").touch()
    with pytest.raises(SettingsError, match=r"to see that run: voicebench report run\.toml"):
        load_settings(config)


def test_a_file_that_does_not_exist_is_named(config: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(config)
    assert str(refused.value) == (
        "settings file run.toml cannot be read (No such file or directory); check the path"
    )


def test_a_file_of_another_encoding_is_refused(config: Path) -> None:
    config.write_bytes("[run]\nname = 'é'".encode("latin-1"))
    with pytest.raises(SettingsError) as refused:
        load_settings(config)
    assert str(refused.value) == (
        "settings file run.toml is not UTF-8 (byte 15); save the file as UTF-8"
    )


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_file_of_wide_characters_is_refused(config: Path, encoding: str) -> None:
    config.write_bytes("[run]\nruns = 3\n".encode(encoding))
    with pytest.raises(SettingsError, match=r"run\.toml is not UTF-8 .* save the file as UTF-8"):
        load_settings(config)


def test_a_byte_order_mark_is_no_key(config: Path) -> None:
    config.write_bytes(b"\xef\xbb\xbf[run]\r\nruns = 3\r\n")
    assert load_settings(config).settings.run.runs == 3


def test_a_name_that_is_not_utf_8_is_said() -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(None, {"run.results": os.fsdecode(b"r\xe9sultats")})
    assert str(refused.value) == (
        "command line: run.results = 'r\\udce9sultats' is not allowed; "
        "it has bytes that are not UTF-8: rename it, or write it in UTF-8"
    )


def test_a_huge_file_is_refused_before_it_is_parsed(config: Path) -> None:
    config.write_text("#" * (MAX_CONFIG_BYTES + 1))
    with pytest.raises(SettingsError, match=r"run\.toml is larger than 1000000 bytes"):
        load_settings(config)
    config.write_text("#" * MAX_CONFIG_BYTES)
    assert load_settings(config).settings == Settings()


# The command line.


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("llm.max_tokens=40", "llm.max_tokens", 40),
        ("run.pause_s=0.7", "run.pause_s", 0.7),
        ("run.sequential=true", "run.sequential", True),
        ("run.name=quick", "run.name", "quick"),
        ('run.name="quick"', "run.name", "quick"),
        ("run.prompt=What is 2 + 2 = ?", "run.prompt", "What is 2 + 2 = ?"),
        ("run.target=sim:ttft=120ms,speed=4x", "run.target", "sim:ttft=120ms,speed=4x"),
        ("llm.system_prompt=", "llm.system_prompt", ""),
        ('gates=["errors.rate <= 0"]', "gates", ["errors.rate <= 0"]),
        (" run.runs =8", "run.runs", 8),
        (f"llm.seed={'9' * 5000}", "llm.seed", "9" * 5000),
    ],
)
def test_a_value_on_the_command_line_is_read_as_toml_else_as_plain_text(
    text: str, key: str, value: object
) -> None:
    assert parse_override(text) == (key, value)


@pytest.mark.parametrize("text", ["", "llm.max_tokens", "=40", " = 40"])
def test_an_override_without_key_or_value_is_refused(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_override(text)
    assert str(refused.value) == (
        f"--set {text!r} is not 'section.key=value'; write for example --set llm.max_tokens=40"
    )


def test_a_mistake_on_the_command_line_names_the_command_line(config: Path) -> None:
    config.write_text("[run]\nruns = 8\n")
    with pytest.raises(SettingsError) as refused:
        load_settings(config, {"run.runs": 0})
    assert str(refused.value) == (
        "command line: run.runs = 0 is not allowed; it should be greater than or equal to 1"
    )


def test_a_gate_on_the_command_line_names_the_command_line() -> None:
    with pytest.raises(SettingsError, match=r"^command line: gate 'x' is not"):
        load_settings(None, {"gates": ["x"]})


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parents[2].glob("configs/**/*.toml")), ids=str
)
def test_every_settings_file_that_comes_with_voicebench_can_be_read(path: Path) -> None:
    load_settings(path)
