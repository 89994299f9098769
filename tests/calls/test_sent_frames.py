"""A frame was spoken when it was really sent, where the client knows that moment."""

from __future__ import annotations

from voicebench.calls.agent_events import FrameSent, SpeechEndSeen
from voicebench.calls.heard import StampedAgentEvent
from voicebench.calls.recorded_call import really_sent_ns


def test_frames_have_the_moments_at_which_they_left_in_order() -> None:
    events = [
        StampedAgentEvent(21, FrameSent()),
        StampedAgentEvent(30, SpeechEndSeen()),
        StampedAgentEvent(43, FrameSent()),
    ]
    assert really_sent_ns((20, 40, 60), events) == (21, 43, 60)
    assert really_sent_ns((20, 40), ()) == (20, 40)


def test_no_frame_leaves_before_the_one_before_it() -> None:
    late = [StampedAgentEvent(75, FrameSent())]
    assert really_sent_ns((20, 40, 60, 80), late) == (75, 75, 75, 80)
