"""Models over the cards of several machines: which machine serves, which offer their cards to it,
and how many layers each card gets.

llama.cpp's server puts the cards of other machines before its own, in the order in which it is told
of them, and gives each as many layers as its share says; the output follows the last.

Sources: llama.cpp tools/rpc/README.md, src/llama.cpp, src/llama-model.cpp.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import ServedModel, Service
from homelab_lib.lab.guests import Download
from homelab_lib.lab.inference import LlamaCpp
from homelab_lib.models.spread import spread_layers
from homelab_lib.recipes.graphics.placed import PlacedCard, placed
from homelab_lib.recipes.inference.servers import ModelServer, address_of, server_of
from homelab_lib.units import format_ibytes
from homelab_lib.wiring.serving import (
    OTHER_OVERHEAD_BYTES,
    buffer_bytes,
    cache_bytes,
    run_of,
    weights,
)

SERVER = "llama.cpp"
"""As a model's `server` names it."""
_PORT = 8080


@dataclass(frozen=True)
class Member:
    """A machine of a pool.

    Parameters
    ----------
    machine, address
        Its name in the lab, and where the others reach it.
    cards
        Its cards, as the service lists them.
    """

    machine: str
    address: str
    cards: tuple[PlacedCard, ...]


@dataclass(frozen=True)
class Pool:
    """A model over cards of several machines.

    Parameters
    ----------
    lab, service, model
        The lab, the service that it is of, and the model.
    head
        The machine that serves, with those of the cards that are its own.
    workers
        The machines that offer theirs.
    others
        Ollama's servers that have some of the cards, too, by device.
    """

    lab: Lab
    service: Service
    model: ServedModel
    head: Member
    workers: tuple[Member, ...]
    others: dict[str, ModelServer]

    @property
    def described(self) -> LlamaCpp:
        """How it is installed."""
        assert self.service.llama_cpp is not None
        return self.service.llama_cpp

    @property
    def name(self) -> str:
        """The service's."""
        return self.service.name

    @property
    def members(self) -> tuple[Member, ...]:
        """All machines, the head last."""
        return (*self.workers, self.head)

    @property
    def cards(self) -> tuple[PlacedCard, ...]:
        """In the server's order."""
        return tuple(card for member in self.members for card in member.cards)

    @property
    def port(self) -> int:
        """Where the head answers, on its own machine alone."""
        return self.service.port or _PORT

    @property
    def url(self) -> str:
        """The same as an address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def archive(self) -> Download:
        """The release."""
        return self.lab.downloads[self.described.archive]

    @property
    def file(self) -> Download:
        """The model's file."""
        return self.lab.downloads[self.model.file or ""]

    def endpoint(self, worker: Member) -> str:
        """Where a machine offers its cards."""
        return f"{worker.address}:{self.described.worker_port}"

    def buffer(self, card: PlacedCard) -> str:
        """What the server's log calls the memory of a card."""
        for worker in self.workers:
            if card in worker.cards:
                return f"RPC{worker.cards.index(card)}[{self.endpoint(worker)}]"
        return f"Vulkan{self.head.cards.index(card)}"

    def seen(self, member: Member) -> str:
        """Which of a machine's Vulkan devices its programs see, in the order of its cards."""
        told = self.described.vulkan
        return ",".join(str(told.get(card.device, n)) for n, card in enumerate(member.cards))

    def room_bytes(self, card: PlacedCard) -> int:
        """What Ollama leaves of a card, where it has it, too [bytes]."""
        other = self.others.get(card.device)
        return card.room_bytes - (other.predicted_bytes if other is not None else 0)

    @property
    def reserve_bytes(self) -> int:
        """What is taken of each card beside layers: the buffer, and the runtime's own [bytes]."""
        return int(buffer_bytes(self.model.part, run_of(self.model))) + OTHER_OVERHEAD_BYTES

    @property
    def layer_bytes(self) -> list[int]:
        """Weights and cache of each layer [bytes]."""
        layers = weights(self.model.part, self.model.quant).layer_bytes
        return [size + self.layer_cache_bytes for size in layers]

    @property
    def layer_cache_bytes(self) -> int:
        """A layer's part of the cache [bytes]."""
        return int(cache_bytes(self.model.part, run_of(self.model))) // self.model.part.n_layer

    @property
    def weights_bytes(self) -> tuple[int, ...]:
        """What of the weights each card has [bytes]."""
        pairs = zip(self.taken_bytes, self.layers, strict=True)
        return tuple(taken - self.layer_cache_bytes * count for taken, count in pairs)

    @property
    def read_bytes(self) -> tuple[float, ...]:
        """What a token reads of each card's memory, with the whole context in the cache [bytes]."""
        whole = weights(self.model.part, self.model.quant)
        found, first = [], 0
        for count in self.layers:
            active = sum(whole.active_bytes[first : first + count])
            found.append(float(active + self.layer_cache_bytes * count))
            first += count
        found[-1] += whole.output_bytes
        return tuple(found)

    @property
    def layers(self) -> tuple[int, ...]:
        """How many each card gets."""
        return spread_layers(
            self.layer_bytes,
            [max(self.room_bytes(card), 0) for card in self.cards],
            reserve_bytes=[self.reserve_bytes] * len(self.cards),
            output_bytes=weights(self.model.part, self.model.quant).output_bytes,
        )

    @property
    def split(self) -> tuple[int, ...]:
        """The same with the output, which counts as one layer more."""
        return (*self.layers[:-1], self.layers[-1] + 1)

    @property
    def taken_bytes(self) -> tuple[int, ...]:
        """Weights and cache on each card; the last has the output, too [bytes]."""
        found, first = [], 0
        for count in self.layers:
            found.append(sum(self.layer_bytes[first : first + count]))
            first += count
        found[-1] += weights(self.model.part, self.model.quant).output_bytes
        return tuple(found)


