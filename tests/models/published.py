"""What others measured and published, beside what the models say: value, source, our error.

Each point was looked up; its source is where it stands. What the models take besides (a shape, a
battery's label) stands with it. Where a model gives a band, the error is what the measurement lies
outside of it, and 0 inside. ``python -m models.published`` in this folder's parent writes the table
anew.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from homelab_lib.audit.facts_offload import REACHED
from homelab_lib.models.architectures import Widths, tensor_shapes
from homelab_lib.models.context import Serving, Transformer, compute_buffer_bytes, kv_cache_bytes
from homelab_lib.models.ethernet import tcp_bytes_per_s
from homelab_lib.models.pcie import carried_gbps
from homelab_lib.models.power import ups_runtime_s
from homelab_lib.models.quantisation import quantised_types, weight_bytes
from homelab_lib.models.zfs import Vdev, capacity
from homelab_lib.models.zfs_layout import GIB, MIB, partition_bytes

TABLE = Path(__file__).with_name("PUBLISHED.md")
GITHUB = "https://github.com/"


class Point(NamedTuple):
    """One number that somebody measured.

    Parameters
    ----------
    kind, what
        Which model it is held against, and what was measured.
    value, unit
        As published.
    source
        Where.
    low, high
        What the model says; the same twice where it says one number.
    why
        Why the model is off, where it is by more than the digits that were published.
    """

    kind: str
    what: str
    value: float
    unit: str
    source: str
    low: float
    high: float
    why: str = ""

    @property
    def error(self) -> float:
        """How far the model is off, as a share of what was measured."""
        near = min(max(self.value, self.low), self.high)
        return near / self.value - 1


def _links() -> Iterator[Point]:
    """PCI Express: `nvbandwidth`, by copy engine where nothing else is said."""

    def point(what: str, gb_per_s: float, gen: int, source: str, why: str = "") -> Point:
        low, high = (each / 8 for each in carried_gbps(gen, 16, mps=512))
        return Point("link", what, gb_per_s, "GB/s", source, low, high, why)

    eight = GITHUB + "NVIDIA/nvbandwidth/issues/15"
    to_card = (25.50, 24.26, 23.90, 26.30, 26.28, 26.38, 26.09, 26.31)
    from_card = (26.77, 26.47, 26.25, 26.63, 27.10, 27.11, 27.11, 26.83)
    for number, (there, back) in enumerate(zip(to_card, from_card, strict=True)):
        yield point(f"to RTX 4090 no. {number}, Gen4 x16", there, 4, eight)
        yield point(f"from RTX 4090 no. {number}, Gen4 x16", back, 4, eight)
    peers = GITHUB + "NVIDIA/nvbandwidth/issues/50"
    for rate, pair in ((26.34, "0 to 1"), (21.80, "0 to 5"), (22.64, "4 to 0")):
        yield point(f"from A6000 no. {pair}, Gen4 x16", rate, 4, peers)
    yield point("from A100, both ways at once, Gen4 x16", 25.0, 4,
                GITHUB + "NVIDIA/nvbandwidth/issues/53")  # fmt: skip
    yield point("to V100, Gen3 x16", 12.0, 3, GITHUB + "ZaidQureshi/bam/issues/54")
    yield point("to A10 by a thread of somebody's own, Gen4 x16", 19.694, 4,
                GITHUB + "drkennetz/cuda_examples/pull/1",
                "one thread with one copy under way; no nvbandwidth")  # fmt: skip
    cores = GITHUB + "NVIDIA/nvbandwidth/issues/24"
    yield point("from H100 by its cores, Gen5 x16", 52.77, 5, cores)
    few = "loads by the card's cores: too few requests are under way"
    yield point("to H100 by its cores, Gen5 x16", 35.19, 5, cores, few)


_MISTRAL = Transformer("llama", 32, 4096, 14336, 32000, 32, 8, 128, 128)
_GEMMA = Transformer("gemma3", 18, 640, 2048, 262144, 4, 1, 256, 256, window=512, window_pattern=6)
_MAGIDONIA = Transformer("llama", 40, 5120, 32768, 131072, 32, 8, 128, 128)
_QWEN3_8B = Transformer("qwen3", 36, 4096, 12288, 151936, 32, 8, 128, 128)
_GPT_OSS = Transformer(
    "gpt-oss", 24, 2880, 2880, 201088, 64, 8, 64, 64, 4, 2880, window=128, window_pattern=2
)
_QWEN25_7B = Transformer("qwen2", 28, 3584, 18944, 152064, 28, 4, 128, 128)
_QWEN25_3B = Transformer("qwen2", 36, 2048, 11008, 151936, 16, 2, 128, 128)
_TRILM_4B = Transformer("llama", 30, 3072, 9216, 50688, 24, 24, 128, 128)


def _caches() -> Iterator[Point]:
    """KV caches and compute buffers, as llama.cpp and llama-server print them."""

    def point(
        what: str, mib: float, source: str, model: Transformer, run: Serving,
        of: Callable[[Transformer, Serving], float] = kv_cache_bytes, why: str = "",
    ) -> Point:  # fmt: skip
        found = float(of(model, run)) / MIB
        kind = "cache" if of is kv_cache_bytes else "buffer"
        return Point(kind, what, mib, "MiB", source, found, found, why)

    mistral = GITHUB + "fedora-copr/logdetective/pull/106"
    for tokens, cache, buffer in ((2048, 256.0, 164.0), (32768, 4096.0, 2144.0)):
        run = Serving(tokens, n_batch=512, n_outputs=1, flash_attention=False)
        yield point(f"Mistral 7B, {tokens} tokens", cache, mistral, _MISTRAL, run)
        cuda = "the model is of the CPU's graphs; CUDA keeps a bit less beside each other"
        yield point(f"its buffer on CUDA, {tokens} tokens", buffer, mistral, _MISTRAL, run,
                    compute_buffer_bytes, cuda)  # fmt: skip
    server = GITHUB + "unslothai/unsloth/pull/5225"
    for slots, tokens, mib in (
        (1, 4096, 27.0), (2, 4096, 42.0), (4, 4096, 72.0), (8, 4096, 72.0), (1, 8192, 39.0),
        (2, 8192, 54.0),
    ):  # fmt: skip
        run = Serving(tokens, n_seq=slots, unified=False)
        yield point(f"Gemma 3 270m, {slots} slots, {tokens} tokens", mib, server, _GEMMA, run)
    later = GITHUB + "unslothai/unsloth/pull/7530"
    for slots, mib in ((3, 27.0), (4, 18.0)):
        run = Serving(1024, n_seq=slots, unified=False)
        yield point(f"Gemma 3 270m, {slots} slots, 1024 tokens", mib, later, _GEMMA, run)
    types = GITHUB + "ggml-org/llama.cpp/pull/21551"  # its tokens follow from the f16 row
    for model, name, tokens, rows in (
        (_MAGIDONIA, "Magidonia 24B", 6656, (("q8_0", 552.5), ("q4_0", 292.5))),
        (_QWEN3_8B, "Bonsai 8B", 2560, (("q8_0", 191.25), ("q4_0", 101.25), ("iq4_nl", 101.25))),
    ):
        for kind, mib in rows:
            run = Serving(tokens, type_k=kind, type_v=kind)
            yield point(f"{name} in {kind}", mib, types, model, run)

    older = "a llama.cpp of 2024, which kept one embedding less beside its logits than today's"
    for model, name, tokens, cache, buffer, source in (
        (_QWEN25_7B, "Qwen2.5 7B", 2048, 112.0, 304.0, "JamePeng/llama-cpp-python/pull/1"),
        (_QWEN25_3B, "Qwen2.5 3B", 4096, 144.0, 300.75, "SciSharp/LLamaSharp/issues/1099"),
        (_TRILM_4B, "TriLM 3.9B", 512, 180.0, 105.0, "mozilla-ai/llamafile/pull/552"),
    ):
        run = Serving(tokens, flash_attention=False)
        yield point(f"{name}, {tokens} tokens", cache, GITHUB + source, model, run)
        yield point(f"{name}, its buffer on CUDA", buffer, GITHUB + source, model, run,
                    compute_buffer_bytes, older)  # fmt: skip

    def windowed(model: Transformer, run: Serving) -> float:
        whole = model.n_layer / model.window_pattern * 2 * 2 * int(run.cells) * 8 * 64
        return float(kv_cache_bytes(model, run)) - whole

    metal = GITHUB + "ggml-org/llama.cpp/pull/17609"
    found = windowed(_GPT_OSS, Serving(4096)) / MIB
    yield Point("cache", "gpt-oss-20b, its windowed layers", 18.0, "MiB", metal, found, found)
    yield point("gpt-oss-20b, its buffer on Metal", 404.0, metal, _GPT_OSS, Serving(4096),
                compute_buffer_bytes, "the CPU's graph keeps two embeddings more")  # fmt: skip


_TINY = ("llama", Widths(22, 2048, 5632, 32000, 32, 4, 64))
_LLAMA_3B = ("llama", Widths(28, 3072, 8192, 128256, 24, 8, 128, tied=True))
_LLAMA_8B = ("llama", Widths(32, 4096, 14336, 128256, 32, 8, 128))
_LLAMA_70B = ("llama", Widths(80, 8192, 28672, 128256, 64, 8, 128))
_LLAMA2_7B = ("llama", Widths(32, 4096, 11008, 32000, 32, 32, 128))
_QWEN_14B = ("qwen2", Widths(48, 5120, 13824, 152064, 40, 8, 128))
_QWEN3 = ("qwen3", Widths(36, 4096, 12288, 151936, 32, 8, 128))
_MIXTRAL = (
    "llama", Widths(32, 4096, 14336, 32000, 32, 8, 128, n_expert=8, n_ff_expert=14336)
)  # fmt: skip


def _weigh(model: tuple[str, Widths], quant: str) -> int:
    shapes = tensor_shapes(*model)
    return weight_bytes(quantised_types(quant, shapes, model[1]), shapes)


def _weights() -> Iterator[Point]:
    """Models as `llama-bench` and llama.cpp's loader name their size."""

    def point(what: str, gib: float, source: str, model: tuple[str, Widths], quant: str,
              why: str = "") -> Point:  # fmt: skip
        found = _weigh(model, quant) / GIB
        return Point("weights", f"{what} {quant}", gib, "GiB", source, found, found, why)

    yield point("Llama 3.1 70B", 37.22, GITHUB + "ollama/ollama/pull/6279", _LLAMA_70B, "Q4_0")
    bench = GITHUB + "geerlingguy/ai-benchmarks/issues/43"
    yield point("TinyLlama 1.1B", 636.18 / 1024, bench, _TINY, "Q4_K_M")
    yield point("Llama 3.2 3B", 1.87, bench, _LLAMA_3B, "Q4_K_M")
    pi = GITHUB + "geerlingguy/ai-benchmarks/issues/23"
    yield point("Qwen2.5 14B", 8.37, pi, _QWEN_14B, "Q4_K_M")
    mixtral = GITHUB + "ggml-org/llama.cpp/pull/4406"
    old = "quantised in December 2023, when experts were mixed otherwise"
    for quant, gib in (
        ("Q2_K", 14.57), ("Q3_K_M", 18.96), ("Q4_K_M", 24.62), ("Q4_0", 24.62), ("Q5_K_M", 30.02),
        ("Q5_0", 30.02), ("Q6_K", 35.74), ("Q8_0", 46.22),
    ):  # fmt: skip
        yield point("Mixtral 8x7B", gib, mixtral, _MIXTRAL, quant, old)


