"""Cache and compute buffer, held against what llama.cpp allocated."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.models.context import (
    Serving,
    Transformer,
    compute_buffer_bytes,
    kv_cache_bytes,
    row_bytes,
)
from models.measured import rows

MIB = 2**20
LLAMA3 = Transformer("llama", 32, 4096, 14336, 128256, 32, 8, 128, 128)
DEEPSEEK = Transformer(
    "deepseek2", 61, 7168, 18432, 129280, 128, 128, 192, 128, kv_latent_length=576
)
PER_LAYER = {"gemma3n-e4b": 256, "gemma4-e4b": 256}  # their headers' embedding_length_per_layer
MEASURED = rows("vram_architectures", "allocation")


def model(case) -> Transformer:
    latent = case["mla"] is True
    heads = case["n_head_kv"]
    return Transformer(
        case["arch"],
        n_layer=case["n_layer"],
        n_embd=case["n_embd"],
        n_ff=case["n_ff"],
        n_vocab=case["n_vocab"],
        n_head=case["n_head"],
        n_head_kv=tuple(heads) if isinstance(heads, list) else heads,
        key_length=192 if latent else case["key_length"],
        value_length=128 if latent else case["value_length"],
        n_expert_used=case["n_expert_used"],
        n_ff_expert=case["n_ff_exp"],
        window=case["n_swa"],
        window_pattern=case["swa_pattern"],
        window_head_length=case["head_dim_swa"] or 0,
        n_cache_layer=case["n_layer_kv"],
        kv_latent_length=case["key_length"] if latent else 0,
        per_layer_length=PER_LAYER.get(case["config"], 0),
    )


def serving(case) -> Serving:
    return Serving(
        case["n_ctx"],
        n_seq=case["n_seq"],
        unified=case["kv_unified"],
        window_full=case["swa_full"],
        n_batch=case["n_batch"],
        n_ubatch=case["n_ubatch"],
        n_outputs=case["n_outputs_max"] or None,
        type_k=case["type_k"],
        type_v=case["type_v"],
        flash_attention=case["flash_attention"],
    )


@pytest.mark.parametrize("config", sorted({case["config"] for case in MEASURED}))
def test_the_cache_is_exact(config):
    for case in (case for case in MEASURED if case["config"] == config):
        found = kv_cache_bytes(model(case), serving(case)) / MIB
        assert found == pytest.approx(case["kv_mib"], abs=0.006), case


def test_the_compute_buffer_is_close_and_never_far_too_small():
    taken = [compute_buffer_bytes(model(case), serving(case)) for case in MEASURED]
    errors = np.array(taken) / [case["compute_bytes"] for case in MEASURED] - 1
    assert np.mean(np.abs(errors) <= 0.05) >= 0.92
    assert errors.min() > -0.1
    assert errors.max() < 0.25


@pytest.mark.parametrize(
    "case", rows("vram", "allocation"), ids=lambda c: f"{c['config']} {c['n_ctx']} {c['type_k']}"
)
def test_allocations_of_llama(case):
    names = ("n_layer", "n_embd", "n_ff", "n_vocab", "n_head", "n_head_kv", "head_dim", "head_dim")
    shape = Transformer("llama", *(case[name] for name in names))
    names = ("n_ubatch", "type_k", "type_v", "flash_attention")
    run = Serving(case["n_ctx"], **{name: case[name] for name in names})
    assert kv_cache_bytes(shape, run) / MIB == case["kv_mib"]
    assert compute_buffer_bytes(shape, run) / MIB == pytest.approx(case["compute_mib"], rel=0.03)


@pytest.mark.parametrize(
    ("shape", "run", "mebibytes"),
    [  # published logs of llama.cpp
        (DEEPSEEK, Serving(32768), 2196.00),
        (DEEPSEEK, Serving(32768, type_k="q8_0", type_v="q8_0"), 1166.62),
    ],
)
def test_published_caches(shape, run, mebibytes):
    assert kv_cache_bytes(shape, run) / MIB == pytest.approx(mebibytes, abs=0.01)


@given(st.integers(1, 200_000), st.integers(0, 100_000), st.booleans(), st.integers(1, 8))
def test_more_context_never_lowers_memory(n_ctx, more, flash, slots):
    short = Serving(n_ctx, n_seq=slots, flash_attention=flash)
    long = replace(short, n_ctx=n_ctx + more)
    assert kv_cache_bytes(LLAMA3, short) <= kv_cache_bytes(LLAMA3, long)
    assert compute_buffer_bytes(LLAMA3, short) <= compute_buffer_bytes(LLAMA3, long)


@given(st.integers(1, 8), st.integers(1, 40_000))
def test_a_window_never_keeps_more_than_the_whole(slots, n_ctx):
    windowed = replace(LLAMA3, window=1024, window_pattern=6)
    run = Serving(n_ctx, n_seq=slots)
    assert kv_cache_bytes(windowed, run) <= kv_cache_bytes(LLAMA3, run)
    assert kv_cache_bytes(windowed, replace(run, window_full=True)) == kv_cache_bytes(LLAMA3, run)


def test_flash_attention_decides_over_gibibytes():
    run = Serving(87_296)
    assert compute_buffer_bytes(LLAMA3, run) < 300 * MIB
    assert compute_buffer_bytes(LLAMA3, replace(run, flash_attention=False)) > 5_500 * MIB


@pytest.mark.parametrize("pattern", [(0, 0), (1024, 6)])
def test_an_array_gives_what_its_elements_give(pattern):
    shape = replace(LLAMA3, window=pattern[0], window_pattern=pattern[1])
    contexts = np.array([1, 256, 5000, 131072])
    for bytes_of in (kv_cache_bytes, compute_buffer_bytes):
        many = bytes_of(shape, Serving(contexts, n_seq=4))
        assert list(many) == [bytes_of(shape, Serving(int(n), n_seq=4)) for n in contexts]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Serving(0), "n_ctx is 0"),
        (lambda: Serving(256, n_seq=0), "n_seq is 0"),
        (lambda: Serving(256, type_v="q8_0", flash_attention=False), "needs flash attention"),
        (lambda: row_bytes("q9", 256), "no cache type 'q9'"),
        (lambda: row_bytes("q8_0", 100), "a row of 100 elements"),
        (lambda: replace(LLAMA3, n_ff=-1), "n_ff is -1"),
        (lambda: replace(LLAMA3, n_head_kv=(8, 8)), "2 entries for n_layer 32"),
        (lambda: replace(LLAMA3, window=128), "window_pattern"),
        (lambda: replace(LLAMA3, n_expert_used=-2), "n_expert_used is -2"),
    ],
)
def test_impossible_input_names_itself(call, says):
    with pytest.raises(ValueError, match=says):
        call()
