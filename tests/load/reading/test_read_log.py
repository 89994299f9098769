"""The log of an answer: all moments and sizes, and the bytes of its beginning."""

from __future__ import annotations

from voicebench.load.reading.read_log import KeptSound, ReadLog


def test_the_bytes_of_the_beginning_are_kept_and_the_rest_is_zeros() -> None:
    log, kept = ReadLog(), KeptSound(3)
    for number, data in enumerate([b"ab", b"cd", b"ef"]):
        log.add(1000 + number, 990, len(data))
        if kept.takes(memoryview(data)):
            log.keep(data)
    pieces = list(log.pieces())
    assert [piece.data for piece in pieces] == [b"ab", b"cd", b"\0\0"]
    assert [piece.is_kept for piece in pieces] == [True, True, False]
    assert [piece.at_ns for piece in pieces] == [1000, 1001, 1002]
    assert log.largest_lag_ns() == 12


def test_a_piece_takes_16_bytes_beside_its_data() -> None:
    log = ReadLog()
    log.add(1, None, 2)
    assert log.at_ns.itemsize + log.lag_ns.itemsize + log.sizes.itemsize == 16
    assert next(log.pieces()).lag_ns is None
    assert log.largest_lag_ns() is None


def test_all_bytes_of_some_turns_are_kept() -> None:
    kept = KeptSound(None)
    assert all(kept.takes(memoryview(bytes(1 << 20))) for _ in range(100))


def test_silence_before_the_first_sound_does_not_count() -> None:
    kept = KeptSound(2, lambda piece: bytes(piece) != b"..")
    taken = [kept.takes(memoryview(piece)) for piece in (b"..", b"..", b"ab", b"..", b"cd")]
    assert taken == [True, True, True, False, False]