def _tokens() -> Iterator[Point]:
    """Tokens a second; the band is what the runtime reaches of the card's memory."""

    def point(what: str, rate: float, source: str, model: tuple[str, Widths], quant: str,
              gb_per_s: float, runtime: str, why: str = "") -> Point:  # fmt: skip
        w = model[1]
        embedding = 0 if w.tied else w.n_embd * w.n_vocab * _weigh(model, quant) / _count(model)
        roof = gb_per_s * 1e9 / (_weigh(model, quant) - embedding)
        low, high = (roof * share for share in REACHED[runtime])
        return Point("tokens", what, rate, "1/s", source, low, high, why)

    hip = GITHUB + "ggml-org/llama.cpp/pull/26284"
    newer = "a llama.cpp of 2026: kernels for RDNA 3 are better than when the band was taken"
    yield point("RX 7900 XTX, Llama 8B Q4_K_M", 105.75, hip, _LLAMA_8B, "Q4_K_M", 960, "ROCm",
                newer)  # fmt: skip
    yield point("RX 7900 XTX, Llama 8B Q5_K_M", 100.63, hip, _LLAMA_8B, "Q5_K_M", 960, "ROCm",
                newer)  # fmt: skip
    people = GITHUB + "dmatora/LLM-inference-speed-benchmarks/issues/"
    yield point("RTX 3080, Llama 8B Q4_K_M", 111.95, people + "12", _LLAMA_8B, "Q4_K_M", 760,
                "CUDA")  # fmt: skip
    yield point("RTX 4090, Llama 8B Q6_K", 93.0, people + "10", _LLAMA_8B, "Q6_K", 1008, "CUDA",
                "what its server printed after a cold start")  # fmt: skip
    five = GITHUB + "CambrianTech/continuum/pull/1627"
    yield point("RTX 5090, Qwen3 8B Q4_K_M", 221.7, five, _QWEN3, "Q4_K_M", 1792, "CUDA",
                "under Windows' subsystem for Linux")  # fmt: skip
    yield point("RTX 4090, Qwen3 8B F16 by vLLM", 58.7, GITHUB + "AlexsJones/llmfit/pull/1046",
                _QWEN3, "F16", 1008, "CUDA", "weights of 16 bits need no unpacking: nearer to the "
                "roof than the band, which is of llama.cpp and quantised ones")  # fmt: skip
    pascal = GITHUB + "ggml-org/llama.cpp/pull/4766"
    yield point("P40, Llama 2 7B Q4_0", 56.79, pascal, _LLAMA2_7B, "Q4_0", 346, "CUDA")


