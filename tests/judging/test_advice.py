from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from handmade import call_step, failed_turn, make_turn, sprint_turns

from voicebench.events import Connected, Phase
from voicebench.figures.comparison import chosen_figure
from voicebench.figures.summary import summarize
from voicebench.judging.advice import advise
from voicebench.judging.advice_sentences import SENTENCES, STANDS_ON, Advice
from voicebench.judging.digest import digest_of
from voicebench.judging.gates import judge, parse_gate
from voicebench.settings import DEFAULT_GATES, Settings
from voicebench.sprints.sprint import Sentence
from voicebench.sprints.words import WORDING, Words
from voicebench.turn.timeline import Failure, Timeline

IDLE = {"cores": 2, "load_1min": 0.4}


def advice_for(
    turns: Sequence[Timeline],
    *gates: str,
    environment: Mapping[str, object] = IDLE,
) -> list[Advice]:
    summary = summarize(turns)
    results = [judge(parse_gate(gate), summary) for gate in gates]
    found = list(advise(digest_of(turns), results, environment))
    for advice in found:
        assert_french(advice)
        assert_grounded(advice)
    return found


def assert_grounded(advice: Advice) -> None:
    """Hold that the advice names what it stands on: a figure or metric, or a record."""
    assert advice.stands_on, f"name in STANDS_ON what {advice.kind!r} stands on"
    for name in advice.stands_on:
        if not name.startswith(("environment: ", "turns.jsonl: ")):
            chosen_figure(name)


def assert_french(advice: Advice) -> None:
    """Hold that the sprint's page has French words of its own for this advice and its figures."""
    key = f"advice.{advice.kind}"
    assert key in WORDING, f"give {advice.finding!r} a kind, and that kind words in wording.toml"
    told = Words("fr").sentence(Sentence(key, {**advice.figures, "finding": "?", "remedy": "?"}))
    assert "?" not in told
    assert str(advice.finding) not in told


def timed_turn(
    number: int,
    first_audio: float,
    *,
    phase: Phase = "measured",
    first_token: float = 20,
    first_chunk: float = 40,
    silence_ms: float = 20,
) -> Timeline:
    """Return a turn of two chunks that plays without a stall."""
    return make_turn(
        number,
        phase=phase,
        tokens=((first_token, "The"), (first_chunk, " weather"), (first_chunk + 20, " is fine.")),
        chunks=((first_chunk, "The weather"), (first_audio + 5, " is fine.")),
        audio=((first_audio, 500), (first_audio + 50, 500)),
        silence_ms=silence_ms,
    )


def steady(count: int, first_audio: float = 100) -> list[Timeline]:
    return [timed_turn(number, first_audio) for number in range(1, count + 1)]


def only(advice: list[Advice]) -> Advice:
    assert len(advice) == 1, [str(item) for item in advice]
    return advice[0]


def test_a_run_in_which_nothing_is_off_gets_no_advice() -> None:
    assert advice_for(steady(20), *DEFAULT_GATES) == []


def test_no_turns_give_no_advice() -> None:
    assert advice_for([], *DEFAULT_GATES, environment={}) == []


def test_an_advice_reads_as_one_line() -> None:
    assert str(Advice("it is slow", "buy a faster one")) == "it is slow; buy a faster one"


def test_a_p95_gate_on_too_few_turns_says_how_many_it_takes() -> None:
    advice = only(advice_for(steady(8), "first_audio.p95 < 300ms", "tts_ttfb.p95 < 100ms"))
    assert advice.finding == (
        "8 turns are too few for the p95 of first_audio, tts_ttfb: the gate judges the maximum"
    )
    assert advice.remedy == "measure more turns: --runs 20"


def test_one_turn_is_too_few_for_a_p95_gate() -> None:
    advice = only(advice_for(steady(1), "first_audio.p95 < 300ms"))
    assert advice.finding == (
        "1 turn is too few for the p95 of first_audio: the gate judges the maximum"
    )
    assert advice.kind == "too few runs"


@pytest.mark.parametrize(
    ("calls", "answered", "finding", "remedy"),
    [
        (1, 1, "1 step is too few", "--calls 20"),
        (2, 3, "6 steps are too few", "--calls 7"),
        (5, 3, "15 steps are too few", "--calls 7"),
    ],
)
def test_after_calls_the_advice_is_to_measure_more_calls(
    calls: int, answered: int, finding: str, remedy: str
) -> None:
    steps = [
        call_step(call, step, kind="line" if step <= answered else "noise")
        for call in range(1, calls + 1)
        for step in range(1, answered + 2)
    ]
    advice = only(advice_for(steps, "response.p95 < 5000ms"))
    assert advice.finding == (f"{finding} for the p95 of response: the gate judges the maximum")
    assert advice.remedy == f"measure more calls: {remedy}"


