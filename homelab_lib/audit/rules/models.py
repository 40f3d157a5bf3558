"""Language models that do not fit where they are to run, and memory that can't be added up."""

from collections.abc import Iterable, Iterator

from homelab_lib.audit.facts_gpu import card_facts
from homelab_lib.audit.facts_offload import Offload, offload
from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.lab.compute import ServedModel
from homelab_lib.lab.devices import GpuPart
from homelab_lib.lab.lab import Lab
from homelab_lib.models import vram
from homelab_lib.units import format_ibytes
from homelab_lib.wiring.serving import OVERHEAD_BYTES, buffer_bytes, cache_bytes, run_of, weights

GIB = 2**30
_OVERHEAD = min(OVERHEAD_BYTES.values())  # of whichever runtime asks for least
_LEAST_BITS = 4.5  # per weight: Q4_0, the smallest of the common four-bit quantisations
_ROW_BITS = {"Q4": 4.5, "Q5": 5.5, "Q8": 8.5, "F16": 16.0}
_SMALLER = ("Q4_K_M", "Q4_K_S", "Q3_K_M", "Q3_K_S", "Q2_K")
_FEWEST_TOKENS = 4096

_DRIVES = {
    "Exo": (frozenset(), "on Linux it computes on the CPU [exo README; issues #910, #913]"),
    "Ollama": (
        frozenset({"CUDA", "ROCm", "Vulkan"}),
        "one server drives the cards of its own machine [ollama docs/gpu.md]",
    ),
}
"""Runtimes by which a server uses cards on Linux, and the source; one not listed uses any."""


def _cards(lab: Lab, devices: Iterable[str]) -> list[GpuPart]:
    found = []
    for name in devices:
        host, _, device = name.partition(".")
        part = lab.hosts[host].devices[device].part
        if isinstance(part, GpuPart):
            found.append(part)
    return found


def _room(card: GpuPart) -> int:
    """What a card has for weights, cache and buffers [bytes]."""
    return card.vram_bytes - (card.vram_reserved_bytes or 0)


def needs(lab: Lab, model: ServedModel) -> vram.Fit:
    """What a model takes, without a card.

    Parameters
    ----------
    lab
        The lab whose cards it is put on.
    model
        The model as it is to be served; every card it is spread over has its own compute buffer
        and overhead.

    Raises
    ------
    ValueError
        What it weighs is not known.
    """
    run, there = run_of(model), card_facts(lab)
    overheads = [there[name].overhead_bytes for name in model.devices if name in there]
    cards = max(len(overheads), 1)
    return vram.Fit(
        weights(model.part, model.quant).card_bytes,
        int(cache_bytes(model.part, run)),
        int(buffer_bytes(model.part, run)) * cards,
        sum(overheads),
        0,
    )


def _known(lab: Lab, models: Iterable[ServedModel]) -> Iterator[tuple[ServedModel, vram.Fit]]:
    """The models of which it is known what they take, with that."""
    for model in models:
        try:
            yield model, needs(lab, model)
        except ValueError:
            continue  # the rule below says so


@rule("model-not-computed")
def models_known(lab: Lab) -> Iterator[Finding]:
    """A model of which nothing says what it weighs."""
    for model in lab.models.values():
        try:
            needs(lab, model)
        except ValueError as error:
            yield Finding("model-not-computed", "note", f"models.{model.name}", f"{error}.")


@rule("model-does-not-fit")
def models_fit(lab: Lab) -> Iterator[Finding]:
    """A model that takes more memory than the cards it is placed on have."""
    for model, need in _known(lab, lab.models.values()):
        cards = _cards(lab, model.devices)
        if not cards:
            continue
        there = sum(map(_room, cards))
        if need.needed_bytes <= there:
            continue
        partly = offload(lab, model)
        yield Finding(
            "model-does-not-fit",
            "costs" if partly else "stops",
            f"models.{model.name}",
            f"{model.part.title} at {model.quant} with {model.context_tokens * model.parallel} "
            f"tokens takes {need.needed_bytes / GIB:.2f} GiB, and {' + '.join(model.devices)} "
            f"has {there / GIB:g} GiB." + (f" {_spilled(model, partly)}" if partly else ""),
            need.needed_bytes,
            "B",
            (
                f"Weights {need.weights_bytes / GIB:.2f} GiB, cache {need.cache_bytes / GIB:.2f}, "
                f"compute buffer {need.compute_bytes / GIB:.2f}, runtime "
                f"{need.overhead_bytes / GIB:.2f} (assumed).",
                *(fact(card, f"{card.vram_bytes / GIB:g} GiB") for card in cards),
            ),
            _lighter(lab, model, there),
        )


def _spilled(model: ServedModel, partly: Offload) -> str:
    low, high = partly.tokens_per_second
    return (
        f"With {partly.in_memory} of {model.part.n_layer} layers and the output in main memory it "
        f"runs all the same, at {low:.0f} to {high:.0f} tokens a second with a full context."
    )


@rule("context-beyond-model")
def contexts_within(lab: Lab) -> Iterator[Finding]:
    """A context longer than the model was trained for."""
    for model in lab.models.values():
        most = model.part.context_length
        if model.context_tokens <= most:
            continue
        path = f"models.{model.name}.context_tokens"
        yield Finding(
            "context-beyond-model",
            "costs",
            path,
            f"{model.part.title} was trained for {most} tokens, and {model.context_tokens} are "
            "asked for: what lies beyond is memory for nonsense.",
            most,
            "tokens",
            (fact(model.part, f"context_length {most}"),),
            Fix(f"at most {most}", changes=((path, most),)),
        )


