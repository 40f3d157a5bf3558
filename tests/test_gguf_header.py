"""Headers of real GGUF files against what wrote them and against another reader; hostile files."""

import os
import struct
import time
import tracemalloc

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homelab_lib.__main__ import main
from homelab_lib.errors import BadParameter
from homelab_lib.gguf.header import Skipped, read_header
from homelab_lib.models.quantisation import weight_bytes
from homelab_lib.units import format_ibytes

Q = gguf.GGMLQuantizationType
quick = settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def writer(path, arch="llama", **more):
    """A small model's metadata."""
    out = gguf.GGUFWriter(path, arch)
    out.add_block_count(more.pop("n_layer", 2))
    out.add_embedding_length(256)
    out.add_head_count(4)
    out.add_context_length(4096)
    for method, value in ({"add_head_count_kv": 2, "add_feed_forward_length": 512} | more).items():
        if value is not None:
            getattr(out, method)(value)
    return out


def written(out, tensors=(("token_embd.weight", (300, 256), Q.Q4_K), ("a.weight", (256,), Q.F32))):
    """The file; shapes as numpy has them, tensors of zeros."""
    for name, shape, quant in tensors:
        data = np.zeros(gguf.quant_shape_to_byte_shape(shape, quant), np.uint8)
        out.add_tensor(name, data, raw_dtype=quant)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> bytes:
    """A small model with a little of everything."""
    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    out = writer(path, add_expert_count=8, add_key_length=96, add_value_length=32)
    out.add_token_list([f"t{n}" for n in range(300)])
    out.add_token_scores([0.5] * 300)
    out.add_name("Ein Modell, größer als es ist")
    out.add_array("test.flags", [True, False, True])
    out.add_array("test.nested", [[1, 2], [3]])
    out.add_bool("test.yes", True)
    out.add_float64("test.pi", 3.14159)
    written(out)
    return path.read_bytes()


def test_what_a_file_takes(tmp_path, capsys):
    file = tmp_path / "model.gguf"
    out = writer(file, n_layer=3, add_key_length=64, add_value_length=64)
    out.add_token_list([f"t{n}" for n in range(300)])
    written(out, [("token_embd.weight", (300, 256), Q.Q4_K), ("output.weight", (300, 256), Q.Q6_K)])
    assert main(["gguf", str(file), "--context", "1024", "--slots", "2"]) == 0
    told = capsys.readouterr().out
    # 3 layers x 2,048 cells x (2 heads x 64) keys and as many values, of 2 bytes
    assert f"cache of 2 × 1,024 tokens, f16: {format_ibytes(3 * 2048 * 2 * 64 * 2 * 2)}" in told
    assert f"of it on the card {format_ibytes(300 * 210)}" in told  # the embedding stays in memory


@pytest.mark.parametrize("context", ["0", "-5"])
def test_a_context_that_can_not_be(tmp_path, capsys, context):
    file = tmp_path / "model.gguf"
    written(writer(file))
    assert main(["gguf", str(file), "--context", context]) == 1
    assert "n_ctx is" in capsys.readouterr().err


def rejected(path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(BadParameter) as caught:
        read_header(path)
    assert str(path) in str(caught.value)
    assert "byte " in caught.value.where
    return str(caught.value)


# What is read ------------------------------------------------------------------------------------


def test_everything_written_is_read(tmp_path, small):
    path = tmp_path / "small.gguf"
    path.write_bytes(small)
    header = read_header(path)
    assert (header.architecture, header.n_layer, header.n_embd, header.n_head) == (
        "llama", 2, 256, 4,
    )  # fmt: skip
    assert (header.n_head_kv, header.key_length, header.value_length, header.n_ff) == (
        2, 96, 32, 512,
    )  # fmt: skip
    assert (header.n_vocab, header.context_length, header.n_expert) == (300, 4096, 8)
    assert header.parameters == 300 * 256 + 256
    assert header.quant == {"token_embd.weight": "Q4_K", "a.weight": "F32"}
    assert header.weight_bytes == 300 * 144 + 256 * 4
    assert weight_bytes(header.quant, header.shapes) == header.weight_bytes
    assert header.metadata["general.name"] == "Ein Modell, größer als es ist"
    assert header.metadata["test.flags"] == (True, False, True)
    assert header.metadata["test.nested"] == Skipped("ARRAY", 2)
    assert header.metadata["tokenizer.ggml.tokens"] == Skipped("STRING", 300)
    assert header.metadata["tokenizer.ggml.scores"] == (0.5,) * 300
    assert header.metadata["test.yes"] is True
    assert header.metadata["test.pi"] == 3.14159
    assert header.n_split == 1


kinds = st.sampled_from([Q.F32, Q.F16, Q.BF16, Q.Q4_0, Q.Q8_0, Q.Q4_K, Q.Q6_K, Q.IQ4_NL])


@settings(quick, max_examples=60)
@given(
    tensors=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3), kinds), max_size=6),
    tokens=st.lists(st.text(max_size=90), min_size=1, max_size=600),
    alignment=st.sampled_from([None, 8, 32, 64, 4096]),
)
def test_another_reader_finds_the_same(tmp_path, tensors, tokens, alignment):
    path = tmp_path / "other.gguf"
    out = writer(path)
    out.add_token_list(tokens)
    if alignment:
        out.add_custom_alignment(alignment)
    shapes = [(f"t{n}", (a, b * 256), kind) for n, (a, b, kind) in enumerate(tensors)]
    written(out, [("first", (256,), Q.F32), *shapes])
    header, other = read_header(path), gguf.GGUFReader(path)
    assert header.header_bytes == other.data_offset
    assert list(header.tensors) == [tensor.name for tensor in other.tensors]
    for tensor in other.tensors:
        mine = header.tensors[tensor.name]
        assert (mine.shape, mine.quant) == (tuple(map(int, tensor.shape)), tensor.tensor_type.name)
        assert (mine.nbytes, mine.offset) == (tensor.n_bytes, tensor.data_offset)
    assert header.n_vocab == len(tokens)
    names = [name for name in other.fields if not name.startswith("GGUF.")]
    assert list(header.metadata) == names
    for name in names:
        value = header.metadata[name]
        assert isinstance(value, Skipped) or value == other.fields[name].contents()