def test_so_many_calls_are_then_enough() -> None:
    steps = [call_step(call, step) for call in range(1, 8) for step in (1, 2, 3)]
    assert advice_for(steps, "response.p95 < 5000ms") == []


def test_failed_turns_are_reckoned_with_in_the_runs_to_measure() -> None:
    advice = advice_for([*steady(8), failed_turn(9)], "first_audio.p95 < 300ms")
    assert advice[1].remedy.endswith("--runs 21")


def test_a_p50_needs_no_more_turns() -> None:
    assert advice_for(steady(2), "first_audio.p50 < 300ms") == []


def test_failed_turns_are_told_by_stage_and_reason_first() -> None:
    turns = [*steady(17), *(failed_turn(number, "no memory") for number in (18, 19))]
    turns.append(
        make_turn(
            20, audio=(), failure=Failure("no answer\nin 30 s", "timeout", "connect"), end_ms=30_000
        )
    )
    advice = advice_for(turns)
    assert [item.finding for item in advice] == [
        "2 of 20 turns failed in tts: no memory",
        "1 of 20 turns failed in connect: no answer in 30 s",
    ]
    assert "voice" in advice[0].remedy
    assert "server" in advice[1].remedy


def test_a_failure_behind_a_url_sends_nobody_to_the_doctor() -> None:
    turns = [*steady(20), failed_turn(21)]
    target = {"tts": {"device": "remote"}, "llm": {"device": "cpu"}}
    here = advice_for(turns, environment={"target": {"tts": {"device": "cpu"}}})[0]
    there = advice_for(turns, environment={"target": target})[0]
    assert here.finding == there.finding
    assert "failed in tts" in here.finding
    assert "voicebench doctor" in here.remedy
    assert there.remedy == "see what the server says of it; the request is in turns.jsonl"


@pytest.mark.parametrize(
    ("failure", "remedy"),
    [
        (Failure("no answer for 4.0 s", "timeout", "audio"), "does its voice work"),
        (Failure("the audio is noise, not speech", "audio", "audio"), "call.encoding"),
        (Failure("ws://agent closed the connection early", "engine", "turn"), "calls.csv"),
    ],
)
def test_a_step_that_failed_has_a_remedy_of_calls(failure: Failure, remedy: str) -> None:
    step = replace(call_step(1), failure=failure)
    advice = only(advice_for([step]))
    assert advice.finding == f"1 of 1 turns failed in {failure.stage}: {failure.reason}"
    assert remedy in advice.remedy
    named = re.findall(r"\bcall\.(\w+)", advice.remedy)
    assert set(named) <= set(Settings().call.model_dump())


def test_failed_warm_up_turns_are_no_failed_turns() -> None:
    failed = failed_turn(1)
    cold = make_turn(1, phase="cold", audio=(), failure=failed.failure, end_ms=100)
    assert advice_for([cold, *steady(20)]) == []


def test_a_cold_turn_that_is_much_slower_is_told_with_its_factor() -> None:
    advice = only(advice_for([timed_turn(1, 330, phase="cold"), *steady(20)]))
    assert advice.finding == (
        "the cold turn took 330 ms to first audio, 3.30× the median of 100 ms"
    )


def test_a_slow_turn_after_silence_is_told() -> None:
    advice = only(advice_for([timed_turn(1, 330, phase="idle"), *steady(20)]))
    assert advice.finding.startswith("the first turn after silence took 330 ms")


def test_a_cold_turn_like_the_others_is_not_worth_a_word() -> None:
    assert advice_for([timed_turn(1, 190, phase="cold"), *steady(20)]) == []


def test_a_failed_cold_turn_has_no_speed() -> None:
    cold = make_turn(1, phase="cold", failure=Failure("broken", "engine", "tts"), end_ms=900)
    assert advice_for([cold, *steady(20)]) == []


