"""Language models that do not fit where they are to run, and memory that can't be added up."""

from collections.abc import Iterable, Iterator

from homelab_lib.audit.facts_gpu import (
    LEAST_BITS,
    USEFUL_TOKENS,
    card_facts,
    class_bytes,
    class_context,
    nearest_chat,
)
from homelab_lib.audit.facts_offload import Offload, offload
from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.lab.called import devices
from homelab_lib.lab.compute import ServedModel
from homelab_lib.lab.devices import GpuPart
from homelab_lib.lab.lab import Lab
from homelab_lib.models import vram
from homelab_lib.units import format_ibytes
from homelab_lib.wiring.serving import buffer_bytes, cache_bytes, run_of, weights

GIB = 2**30
_ROW_BITS = {"Q4": 4.5, "Q5": 5.5, "Q8": 8.5, "F16": 16.0}
_SMALLER = ("Q4_K_M", "Q4_K_S", "Q3_K_M", "Q3_K_S", "Q2_K")
_FEWEST_TOKENS = 4096


def cards_of(lab: Lab, devices: Iterable[str]) -> list[GpuPart]:
    """The graphics cards among devices."""
    found = []
    for name in devices:
        host, _, device = name.partition(".")
        part = lab.hosts[host].devices[device].part
        if isinstance(part, GpuPart):
            found.append(part)
    return found


def called(lab: Lab, names: Iterable[str]) -> list[str]:
    """What people call these devices."""
    titles = devices(lab)
    return [titles[name] for name in names]


def room_of(card: GpuPart) -> int:
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


def known(lab: Lab, models: Iterable[ServedModel]) -> Iterator[tuple[ServedModel, vram.Fit]]:
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
    for model, need in known(lab, lab.models.values()):
        cards = cards_of(lab, model.devices)
        if not cards:
            continue
        there = sum(map(room_of, cards))
        if need.needed_bytes <= there:
            continue
        partly = offload(lab, model)
        refused = model.phase is not None and model.server == "Ollama"
        yield Finding(
            "model-does-not-fit",
            "costs" if partly else "stops",
            f"models.{model.name}",
            f"{model.part.title} at {model.quant} with {model.context_tokens * model.parallel} "
            f"tokens takes {need.needed_bytes / GIB:.2f} GiB, and "
            f"{' + '.join(called(lab, model.devices))} has {there / GIB:g} GiB."
            + (f" {_spilled(model, partly)}" if partly else "")
            + (f" The runbook of phase {model.phase} refuses it." if refused else ""),
            need.needed_bytes,
            "B",
            (
                f"Weights {need.weights_bytes / GIB:.2f} GiB, cache {need.cache_bytes / GIB:.2f}, "
                f"compute buffer {need.compute_bytes / GIB:.2f}, runtime "
                f"{need.overhead_bytes / GIB:.2f} (assumed).",
                *(fact(card, f"{card.vram_bytes / GIB:g} GiB") for card in cards),
            ),
            _lighter(lab, model, there),
            refused=refused,
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
            lighter = [need for _, need in known(lab, [model.model_copy(update=now)])]
            if lighter and lighter[0].needed_bytes <= there:
                changes = [(f"{path}.{k}", v) for k, v in now.items() if getattr(model, k) != v]
                title = ", ".join(f"{k.removesuffix('_tokens')} {v}" for k, v in now.items())
                return Fix(title, changes=tuple(changes))
    return Fix("a smaller model")


@rule("size-class-does-not-fit")
def classes_fit(lab: Lab) -> Iterator[Finding]:
    """A card that the document calls suitable for models that it does not hold with any useful
    context."""
    cards = card_facts(lab)
    for index, row in enumerate(lab.model_classes):
        like = nearest_chat(lab, row.parameters_low)
        if like is None or row.needs_several:
            continue
        bits = next((b for q, b in _ROW_BITS.items() if row.quant.startswith(q)), LEAST_BITS)
        holds = {
            name: class_context(like, row.parameters_low, bits, cards[name])
            for name in row.devices
            if name in cards
        }
        small = {name: tokens for name, tokens in holds.items() if tokens < USEFUL_TOKENS}
        if not small:
            continue
        least = class_bytes(like, row.parameters_low, bits)
        names = called(lab, small)
        said = [
            f"{f'{tokens} tokens' if tokens else 'none at all'} on the {name}"
            for name, tokens in zip(names, small.values(), strict=True)
        ]
        left = [name for name in row.devices if name not in small]
        yield Finding(
            "size-class-does-not-fit",
            "costs",
            f"model_classes.{index}",
            f"A model of the {row.size} class takes {least / GIB:.1f} GiB at {bits:g} bits a "
            f"weight before any context. With nothing else on the card, and no desktop either, "
            f"there is room for: {', '.join(said)}.",
            least,
            "B",
            tuple(fact(c, format_ibytes(c.vram_bytes)) for c in cards_of(lab, small)),
            Fix("name the larger cards", changes=((f"model_classes.{index}.devices", left),)),
        )