def test_what_stands_in_for_a_missing_key(tmp_path):
    path = tmp_path / "bare.gguf"
    written(writer(path, add_head_count_kv=None, add_feed_forward_length=None))
    header = read_header(path)
    assert (header.n_head_kv, header.key_length, header.value_length) == (4, 64, 64)
    assert (header.n_ff, header.n_expert, header.n_vocab) == (0, 0, 300)


def test_numbers_layer_by_layer(tmp_path):
    path = tmp_path / "layers.gguf"
    written(writer(path, add_head_count_kv=[2, 1], add_feed_forward_length=[64, 64]))
    header = read_header(path)
    assert (header.n_head_kv, header.n_ff) == ((2, 1), 64)
    written(writer(path, add_head_count_kv=[2]))
    with pytest.raises(BadParameter, match="each of 2 layers"):
        read_header(path)


def test_version_2_is_read_and_1_and_big_endian_are_not(tmp_path, small):
    path = tmp_path / "v.gguf"
    path.write_bytes(small[:4] + struct.pack("<I", 2) + small[8:])
    assert read_header(path).n_layer == 2
    assert "version 1" in rejected(path, small[:4] + struct.pack("<I", 1) + small[8:])
    assert "big-endian" in rejected(path, small[:4] + struct.pack(">I", 3) + small[8:])


def test_forty_gigabytes_take_milliseconds(tmp_path):
    path = tmp_path / "huge.gguf"
    out = writer(path, n_layer=80)
    out.add_token_list([f"token{n}" for n in range(100_000)])
    for layer in range(80):
        out.add_tensor_info(
            f"blk.{layer}.ffn_up.weight", (28672, 18496), np.dtype(np.uint8), 28672 * 18496, Q.Q8_0
        )
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_ti_data_to_file()
    out.close()
    os.truncate(path, 80 * 28672 * 18496 + 2**23)
    tracemalloc.start()
    begun = time.process_time()
    header = read_header(path)
    assert time.process_time() - begun < 0.5
    assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    tracemalloc.stop()
    assert header.weight_bytes == 80 * 28672 * 18496
    assert header.n_vocab == 100_000


# What is refused ---------------------------------------------------------------------------------


@settings(quick, max_examples=400)
@given(data=st.data())
def test_no_truncation_goes_unnoticed(tmp_path, small, data):
    length = data.draw(st.integers(0, len(small) - 33))  # but for the padding at the end
    rejected(tmp_path / "cut.gguf", small[:length])


@settings(quick, max_examples=800)
@given(data=st.data())
@pytest.mark.slow
def test_flipped_bytes_give_a_header_or_a_clear_error(tmp_path, small, data):
    end = len(small) - 300 * 144 - 256 * 4
    hostile = bytearray(small)
    for place in data.draw(st.lists(st.integers(0, end), min_size=1, max_size=4)):
        hostile[place] = data.draw(st.integers(0, 255) | st.sampled_from([0, 1, 127, 128, 255]))
    path = tmp_path / "flipped.gguf"
    path.write_bytes(hostile)
    said = ""
    try:
        assert read_header(path).n_layer > 0
    except BadParameter as error:
        said = error.where
    assert not said or said.startswith(f"{path}: byte ")


