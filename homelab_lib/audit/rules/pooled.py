"""Cards of several machines taken for one, models that crowd a card, servers that are several."""

from collections.abc import Iterator

from homelab_lib.audit.assumptions import assumptions
from homelab_lib.audit.facts_offload import on_processor, over_network
from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.audit.rules.models import called, cards_of, known, room_of
from homelab_lib.lab.compute import ServedModel
from homelab_lib.lab.lab import Lab

GIB = 2**30
_STATE_BYTES = 4
"""Of each number of what goes from one layer to the next: llama.cpp computes in single
precision [bytes]."""

_DRIVES = {
    "Exo": (frozenset(), "on Linux it computes on the CPU [exo README; issues #910, #913]"),
    "Ollama": (
        frozenset({"CUDA", "ROCm", "Vulkan"}),
        "one server drives the cards of its own machine [ollama docs/gpu.md]",
    ),
}
"""Runtimes by which a server uses cards on Linux, and the source; one not listed uses any."""


def _apart(lab: Lab, devices: tuple[str, ...], server: str) -> list[str]:
    """Why cards can't be used as one."""
    reasons = []
    places = {name: _place(lab, name) for name in devices}
    if len(set(places.values())) > 1 or None in places.values():
        there = zip(called(lab, places), places.values(), strict=True)
        where = (f"{name} in {place or 'no VM'}" for name, place in there)
        reasons.append(f"they are not in one machine ({', '.join(where)})")
    drives, source = _DRIVES.get(server, (None, ""))
    own = [set(card.runtimes) for card in cards_of(lab, devices)]
    native = {card.runtimes[0] for card in cards_of(lab, devices) if card.runtimes}
    if drives is not None and not drives:
        reasons.append(f"{server} uses none of them: {source}")
    if len(native) > 1:
        common = set.intersection(*own)
        also = f"; only {', '.join(sorted(common))} is common" if common else ""
        reasons.append(f"their runtimes are {' and '.join(sorted(native))}{also}")
    return reasons


def _place(lab: Lab, name: str) -> str | None:
    """The VM or host whose processes see a device."""
    host = name.partition(".")[0]
    vm = next((vm.name for vm in lab.vms_with(name)), None)
    return vm or (None if lab.hosts[host].os.kind == "proxmox" else host)


def _vms_of(lab: Lab, devices: tuple[str, ...]) -> Iterator[str]:
    """The VMs that have the cards, as paths: by them the cards are apart."""
    for name in devices:
        if (place := _place(lab, name)) in lab.vms:
            yield f"vms.{place}"


def _spread(lab: Lab, devices: tuple[str, ...], server: str) -> bool:
    """Whether a service spreads one model over these cards, by llama.cpp's RPC."""
    pools = [set(s.devices) for s in lab.services.values() if s.llama_cpp is not None]
    return server == "llama.cpp" and set(devices) in pools


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
        if not reasons or _spread(lab, devices, server):
            continue
        cards = cards_of(lab, devices)
        reasons = [
            each + _on_processors(lab, subject, server) if each.startswith(server) else each
            for each in reasons
        ]
        largest = max(map(room_of, cards), default=0)
        total = sum(map(room_of, cards))
        yield Finding(
            "memory-not-pooled",
            "stops",
            subject,
            f"The {total / GIB:g} GiB of {', '.join(called(lab, devices))} can't be used as one: "
            f"{'; '.join(reasons)}. The largest single card has {largest / GIB:g} GiB.",
            largest,
            "B",
            tuple(fact(card, f"runtimes {', '.join(card.runtimes)}") for card in cards),
            Fix("llama.cpp's RPC servers, one for each VM, on a network of their own"
                f"{_over_network(lab, subject)}; or a model that fits one card"),
            assumed=assumptions(lab, _vms_of(lab, devices)),
        )  # fmt: skip


@rule("models-crowd-a-card")
def cards_suffice(lab: Lab) -> Iterator[Finding]:
    """Models of one card that fit each by itself and not together."""
    by_card: dict[str, list[ServedModel]] = {}
    for model in lab.models.values():
        if len(model.devices) == 1:
            by_card.setdefault(model.devices[0], []).append(model)
    for device, models in by_card.items():
        cards = cards_of(lab, [device])
        if len(models) < 2 or not cards:
            continue
        sizes = [need.needed_bytes for _, need in known(lab, models)]
        if sizes and max(sizes) <= room_of(cards[0]) < sum(sizes):
            yield Finding(
                "models-crowd-a-card",
                "costs",
                device,
                f"{', '.join(m.name for m in models)} take {sum(sizes) / GIB:.2f} GiB together, "
                f"and the {called(lab, [device])[0]} has {room_of(cards[0]) / GIB:g} GiB: they "
                "take turns.",
                sum(sizes),
                "B",
                (fact(cards[0], f"{cards[0].vram_bytes / GIB:g} GiB"),),
            )


def _over_network(lab: Lab, subject: str) -> str:
    """What llama.cpp's RPC would bring: tokens a second, and what crosses the network for each."""
    model = lab.models.get(subject.removeprefix("models."))
    found = over_network(lab, model) if model is not None else None
    if model is None or found is None:
        return ""
    low, high = found.tokens_per_second
    layers = " + ".join(map(str, found.on_cards))
    seam_kib = model.part.n_embd * _STATE_BYTES / 1024
    return (
        f" ({layers} layers, {low:.1f} to {high:.1f} tokens a second; each token crosses "
        f"{len(found.on_cards) - 1} seams with {seam_kib:g} KiB; its README calls it a proof of "
        "concept, and insecure)"
    )


def _on_processors(lab: Lab, subject: str, server: str) -> str:
    """What it costs that a server leaves the cards alone: tokens a second from main memory."""
    model = lab.models.get(subject.removeprefix("models."))
    if model is None or _DRIVES.get(server, (None, ""))[0] != frozenset():
        return ""
    hosts = {name.partition(".")[0] for name in model.devices}
    speeds = [speed for name in hosts if (speed := on_processor(lab, lab.hosts[name], model))]
    if not speeds:
        return ""
    low, high = max(speeds)
    return (
        f", where {model.part.title} at {model.quant} makes {low:.1f} to {high:.1f} tokens a "
        "second, by what main memory carries"
    )


@rule("model-server-for-each-machine")
def servers_apart(lab: Lab) -> Iterator[Finding]:
    """A service on cards of several machines: that is several servers, each with its own models."""
    for service in lab.services.values():
        cards = [name for name in service.devices if cards_of(lab, [name])]
        places = dict.fromkeys(place for name in cards if (place := _place(lab, name)))
        if len(places) < 2 or service.runs_on is None or service.llama_cpp is not None:
            continue
        yield Finding(
            "model-server-for-each-machine",
            "note",
            f"services.{service.name}",
            f"{service.title} is to use {' and '.join(called(lab, cards))}, which are in "
            f"{' and '.join(places)}: that is {len(places)} servers, each with models and an "
            "address of its own. Who asks one does not reach what another has.",
            len(places),
            "servers",
            fix=Fix("something in front of them that knows which model is where"),
        )