def test_first_turns_that_are_all_slower_ask_for_a_longer_warm_up() -> None:
    turns = [timed_turn(number, 120) for number in range(1, 5)]
    turns += [timed_turn(number, 100) for number in range(5, 21)]
    warm = [timed_turn(0, 100, phase="warmup")] * 3
    advice = only(advice_for([*warm, *turns]))
    assert advice.finding == (
        "the first 4 measured turns took 120 ms to first audio, the later ones 100 ms: "
        "3 warm-up turns were not enough"
    )
    assert advice.remedy == "warm up longer: --warmup 7"


def test_one_slow_turn_among_the_first_is_no_drift() -> None:
    turns = [timed_turn(1, 140), timed_turn(2, 100), timed_turn(3, 140), timed_turn(4, 140)]
    assert advice_for([*turns, *steady(20)[4:]]) == []


def test_of_few_turns_nothing_is_said_of_drift() -> None:
    assert advice_for([timed_turn(1, 140), timed_turn(2, 140), *steady(7)[2:]]) == []


def test_a_load_above_the_cores_is_told() -> None:
    advice = only(advice_for(steady(20), environment={"cores": 2, "load_1min": 3.25}))
    assert advice.finding == "the machine was busy when the run began: load 3.2 on 2 cores"


@pytest.mark.parametrize("environment", [{}, {"cores": None, "load_1min": None}, {"cores": 2}])
def test_a_load_that_the_system_does_not_tell_is_no_finding(environment: dict[str, object]) -> None:
    assert advice_for(steady(20), environment=environment) == []


def test_a_wide_spread_is_told_with_its_figures() -> None:
    turns = [*steady(18), timed_turn(19, 200), timed_turn(20, 200)]
    advice = only(advice_for(turns))
    assert advice.finding == ("first audio varies widely: p95 is 200 ms, 2.00× the p50 of 100 ms")


def test_of_too_few_turns_no_spread_is_told() -> None:
    assert advice_for([*steady(10), timed_turn(11, 900)]) == []


def test_synthesis_slower_than_real_time_asks_for_a_lighter_voice() -> None:
    slow = [
        make_turn(number, audio=((186, 100), (400, 100), (600, 100))) for number in range(1, 21)
    ]
    advice = only(advice_for(slow))
    assert advice.finding == (
        "20 of 20 turns stall while they play, 214 ms in the worst; "
        "speech is synthesized at 0.62× real time"
    )
    assert "lighter voice" in advice.remedy


def test_a_late_second_chunk_asks_for_a_longer_first_one_or_a_later_start() -> None:
    late = [
        make_turn(
            number,
            chunks=((116, "The weather is"), (500, " fine.")),
            audio=((186, 200), (560, 500)),
        )
        for number in range(1, 21)
    ]
    advice = only(advice_for(late))
    assert advice.finding.startswith("20 of 20 turns stall while they play, 174 ms in the worst")
    assert advice.remedy == (
        "give the first chunk more words (chunker.first_words), or start to play 174 ms later"
    )


def test_a_long_silence_at_the_head_is_told() -> None:
    turns = [timed_turn(number, 100, silence_ms=80) for number in range(1, 21)]
    assert only(advice_for(turns)).finding.startswith("the audio begins with 80.0 ms of silence")


@pytest.mark.parametrize(
    ("first_token", "first_chunk", "finding", "remedy"),
    [
        (
            300,
            320,
            "the first token takes 300 ms of the 400 ms to first audio (75 %)",
            "tune the language model",
        ),
        (
            40,
            60,
            "the voice takes 340 ms of the 400 ms to first audio (85 %)",
            "tune the voice",
        ),
        (
            40,
            240,
            "the wait from first token to first text chunk takes 200 ms of the 400 ms to first "
            "audio (50 %)",
            "close the first chunk earlier",
        ),
    ],
)
def test_the_stage_to_tune_is_named_where_first_audio_missed_its_gate(
    first_token: int, first_chunk: int, finding: str, remedy: str
) -> None:
    turns = [
        timed_turn(number, 400, first_token=first_token, first_chunk=first_chunk)
        for number in range(1, 21)
    ]
    advice = only(advice_for(turns, "first_audio.p95 < 300ms"))
    assert advice.finding == finding
    assert advice.remedy.startswith(remedy)
    assert advice_for(turns, "first_audio.p95 < 500ms") == []


def test_three_stages_of_like_length_are_told_without_blaming_one() -> None:
    turns = [timed_turn(number, 400, first_token=140, first_chunk=250) for number in range(1, 21)]
    advice = only(advice_for(turns, "first_audio.p95 < 300ms"))
    assert advice.finding.startswith("first_audio.p95 is 400 ms, and its gate asks for < 300ms")
    assert "takes" not in advice.finding