@quick
@given(body=st.binary(max_size=200), n_tensors=st.integers(0, 3), n_kv=st.integers(0, 3))
def test_noise_behind_the_magic_is_refused(tmp_path, body, n_tensors, n_kv):
    head = b"GGUF" + struct.pack("<IQQ", 3, n_tensors, n_kv)
    rejected(tmp_path / "noise.gguf", head + body)


def string(text: str | bytes) -> bytes:
    text = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(text)) + text


def file(*pairs: bytes, tensors: tuple[bytes, ...] = (), n_kv=None, n_tensors=None) -> bytes:
    n_kv = len(pairs) if n_kv is None else n_kv
    n_tensors = len(tensors) if n_tensors is None else n_tensors
    head = b"GGUF" + struct.pack("<IQQ", 3, n_tensors, n_kv)
    return head + b"".join(pairs) + b"".join(tensors) + bytes(64)


def nested(depth: int) -> bytes:
    return struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * depth + struct.pack("<IQ", 4, 0)


U8, U32, TEXT, ARRAY = (struct.pack("<I", n) for n in (0, 4, 8, 9))
MUCH = struct.pack("<Q", 2**63)
F32_TENSOR = struct.pack("<IQIQ", 1, 4, 0, 0)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is no GGUF file: it is empty"),
        (b"GG", "too short"),
        (b"PK\x03\x04" + bytes(60), "no GGUF"),
        (file(n_kv=2**63), "do not go into"),
        (file(n_tensors=2**40), "do not go into"),
        (file(MUCH), "is said to have"),
        (file(string("a") + TEXT + MUCH), "is said to have"),
        (file(string("a") + TEXT + string(b"\xff\xfe")), "not UTF-8"),
        (file(string(b"\xc3") + U8 + b"\0"), "not UTF-8"),
        (file(string("a") + struct.pack("<I", 13)), "type 13"),
        (file(string("a") + struct.pack("<I", 7) + b"\x02"), "boolean"),
        (file(string("a") + ARRAY + U32 + MUCH), "do not go into"),
        (file(string("a") + ARRAY + TEXT + MUCH), "do not go into"),
        (file(string("a") + ARRAY + TEXT + struct.pack("<Q", 1) + MUCH), "truncated"),
        (file(string("a") + nested(2000)), "arrays in arrays"),
        (file(*[string("a") + U8 + b"\0"] * 2), "twice"),
        (file(tensors=(string("t") + struct.pack("<I", 5),)), "axes"),
        (file(tensors=(string("t") + struct.pack("<IQIQ", 1, 4, 99, 0),)), "GGML type 99"),
        (file(tensors=(string("t") + struct.pack("<IQIQ", 1, 33, 2, 0),)), "blocks of 32"),
        (file(tensors=(string("t") + struct.pack("<IQQIQ", 2, 2**63, 2**63, 0, 0),)), "elements"),
        (file(tensors=(string("t") + F32_TENSOR,) * 2), "twice"),
        (file(tensors=(string("t") + struct.pack("<IQIQ", 1, 4, 0, 32),)), "not 0"),
        (file(tensors=(string("t") + struct.pack("<IQIQ", 1, 2**40, 0, 0),)), "truncated"),
        (file(string("general.alignment") + U32 + struct.pack("<I", 12)), "power of two"),
        (file(), "'general.architecture' is missing"),
        (file(string("general.architecture") + TEXT + string("x")), "'x.block_count' is missing"),
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused_and_says_why(tmp_path, data, said):
    assert said in rejected(tmp_path / "hostile.gguf", data)


@pytest.mark.parametrize("count", [2**23, 2**23 + 1, 2**62])
def test_strings_without_end_take_bounded_time_and_memory(tmp_path, count):
    path = tmp_path / "zeros.gguf"
    path.write_bytes(file(string("a") + ARRAY + TEXT + struct.pack("<Q", count)))
    os.truncate(path, 2**36)
    tracemalloc.start()
    begun = time.process_time()
    with pytest.raises(BadParameter):
        read_header(path)
    assert time.process_time() - begun < 5
    assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    tracemalloc.stop()


def test_arrays_in_arrays_without_end_take_bounded_time(tmp_path):
    path = tmp_path / "arrays.gguf"
    path.write_bytes(file(string("a") + ARRAY + ARRAY + struct.pack("<Q", 2**17)))
    os.truncate(path, 2**36)
    begun = time.process_time()
    with pytest.raises(BadParameter):
        read_header(path)
    assert time.process_time() - begun < 5


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name in ("absent.gguf", "fifo", ".", "a\0b"):
        with pytest.raises(BadParameter, match="at byte 0"):
            read_header(tmp_path / name)


@pytest.mark.parametrize("value", [0, 2**32 - 1])
def test_absurd_numbers_are_refused(tmp_path, value):
    path = tmp_path / "absurd.gguf"
    written(writer(path, n_layer=value))
    with pytest.raises(BadParameter, match=r"llama\.block_count.*from 1 to"):
        read_header(path)