def _lighter(lab: Lab, model: ServedModel, there: int) -> Fix:
    """A shorter context, a smaller cache type or a smaller quantisation, the mildest first."""
    path = f"models.{model.name}"
    begin = _SMALLER.index(model.quant) if model.quant in _SMALLER else 0
    for quant in (model.quant, *_SMALLER[begin:]):
        for cache, tokens in (
            (model.cache_type, model.context_tokens),
            ("q8_0", model.context_tokens),
            ("q8_0", min(_FEWEST_TOKENS, model.context_tokens)),
        ):
            now = {"quant": quant, "cache_type": cache, "context_tokens": tokens}
            lighter = [need for _, need in _known(lab, [model.model_copy(update=now)])]
            if lighter and lighter[0].needed_bytes <= there:
                changes = [(f"{path}.{k}", v) for k, v in now.items() if getattr(model, k) != v]
                title = ", ".join(f"{k.removesuffix('_tokens')} {v}" for k, v in now.items())
                return Fix(title, changes=tuple(changes))
    return Fix("a smaller model")


@rule("size-class-does-not-fit")
def classes_fit(lab: Lab) -> Iterator[Finding]:
    """A card that the document calls suitable for models that are larger than the card."""
    for index, row in enumerate(lab.model_classes):
        bits = next((b for q, b in _ROW_BITS.items() if row.quant.startswith(q)), _LEAST_BITS)
        least = round(row.parameters_low * bits / 8) + _OVERHEAD
        small = [name for name in row.devices if any(_room(c) < least for c in _cards(lab, [name]))]
        if not small:
            continue
        left = [name for name in row.devices if name not in small]
        yield Finding(
            "size-class-does-not-fit",
            "costs",
            f"model_classes.{index}",
            f"A model of the {row.size} class takes {least / GIB:.1f} GiB at {bits:g} bits a "
            f"weight before any context; {', '.join(small)} has less.",
            least,
            "B",
            tuple(fact(c, format_ibytes(c.vram_bytes)) for c in _cards(lab, small)),
            Fix("name the larger cards", changes=((f"model_classes.{index}.devices", left),)),
        )


def _apart(lab: Lab, devices: tuple[str, ...], server: str) -> list[str]:
    """Why cards can't be used as one."""
    reasons = []
    places = {name: _place(lab, name) for name in devices}
    if len(set(places.values())) > 1 or None in places.values():
        where = (f"{name} in {place or 'no VM'}" for name, place in places.items())
        reasons.append(f"they are not in one machine ({', '.join(where)})")
    drives, source = _DRIVES.get(server, (None, ""))
    own = [set(card.runtimes) for card in _cards(lab, devices)]
    native = {card.runtimes[0] for card in _cards(lab, devices) if card.runtimes}
    if drives is not None and not drives:
        reasons.append(f"{server} uses none of them: {source}")
    if len(native) > 1:
        common = set.intersection(*own)
        also = f"; only {', '.join(sorted(common))} is common" if common else ""
        reasons.append(f"their runtimes are {' and '.join(sorted(native))}{also}")
    return reasons


def _place(lab: Lab, name: str) -> str | None:
    """The VM or host whose processes see a device."""
    host, _, device = name.partition(".")
    vm = next((v.name for v in lab.vms.values() if v.host == host and device in v.gpus), None)
    return vm or (None if lab.hosts[host].os.kind == "proxmox" else host)


@rule("memory-not-pooled")
def pools_work(lab: Lab) -> Iterator[Finding]:
    """Memory of several cards added up, where no one program can use it."""
    rows = [
        (f"pooled_vram.{index}", row.devices, row.by) for index, row in enumerate(lab.pooled_vram)
    ]
    rows += [
        (f"models.{m.name}", m.devices, m.server) for m in lab.models.values() if m.devices[1:]
    ]
    for subject, devices, server in rows:
        reasons = _apart(lab, devices, server)
        if not reasons:
            continue
        cards = _cards(lab, devices)
        largest = max(map(_room, cards), default=0)
        total = sum(map(_room, cards))
        yield Finding(
            "memory-not-pooled",
            "stops",
            subject,
            f"The {total / GIB:g} GiB of {', '.join(devices)} can't be used as one: "
            f"{'; '.join(reasons)}. The largest single card has {largest / GIB:g} GiB.",
            largest,
            "B",
            tuple(fact(card, f"runtimes {', '.join(card.runtimes)}") for card in cards),
            Fix("llama.cpp's RPC servers, one for each VM, on a network of their own; or a model "
                "that fits one card"),
        )  # fmt: skip


@rule("models-crowd-a-card")
def cards_suffice(lab: Lab) -> Iterator[Finding]:
    """Models of one card that fit each by itself and not together."""
    by_card: dict[str, list[ServedModel]] = {}
    for model in lab.models.values():
        if len(model.devices) == 1:
            by_card.setdefault(model.devices[0], []).append(model)
    for device, models in by_card.items():
        cards = _cards(lab, [device])
        if len(models) < 2 or not cards:
            continue
        sizes = [need.needed_bytes for _, need in _known(lab, models)]
        if sizes and max(sizes) <= _room(cards[0]) < sum(sizes):
            yield Finding(
                "models-crowd-a-card",
                "costs",
                device,
                f"{', '.join(m.name for m in models)} take {sum(sizes) / GIB:.2f} GiB together, "
                f"and {device} has {_room(cards[0]) / GIB:g} GiB: they take turns.",
                sum(sizes),
                "B",
                (fact(cards[0], f"{cards[0].vram_bytes / GIB:g} GiB"),),
            )