def pools_of(lab: Lab, phase: int) -> list[Pool]:
    """The pools that a phase installs.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        One can't serve what it is to serve: the key and what to do.
    """
    services = [s for s in lab.services.values() if s.phase == phase and s.llama_cpp is not None]
    return [_pool(lab, service, phase) for service in services]


def _pool(lab: Lab, service: Service, phase: int) -> Pool:
    cards: dict[str, list[PlacedCard]] = {service.runs_on or "": []}
    for device in service.devices:
        card = placed(lab, device)
        cards.setdefault(card.machine, []).append(card)
    head, *workers = (_member(lab, service, name, tuple(own)) for name, own in cards.items())
    model, others = _model(lab, service), _others(lab, service, phase)
    return Pool(lab, service, model, head, tuple(workers), others)


def _member(lab: Lab, service: Service, name: str, cards: tuple[PlacedCard, ...]) -> Member:
    address = address_of(lab, name) if name in lab.machines() else ""
    try:
        return Member(name, str(ipaddress.ip_address(address)), cards)
    except ValueError:
        where = f"vms.{name}.address" if name in lab.vms else f"hosts.{name}.ssh"
        raise BadParameter(
            f"{name} is one of the machines of {service.name}, whose ports are opened to "
            f"addresses, and the lab has {address or 'none'} for it",
            where=where,
            fix="write its address there, in numbers",
        ) from None


def _model(lab: Lab, service: Service) -> ServedModel:
    models = [
        model
        for model in lab.models.values()
        if model.server == SERVER and set(model.devices) == set(service.devices)
    ]
    if len(models) != 1:
        there = "none" if not models else " and ".join(model.name for model in models)
        raise BadParameter(
            f"{service.name} serves one model over {', '.join(service.devices)}, and the lab has "
            f"{there} there",
            where=f"services.{service.name}.devices",
            fix=f"write one model with these devices and  server: {SERVER}",
        )
    return models[0]


def _others(lab: Lab, service: Service, phase: int) -> dict[str, ModelServer]:
    """Ollama's servers that have one of the cards by then."""
    found = {}
    for model in lab.models.values():
        if set(model.devices) & set(service.devices):
            server = server_of(lab, model, phase)
            if server is not None:
                found[server.card.device] = server
    return found


def beside(others: Iterable[ModelServer]) -> str:
    """What Ollama has of a pool's cards, for a person; empty for nothing."""
    said = [
        f"{format_ibytes(each.predicted_bytes)} of {each.card.device} are for {each.name}'s "
        f"{' and '.join(model.name for model in each.models)}"
        for each in others
    ]
    return f"; {', '.join(said)}" if said else ""


def shared_with(pool: Pool) -> str:
    """The same as a sentence of a step; empty where no card is Ollama's, too."""
    found = beside(tuple(pool.others.values())).removeprefix("; ")
    return f" Ollama keeps what is its own: {found}, and both are in memory at once." * bool(found)
