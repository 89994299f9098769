"""µ-law adds nothing to the error of the telephone transport: no audible edge moves."""

from __future__ import annotations

from voicebench.audio import g711
from voicebench.audio.pcm import AudibleRule, audible_runs, from_int16, to_int16
from voicebench.audio.synthetic_voice import synthetic_voice


def test_the_first_and_the_last_audible_sample_are_the_same_after_mulaw() -> None:
    rate = g711.SAMPLE_RATE
    voice = synthetic_voice(round(0.9 * rate), round(0.8 * rate))
    coded = from_int16(g711.decode(g711.encode(to_int16(voice), "mulaw"), "mulaw"))
    for cut in range(rate // 5, voice.size, 509):  # a clear may come at any sample
        plain = list(audible_runs(voice[:cut], rate, AudibleRule()))
        assert plain
        assert list(audible_runs(coded[:cut], rate, AudibleRule())) == plain
