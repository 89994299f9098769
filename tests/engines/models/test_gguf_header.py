from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from tiny_gguf import MERGES, TOKENS, Shape, llama_weights, write_gguf

from voicebench.engines.models.gguf_header import read_header, write_without_vocabulary
from voicebench.errors import ModelError


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(path)
    return path


def test_the_header_says_what_was_written(source: Path) -> None:
    header = read_header(source)
    assert header.family == "llama"
    assert header.get("llama.block_count") == 2
    assert header.get("llama.attention.layer_norm_rms_epsilon") == np.float32(1e-5)
    assert header.get("tokenizer.ggml.tokens") == TOKENS
    assert header.get("tokenizer.ggml.merges") == MERGES
    assert header.get("tokenizer.ggml.add_bos_token") is False
    assert header.get("no.such.key", "nothing") == "nothing"


def test_shapes_are_in_the_order_of_torch(source: Path) -> None:
    shapes = {tensor.name: tensor.shape for tensor in read_header(source).tensors}
    assert shapes["token_embd.weight"] == (len(TOKENS), 64)
    assert shapes["blk.0.ffn_down.weight"] == (64, 96)
    assert shapes["output_norm.weight"] == (64,)


def test_a_file_cut_anywhere_is_found(source: Path, tmp_path: Path) -> None:
    whole = source.read_bytes()
    header_end = read_header(source).data_start
    cuts = [*range(4, header_end, 97), *range(header_end, len(whole) - 32, 20_011), len(whole) - 33]
    for length in cuts:
        path = tmp_path / "cut.gguf"
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"broken|cut short|no known format"):
            read_header(path)


def test_a_cut_tensor_is_named_with_the_bytes_that_lack(source: Path, tmp_path: Path) -> None:
    whole = source.read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=rf"cut short: the tensor .* has {len(whole) // 2}"):
        read_header(path)


@pytest.mark.parametrize("offset", [8, 16])
def test_a_count_that_no_file_can_hold_is_refused_without_reading_on(
    source: Path, tmp_path: Path, offset: int
) -> None:
    data = bytearray(source.read_bytes())
    data[offset : offset + 8] = struct.pack("<Q", 2**60)
    path = tmp_path / "huge.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelError, match="broken GGUF file"):
        read_header(path)


def test_a_damaged_header_is_an_error_with_a_sentence_or_reads_well(
    source: Path, tmp_path: Path
) -> None:
    whole = source.read_bytes()
    end = read_header(source).data_start
    path = tmp_path / "damaged.gguf"
    rng = np.random.default_rng(5)
    refused = 0
    for place in rng.integers(4, end, 300):
        data = bytearray(whole)
        data[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        try:
            read_header(path)
        except ModelError:
            refused += 1
    assert refused > 30


@pytest.mark.parametrize("version", [1, 4, 3 << 24])
def test_a_version_that_is_not_read_is_named(source: Path, tmp_path: Path, version: int) -> None:
    path = tmp_path / "other.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<I", version) + source.read_bytes()[8:])
    with pytest.raises(ModelError, match=f"GGUF of version {version}"):
        read_header(path)


def test_a_file_that_is_no_gguf_is_refused_by_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"<html>404</html>")
    with pytest.raises(ModelError, match="HTML"):
        read_header(path)


def test_an_unknown_number_format_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tiny.gguf"
    write_gguf(path)
    data = bytearray(path.read_bytes())
    table = read_header(path).table_start
    name_length = struct.unpack_from("<Q", data, table)[0]
    kind = table + 8 + name_length + 4 + 2 * 8
    assert struct.unpack_from("<I", data, kind)[0] == 0  # float32
    struct.pack_into("<I", data, kind, 999)
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"token_embd.weight in the unknown number format 999"):
        read_header(path)


def test_the_copy_without_the_vocabulary_has_the_same_tensors(source: Path, tmp_path: Path) -> None:
    header = read_header(source)
    slim = tmp_path / "slim.gguf"
    write_without_vocabulary(header, slim)
    copy = read_header(slim)
    assert copy.tensors == header.tensors
    assert slim.read_bytes()[copy.data_start :] == source.read_bytes()[header.data_start :]
    assert "tokenizer.ggml.tokens" not in copy.settings
    assert copy.get("tokenizer.ggml.eos_token_id") == 2
    kept = {key: value.value for key, value in copy.settings.items()}
    assert kept.items() <= {key: value.value for key, value in header.settings.items()}.items()


def test_the_copy_keeps_the_size_of_the_vocabulary_where_only_its_length_said_it(
    tmp_path: Path,
) -> None:
    source, slim = tmp_path / "tiny.gguf", tmp_path / "slim.gguf"
    shape = Shape(layers=1)
    write_gguf(source, shape, weights=llama_weights(shape), vocab_size=False)
    assert read_header(source).get("llama.vocab_size") is None
    write_without_vocabulary(read_header(source), slim)
    assert read_header(slim).get("llama.vocab_size") == len(TOKENS)
