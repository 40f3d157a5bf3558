"""What models weigh: by tensor as llama.cpp's quantiser had it, and as published files have it."""

import pytest

from homelab_lib.models.architectures import Widths, tensor_shapes
from homelab_lib.models.quantisation import quantised_types, tensor_bytes, weight_bytes
from models.measured import rows

GIB = 2**30
LLAMA = {
    "Llama-2-7B": Widths(32, 4096, 11008, 32000, 32, 32, 128),
    "Llama-2-70B": Widths(80, 8192, 28672, 32000, 64, 8, 128),
    "CodeLlama-34B": Widths(48, 8192, 22016, 32000, 64, 8, 128),
}
OSS = (2880, 2880, 201088, 64, 8, 64)
# Architecture, widths, quantisation, published size [bytes], and the number of weights as its
# makers or a log of llama.cpp have it.
PUBLISHED = {
    "gemma-2-9b": (  # llama.cpp #12036
        "gemma2", Widths(42, 3584, 14336, 256000, 16, 8, 256, tied=True),
        "Q4_K_M", 5.36 * GIB, 9.24e9,
    ),
    "gemma-3-12b": (  # stduhpf/google-gemma-3-12b-it-qat-q4_0-gguf-small: a static Q4_0
        "gemma3", Widths(48, 3840, 15360, 262208, 16, 8, 256, tied=True), "Q4_0", 6.89e9, 11.8e9,
    ),
    "gpt-oss-20b": (  # llmfit #1059; OpenAI's model card
        "gpt-oss", Widths(24, *OSS, n_expert=32, n_ff_expert=2880), "MXFP4", 12.1e9, 20.9e9,
    ),
    "gpt-oss-120b": (  # llama.cpp #19922
        "gpt-oss", Widths(36, *OSS, n_expert=128, n_ff_expert=2880),
        "MXFP4", 59.02 * GIB, 116.83e9,
    ),
    "deepseek-v3": (  # "671B total parameters"; the file as its quantisers round it
        "deepseek2",
        Widths(61, 7168, 18432, 129280, 128, 128, 192, n_expert=256, n_ff_expert=2048,
               n_expert_shared=1, n_layer_dense=3, kv_latent_length=512, value_length=128,
               q_latent_length=1536),
        "Q4_K_M", 404e9, 671e9,
    ),
}  # fmt: skip


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
    names = ("n_layer", "n_embd", "n_ff", "n_vocab", "n_head", "n_head_kv", "head_dim")
    more = {"tied": case.get("tied", False), "n_expert": case.get("n_expert", 0)}
    widths = Widths(**{name: case[name] for name in names}, **more, n_ff_expert=case["n_ff"])
    shapes = tensor_shapes(case["arch"], widths)
    types = quantised_types(case["quant"], shapes, widths)
    assert types == by_tensor(case)
    assert weight_bytes(types, shapes) == case["tensor_bytes"]


@pytest.mark.parametrize(
    "case", rows("vram", "published"), ids=lambda c: f"{c['model']} {c['quant']}"
)
def test_published_files_within_a_seventh_of_a_percent(case):
    widths = LLAMA[case["model"]]
    shapes = tensor_shapes("llama", widths)
    weighs = weight_bytes(quantised_types(case["quant"], shapes, widths), shapes)
    assert weighs == pytest.approx(case["file_gb"] * 1e9, rel=0.0015)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_of_other_architectures(name):
    architecture, widths, quant, size, parameters = PUBLISHED[name]
    shapes = tensor_shapes(architecture, widths)
    weighs = weight_bytes(quantised_types(quant, shapes, widths), shapes)
    assert weighs == pytest.approx(size, rel=0.002)
    whole = weight_bytes(dict.fromkeys(shapes, "F16"), shapes)
    assert whole / 2 == pytest.approx(parameters, rel=0.004)


def test_the_mixes_stand_in_the_order_of_their_names():
    widths = LLAMA["Llama-2-7B"]
    shapes = tensor_shapes("llama", widths)
    order = ["Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M"]
    order += ["Q6_K", "Q8_0", "F16", "F32"]
    weights = [weight_bytes(quantised_types(each, shapes, widths), shapes) for each in order]
    assert weights == sorted(weights)


def test_rows_that_do_not_divide_fall_back_as_the_quantiser_does():
    whole = tensor_bytes("Q4_K", (256, 10))
    assert tensor_bytes("Q4_K", (288, 10)) == 288 * 10 // 32 * 22  # Q5_0
    assert tensor_bytes("Q4_K", (250, 10)) == 250 * 10 * 2  # F16
    assert whole == 256 * 10 // 256 * 144


@pytest.mark.parametrize(
    ("architecture", "change", "says"),
    [
        ("gpt9", {}, "architecture is 'gpt9'"),
        ("llama", {"n_head": 3, "n_head_kv": 2}, "n_head is 3"),
        ("llama", {"n_layer": 0}, "n_layer is 0"),
        ("llama", {"n_expert": -1}, "n_expert is -1"),
        ("llama", {"n_expert": 8}, "n_ff_expert is 0"),
    ],
)
def test_impossible_input_names_itself(architecture, change, says):
    numbers = {"n_layer": 1, "n_embd": 64, "n_ff": 64, "n_vocab": 64, "n_head": 2}
    with pytest.raises(ValueError, match=says):
        tensor_shapes(architecture, Widths(**numbers | {"n_head_kv": 1, "head_dim": 32} | change))


def test_an_unknown_quantisation_names_itself():
    with pytest.raises(ValueError, match="quant is 'BANANA'"):
        quantised_types("BANANA", {}, LLAMA["Llama-2-7B"])
