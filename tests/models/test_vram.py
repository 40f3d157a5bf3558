"""Weights, caches and buffers against llama.cpp's own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.models import quantisation, vram
from models.measured import rows

MIB = 2**20
PUBLISHED = {
    "Llama-2-7B": {"n_layer": 32, "n_embd": 4096, "n_ff": 11008, "n_head": 32, "n_head_kv": 32},
    "Llama-2-70B": {"n_layer": 80, "n_embd": 8192, "n_ff": 28672, "n_head": 64, "n_head_kv": 8},
    "CodeLlama-34B": {"n_layer": 48, "n_embd": 8192, "n_ff": 22016, "n_head": 64, "n_head_kv": 8},
}


def by_tensor(case) -> dict[str, str]:
    """The measured types, a name for each tensor of each layer."""
    types = {}
    for tensor, ranges in case["types"].items():
        for chosen, layers in ranges.items():
            if tensor.startswith(("output", "token_embd")):
                types[tensor] = chosen
                continue
            spans = [[0, case["n_layer"] - 1]] if layers == "all" else layers
            for first, last in spans:
                for layer in range(first, last + 1):
                    types[f"blk.{layer}.{tensor}"] = chosen
    return types


@pytest.mark.parametrize(
    "case", rows("vram", "quantiser"), ids=lambda c: f"{c['config']} {c['quant']}"
)
def test_every_tensor_gets_the_type_the_quantiser_gave_it(case):
    counts = {name: case[name] for name in ("n_layer", "n_head", "n_head_kv")}
    counts |= {"tied": case.get("tied", False), "n_expert": case.get("n_expert", 0)}
    types = vram.quantised_types(case["arch"], quant=case["quant"], **counts)
    assert types == by_tensor(case)
    sizes = {name: case[name] for name in ("n_embd", "n_ff", "head_dim", "n_vocab")}
    shapes = vram.tensor_shapes(case["arch"], **sizes, **counts)
    assert vram.weight_bytes(types, shapes) == case["tensor_bytes"]


@pytest.mark.parametrize(
    "case", rows("vram", "published"), ids=lambda c: f"{c['model']} {c['quant']}"
)
def test_published_files_within_a_seventh_of_a_percent(case):
    model = PUBLISHED[case["model"]]
    counts = {name: model[name] for name in ("n_layer", "n_head", "n_head_kv")}
    types = vram.quantised_types("llama", quant=case["quant"], **counts)
    shapes = vram.tensor_shapes("llama", **model, head_dim=128, n_vocab=32000)
    assert vram.weight_bytes(types, shapes) == pytest.approx(case["file_gb"] * 1e9, rel=0.0015)


@pytest.mark.parametrize(
    "case", rows("vram", "allocation"), ids=lambda c: f"{c['config']} {c['n_ctx']} {c['type_k']}"
)
def test_allocations(case):
    cache = vram.kv_cache_bytes(
        n_layer=case["n_layer"],
        n_ctx=case["n_ctx"],
        n_head_kv=case["n_head_kv"],
        key_length=case["head_dim"],
        value_length=case["head_dim"],
        type_k=case["type_k"],
        type_v=case["type_v"],
    )
    assert cache / MIB == case["kv_mib"]
    names = ("n_embd", "n_ff", "n_head", "n_vocab", "n_ctx", "n_ubatch", "flash_attention")
    common = {name: case[name] for name in names}
    exact = vram.compute_buffer_bytes(
        **common, n_head_kv=case["n_head_kv"], head_dim=case["head_dim"]
    )
    assert exact / MIB == pytest.approx(case["compute_mib"], rel=0.02)
    if case["output_mib"] is not None:
        output = vram.output_buffer_bytes(n_vocab=case["n_vocab"], n_seq=case["n_seq"])
        assert output / MIB == pytest.approx(case["output_mib"], abs=0.006)


MODEL = {"n_embd": 4096, "n_ff": 14336, "n_head": 32, "n_vocab": 128256}
CACHE = {"n_layer": 32, "n_head_kv": 8, "key_length": 128, "value_length": 128}


@given(st.integers(1, 200_000), st.integers(0, 100_000), st.booleans())
def test_more_context_never_lowers_vram(n_ctx, more, flash):
    for bytes_of in (
        lambda n: vram.kv_cache_bytes(**CACHE, n_ctx=n),
        lambda n: vram.compute_buffer_bytes(**MODEL, n_ctx=n, flash_attention=flash),
    ):
        assert bytes_of(n_ctx) <= bytes_of(n_ctx + more)


def test_the_mixes_stand_in_the_order_of_their_names():
    shapes = vram.tensor_shapes("llama", **PUBLISHED["Llama-2-7B"], head_dim=128, n_vocab=32000)
    counts = {"n_layer": 32, "n_head": 32, "n_head_kv": 32}
    order = ["Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M"]
    order += ["Q6_K", "Q8_0", "F16", "F32"]
    weights = [
        vram.weight_bytes(vram.quantised_types("llama", quant=quant, **counts), shapes)
        for quant in order
    ]
    assert weights == sorted(weights)


def test_a_sliding_window_is_all_its_layers_keep():
    full = vram.kv_cache_bytes(**CACHE, n_ctx=32768)
    windowed = vram.kv_cache_bytes(**CACHE, n_ctx=32768, n_window_layer=24, window=4096)
    assert windowed == full // 32 * 8 + full // 32 * 24 * (4096 + 512) // 32768


def test_latent_attention_keeps_one_vector_a_layer():
    latent = vram.kv_cache_bytes(
        n_layer=61, n_ctx=4096, n_head_kv=1, key_length=512 + 64, value_length=0
    )
    assert latent == 61 * 4096 * 576 * 2


def test_an_array_gives_what_its_elements_give():
    contexts = np.array([1, 256, 5000, 131072])
    many = vram.kv_cache_bytes(**CACHE, n_ctx=contexts)
    assert list(many) == [vram.kv_cache_bytes(**CACHE, n_ctx=int(n)) for n in contexts]


def test_rows_that_do_not_divide_fall_back_as_the_quantiser_does():
    whole = quantisation.tensor_bytes("Q4_K", (256, 10))
    assert quantisation.tensor_bytes("Q4_K", (288, 10)) == 288 * 10 // 32 * 22  # Q5_0
    assert quantisation.tensor_bytes("Q4_K", (250, 10)) == 250 * 10 * 2  # F16
    assert whole == 256 * 10 // 256 * 144


def test_layers_fill_one_card_after_the_other():
    layers = [100] * 10
    assert vram.split_layers(layers, [450, 800], reserve_bytes=[50, 50]) == (4, 6)
    assert vram.split_layers(layers, [450, 350], reserve_bytes=[50, 50]) == (4, 3)
    assert vram.split_layers(layers, [450, 650], reserve_bytes=[50, 0], output_bytes=60) == (4, 5)


@given(st.lists(st.integers(1, 100), max_size=40), st.lists(st.integers(0, 500), max_size=4))
def test_no_card_is_given_more_than_it_has(layers, cards):
    counts = vram.split_layers(layers, cards, reserve_bytes=[0] * len(cards))
    start = 0
    for count, available in zip(counts, cards, strict=True):
        assert sum(layers[start : start + count]) <= available
        start += count


def test_the_largest_context_fits_and_the_next_does_not():
    found = vram.largest_context(2**30, fixed_bytes=2**29, cache_bytes_per_token=131072)
    assert found == 4096
    assert vram.largest_context(100, fixed_bytes=200, cache_bytes_per_token=1) == 0


def test_devices_in_turn_add_their_times():
    alone = vram.decode_tokens_per_second([4e9], [672e9])
    assert alone == pytest.approx(168)
    spilt = vram.decode_tokens_per_second([4e9, 1e9], [672e9, 70e9])
    assert spilt == pytest.approx(1 / (1 / 168 + 1 / 70))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: vram.kv_cache_bytes(**CACHE, n_ctx=0), "n_ctx is 0"),
        (lambda: vram.kv_cache_bytes(**CACHE, n_ctx=1, type_k="q9"), "no cache type 'q9'"),
        (lambda: vram.compute_buffer_bytes(**MODEL | {"n_ff": -1}, n_ctx=1), "n_ff is -1"),
        (
            lambda: vram.quantised_types("gpt9", n_layer=1, n_head=1, n_head_kv=1, quant="Q4_0"),
            "arch is 'gpt9'",
        ),
        (
            lambda: vram.quantised_types("llama", n_layer=1, n_head=3, n_head_kv=2, quant="Q4_0"),
            "n_head is 3",
        ),
        (lambda: vram.decode_tokens_per_second([1], [1], efficiency=2), "efficiency is 2"),
    ],
)
def test_impossible_input_names_itself(call, says):
    with pytest.raises(ValueError, match=says):
        call()