def _count(model: tuple[str, Widths]) -> int:
    return _weigh(model, "F32") // 4


def _pools() -> Iterator[Point]:
    """SIZE of vdevs of files, and a partition that zpool made."""

    def file(what: str, value: float, unit_bytes: int, unit: str, vdev: Vdev) -> Point:
        found = capacity([vdev], openzfs=(2, 1)).size_bytes / unit_bytes
        source = GITHUB + "openzfs/zfs/pull/13106"
        return Point("pool", what, value, unit, source, found, found)

    yield file("a file of 1 GiB", 960, MIB, "MiB", Vdev("stripe", (GIB,), whole_disk=False))
    two, three = (2 * GIB,) * 2, (4 * GIB,) * 3
    yield file("a mirror of 2 GiB", 1.88, GIB, "GiB", Vdev("mirror", two, whole_disk=False))
    yield file("raidz1 of 3 x 4 GiB", 11.5, GIB, "GiB", Vdev("raidz1", three, whole_disk=False))
    four = (4_000_787_030_016,) * 11
    sectors = GITHUB + "openzfs/zfs/issues/8163"
    for ashift, tib in ((9, 31.5), (10, 31.2), (11, 30.6), (12, 29.5), (13, 29.5), (14, 25.8),
                        (15, 25.8), (16, 12.9)):  # fmt: skip
        found = capacity([Vdev("raidz2", four, ashift=ashift)], openzfs=(0, 7, 9))
        usable = found.usable_bytes / GIB / 1024
        what = f"raidz2 of 11 x 4 TB, ashift {ashift}"
        yield Point("pool", what, tib, "TiB", sectors, usable, usable)
    three = (3_000_592_982_016,)
    sizes = GITHUB + "openzfs/zfs/issues/1089"
    for width, size, usable in ((6, 16.2, 10.7), (10, 27.2, 20.4), (12, 32.5, 24.4)):
        found = capacity([Vdev("raidz2", three * width)], openzfs=(0, 6, 3))
        for of, tib, ours in (("SIZE", size, found.size_bytes),
                              ("USED+AVAIL", usable, found.usable_bytes)):  # fmt: skip
            what = f"{of} of raidz2 of {width} x 3 TB"
            yield Point("pool", what, tib, "TiB", sizes, ours / GIB / 1024, ours / GIB / 1024)
    eighteen = (18_000_207_937_536,)
    large = GITHUB + "openzfs/zfs/issues/13727"
    for what, vdevs, tib in (
        ("two raidz1 of 17 x 18 TB", [Vdev("raidz1", eighteen * 17)] * 2, 523.0),
        ("two raidz2 of 17 x 18 TB", [Vdev("raidz2", eighteen * 17)] * 2, 457.0),
        ("draid1:16d:2s of 36 x 18 TB", [Vdev("draid1:16d:2s", eighteen * 36)],
         574_804_246_033_080 / GIB / 1024),
    ):  # fmt: skip
        usable = capacity(vdevs, openzfs=(2, 1, 5)).usable_bytes / GIB / 1024
        yield Point("pool", what, tib, "TiB", large, usable, usable)
    part = float(partition_bytes(18_000_207_937_536))
    lsblk = GITHUB + "openzfs/zfs/issues/13727"
    yield Point("pool", "partition of 18 TB", 18_000_197_451_776, "B", lsblk, part, part)