def test_a_target_that_hides_its_stages_is_said_to_hide_them() -> None:
    turns = [
        make_turn(number, tokens=(), chunks=(), audio=((400, 500),)) for number in range(1, 21)
    ]
    advice = only(advice_for(turns, "first_audio.p95 < 300ms"))
    assert advice.finding.endswith("; the target does not show its stages")


def test_the_sprint_of_reference_is_told_to_overlap_and_to_measure_more() -> None:
    remedies = [item.remedy for item in advice_for(sprint_turns(), *DEFAULT_GATES)]
    assert remedies == [
        "measure more turns: --runs 20",
        "let both overlap: --overlap",
        "use a lighter voice or a faster device, or give it a shorter first chunk",
    ]


def test_a_short_reply_in_one_chunk_is_not_taken_for_a_sequential_pipeline() -> None:
    turns = [
        make_turn(
            number,
            tokens=((40, "Yes"), (240, ".")),
            chunks=((240, "Yes."),),
            audio=((400, 500),),
        )
        for number in range(1, 21)
    ]
    advice = only(advice_for(turns, "first_audio.p95 < 300ms"))
    assert "--overlap" not in advice.remedy


def test_a_gate_on_what_the_target_hides_is_named_with_the_gates_that_are_left() -> None:
    turns = [make_turn(number, chunks=()) for number in range(1, 21)]
    advice = only(advice_for(turns, *DEFAULT_GATES))
    assert advice.finding == (
        "this target does not show tts_ttfb, and a gate on a missing metric fails"
    )
    assert advice.remedy == (
        "drop 'tts_ttfb.p95 < 100ms': --gate 'llm_total.mean < 200ms' "
        "--gate 'first_audio.p95 < 300ms' --gate 'errors.rate <= 0'"
    )
    assert only(advice_for(turns, "tts_ttfb.p95 < 100ms")).remedy.endswith(": --no-gate")


def test_where_every_turn_failed_no_gate_is_to_blame() -> None:
    findings = [item.finding for item in advice_for([failed_turn(1)], *DEFAULT_GATES)]
    assert not any("does not show" in finding for finding in findings)


REMOTE = {"tts": {"device": "remote", "cold_connection": False}}


def connecting(*, in_turn: bool) -> list[Timeline]:
    """Return turns that each made a connection in 30 ms, beside one that was open."""
    made = (Connected(5.0, reused=True, number=1), Connected(30.0, False, 2, in_turn=in_turn))
    return [replace(turn, connections=made) for turn in steady(20)]


def test_turns_that_wait_for_a_connection_are_told_of_with_their_time() -> None:
    advice = only(advice_for(connecting(in_turn=True), environment=IDLE | {"target": REMOTE}))
    assert advice.finding == (
        "20 of 20 turns waited for a new connection, 30.0 ms of the turn (median)"
    )
    assert "keep connections open" in advice.remedy


@pytest.mark.parametrize("target", [{"cold_connection": True}, {"tts": {"cold_connection": True}}])
def test_whoever_asks_for_new_connections_is_not_told_of_them(target: object) -> None:
    assert advice_for(connecting(in_turn=True), environment=IDLE | {"target": target}) == []


def test_a_connection_made_before_the_turn_is_worth_no_word() -> None:
    assert advice_for(connecting(in_turn=False), environment=IDLE | {"target": REMOTE}) == []


def test_advice_of_every_kind_stands_on_something() -> None:
    named_by_the_finding = {"too few runs", "too few calls", "not measured"}
    named_by_the_finding |= {"history computed again", "late turns"}
    kinds = {kind.removesuffix(".one") for kind in SENTENCES}
    assert kinds - named_by_the_finding <= set(STANDS_ON)
    assert not named_by_the_finding & set(STANDS_ON)


@pytest.mark.parametrize("gate", ["llm_total.mean < 1ms", "llm_total.mean<1ms"])
def test_a_gate_is_explained_however_it_is_spaced(gate: str) -> None:
    [found] = [one for one in advice_for(sprint_turns(), gate) if one.kind == "missed gate"]
    assert "llm_total.mean is 198 ms, and its gate asks for < 1ms" in found.finding
    assert found.stands_on == ("llm_total.mean",)
