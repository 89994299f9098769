"""Which built library a processor runs: flags in, levels out."""

from __future__ import annotations

import pytest

from voicebench.engines.native.levels import (
    LEVELS,
    Level,
    flags_in,
    levels_of,
    processor_flags,
    this_platform,
    usable_levels,
)

X86_64 = levels_of("linux", "x86_64")

NEHALEM = "cx16 lahf_lm popcnt pni ssse3 sse4_1 sse4_2"
HASWELL = f"{NEHALEM} avx avx2 bmi1 bmi2 f16c fma abm movbe"
ALDER_LAKE = f"{HASWELL} avx_vnni gfni"
SKYLAKE_X = f"{HASWELL} avx512f avx512bw avx512cd avx512dq avx512vl"
ICE_LAKE = f"{SKYLAKE_X} avx512_vnni avx512_vbmi2"
ZEN_4 = f"{ICE_LAKE} avx512_bf16"
SAPPHIRE_RAPIDS = f"{ZEN_4} avx_vnni amx_tile amx_bf16 amx_int8"


@pytest.mark.parametrize(
    ("flags", "best"),
    [
        ("", None),
        ("pni ssse3", None),
        (NEHALEM, "x86-64-v2"),
        (HASWELL.replace("fma", ""), "x86-64-v2"),
        (HASWELL, "x86-64-v3"),
        (ALDER_LAKE, "x86-64-v3-vnni"),
        (SKYLAKE_X, "x86-64-v4"),
        (f"{SKYLAKE_X} avx_vnni", "x86-64-v4"),
        (ICE_LAKE, "x86-64-v4-vnni"),
        (ZEN_4, "x86-64-v4-vnni"),
        (SAPPHIRE_RAPIDS, "x86-64-v4-amx"),
        (SAPPHIRE_RAPIDS.replace("amx_tile", ""), "x86-64-v4-vnni"),
        (SAPPHIRE_RAPIDS.replace("avx512f ", ""), "x86-64-v3-vnni"),
    ],
)
def test_a_processor_gets_the_highest_level_of_which_it_has_all(
    flags: str, best: str | None
) -> None:
    usable = usable_levels(X86_64, frozenset(flags.split()))
    assert (usable[0].name if usable else None) == best
    assert all(level.needs <= set(flags.split()) for level in usable)


def test_lower_levels_follow_so_that_there_is_one_to_fall_back_to() -> None:
    names = [level.name for level in usable_levels(X86_64, frozenset(SAPPHIRE_RAPIDS.split()))]
    assert names == [level.name for level in X86_64[::-1]]


@pytest.mark.parametrize(
    ("system", "machine", "names"),
    [
        ("linux", "aarch64", ["aarch64"]),
        ("linux", "x86_64", [level.name for level in X86_64]),
        ("darwin", "arm64", ["apple-m1"]),
        ("win32", "AMD64", []),
        ("linux", "riscv64", []),
    ],
)
def test_each_platform_has_its_levels(system: str, machine: str, names: list[str]) -> None:
    assert [level.name for level in levels_of(system, machine)] == names


def test_without_flags_arm_processors_have_their_only_level() -> None:
    assert [one.name for one in usable_levels(levels_of("linux", "aarch64"), frozenset())] == [
        "aarch64"
    ]


def test_only_flags_that_every_core_has_count() -> None:
    text = "processor : 0\nflags\t\t: avx2 fma avx512f\n\nprocessor : 1\nflags\t\t: avx2 fma\n"
    assert flags_in(text) == {"avx2", "fma"}
    assert flags_in("Features\t: fp asimd asimddp\n") == {"fp", "asimd", "asimddp"}
    assert flags_in("vmx flags\t: avx512f\n") == frozenset()
    assert flags_in("") == frozenset()


def test_this_processor_runs_a_level() -> None:
    if not levels_of(*this_platform()):
        pytest.skip("no library for this platform")
    assert usable_levels(levels_of(*this_platform()), processor_flags())


@pytest.mark.parametrize("level", X86_64, ids=lambda level: level.name)
def test_both_compilers_get_the_same_instructions(level: Level) -> None:
    zig, *_ = level.zig_options()
    base, _, extensions = zig.removeprefix("-mcpu=").partition("+")
    written = [one.removeprefix("-m") for one in level.options() if "=" not in one]
    given = {one.replace("-", "_").replace(".", "_") for one in written}
    assert set(extensions.split("+")) == given
    assert level.name.startswith(base.replace("x86_64_", "x86-64-"))


def test_names_of_levels_are_unique() -> None:
    names = [level.name for levels in LEVELS.values() for level in levels]
    assert len(names) == len(set(names))