def _upses() -> Iterator[Point]:
    """Run time at full and half load; their batteries as on the labels: 12 V times Ah."""
    rough = "whole minutes, which call themselves typical; two UPSes with as much battery for each "
    rough += "watt differ by half"
    chart = "https://upssize.com/apc-ups-runtime-calculator"
    for name, rated, battery_wh, half, full in (
        ("BX1500M", 865.0, 2 * 12 * 9.0, 10, 3),
        ("SMT1500", 1000.0, 2 * 12 * 17.0, 17, 6),
        ("SUA2200", 1980.0, 4 * 12 * 17.0, 24, 9),
    ):
        for share, minutes in ((0.5, half), (1.0, full)):
            found = ups_runtime_s(rated * share, rated_w=rated, energy_wh=battery_wh) / 60
            what = f"{name} at {share:.0%}"
            yield Point("ups", what, minutes, "min", chart, found, found, rough)
    guide = "https://poweringautos.com/how-long-will-cyberpower-battery-backup-work"
    for load_w, minutes in ((450.0, 13), (900.0, 2)):
        found = ups_runtime_s(load_w, rated_w=900.0, energy_wh=2 * 12 * 9.0) / 60
        what = f"CyberPower of 1,500 VA at {load_w:.0f} W"
        yield Point("ups", what, minutes, "min", guide, found, found, rough)


def _lines() -> Iterator[Point]:
    """TCP by iperf3 over a line of its own."""
    both = "the best second of a run both ways at once, which did nearly nothing the other way"
    for what, value, line, mtu, stamps, source in (
        ("two Macs, 1 Gb/s", 941e6, 1e9, 1500, True, "esnet/iperf/issues/1170"),
        ("2.5 Gb/s on a Raspberry Pi", 2.35e9, 2.5e9, 1500, True,
         "geerlingguy/raspberry-pi-pcie-devices/issues/647"),
        ("to Windows, 100 Mb/s", 94.7e6, 1e8, 1500, False, "esnet/iperf/issues/1069"),
        ("over a 10 Gb/s switch", 9.39e9, 1e10, 1500, True, "esnet/iperf/issues/955"),
        ("OPNsense to Unraid, MTU 9000", 9.76e9, 1e10, 9000, True, "esnet/iperf/issues/1021"),
    ):  # fmt: skip
        found = 8 * tcp_bytes_per_s(line, mtu, timestamps=stamps)
        yield Point("tcp", what, value, "bit/s", GITHUB + source, found, found, both)


POINTS = (
    *_links(), *_caches(), *_weights(), *_tokens(), *_pools(), *_upses(), *_lines(),
)  # fmt: skip


def table() -> str:
    """All points as a Markdown table."""
    lines = [
        "# What others measured, and what the models say",
        "",
        f"{len(POINTS)} published points; made of tests/models/published.py, and held by a test.",
        "",
        "| | Measured | | Value | Model | Error | Why | Source |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in POINTS:
        ours = f"{each.low:.5g}"
        if each.high != each.low:
            ours += f" to {each.high:.5g}"
        why = each.why if abs(each.error) > 0.005 else ""
        lines.append(
            f"| {each.kind} | {each.what} | {each.unit} | {each.value:.6g} | {ours} "
            f"| {each.error:+.1%} | {why} | {each.source} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table())
