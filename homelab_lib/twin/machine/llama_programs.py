"""What llama.cpp's programs have in common: services that systemd starts anew, and the cards that
Vulkan shows them.

Sources: systemd.service(5), ``Restart=``; llama.cpp ggml/src/ggml-vulkan (which devices it takes).
Which protocol another build speaks is guessed: another one.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from homelab_lib.lab.devices import GpuPart
from homelab_lib.twin.machine.bus import Function
from homelab_lib.twin.machine.graphics_drivers import cards, take, total_bytes, used_bytes
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call
from homelab_lib.twin.machine.unit import Unit

WHO = "llama.cpp"
"""Whose a card's memory is."""
SOURCE = "ggml/src/ggml-rpc/ggml-rpc.cpp"
"""The file of whose lines a program's last words are."""
_AGAIN_S = 5.0
_PROTOCOL, _OTHER_PROTOCOL = "7.0.0", "6.0.0"


class Ends(Exception):
    """A program ends: with its last words."""


@dataclass
class Device:
    """A card as Vulkan shows it."""

    name: str
    card: Function
    part: GpuPart


def vulkan(machine: Machine, env: Mapping[str, str]) -> list[Device]:
    """The cards that Vulkan shows to a program: of those with a driver and a library."""
    libraries = {
        "NVIDIA": ("nvidia", r"libnvidia-gl-|nvidia-vulkan|nvidia-driver-"),
        "AMD": ("amdgpu", r"mesa-vulkan-drivers"),
    }
    found = [
        (card, part)
        for vendor, (module, library) in libraries.items()
        if module in machine.modules and any(re.match(library, p) for p in machine.packages)
        for card, part in cards(machine, vendor)
    ]
    seen = env.get("GGML_VK_VISIBLE_DEVICES")
    wanted = range(len(found)) if seen is None else map(int, filter(None, seen.split(",")))
    chosen = [found[number] for number in wanted if number < len(found)]
    return [Device(f"Vulkan{number}", *each) for number, each in enumerate(chosen)]


@dataclass
class Process:
    """A program that a service runs, and that systemd starts anew where it ends.

    Parameters
    ----------
    machine, unit
        Where it runs, and as what.
    begin, end
        What comes of its start, which may end it, and what it leaves when it stops.
    """

    machine: Machine
    unit: Unit
    begin: Callable[[], None]
    end: Callable[[], None]
    boots: int = 0
    runs: bool = False
    number: int = 0  # of its start, by which whoever speaks with it knows it again

    def start(self) -> None:
        """Start it; where it ends at once, again after a while."""
        self.boots, self.number, self.runs = self.machine.boots, self.number + 1, True
        self.unit.on_stop = lambda machine: self.stop()
        try:
            self.begin()
        except Ends as error:
            self.ends(str(error))

    def goes_on(self) -> None:
        """It runs already, and has said long ago what it found."""
        self.boots, self.runs = self.machine.boots, True
        self.unit.on_stop = lambda machine: self.stop()

    def stop(self) -> None:
        """It is stopped."""
        if self.runs:
            self.runs = False
            self.end()

    def ends(self, words: str) -> None:
        """It ends by itself."""
        self.stop()
        self.machine.log(self.unit.invocation, words)
        self.unit.again = True
        self.unit.active, self.unit.sub = "activating", "auto-restart"
        before = (self.unit.starts, self.number, self.machine.boots)

        def again() -> None:
            same = (self.unit.starts, self.number, self.machine.boots) == before
            if same and self.machine.up and self.unit.active == "activating":
                self.unit.again = False
                self.unit.active, self.unit.sub = "active", "running"
                self.start()

        self.machine.world.after(_AGAIN_S, again, label=f"{self.unit.name} anew")

    def alive(self) -> bool:
        """Whether it runs still."""
        up = self.machine.up and self.boots == self.machine.boots
        return up and self.runs and self.unit.active == "active"


def free_bytes(machine: Machine, device: Device) -> int:
    """What nobody has of a card's memory [bytes]."""
    return total_bytes(device.part) - used_bytes(machine, device.card, device.part)


def was_there(machine: Machine, unit: Unit) -> bool:
    """Whether it is what a real machine runs, of which a seeded twin is made."""
    return machine.ask is not None and not unit.starts


def give_back(machine: Machine, device: Device) -> None:
    """What they had of a card is free."""
    if WHO in machine.kept.get("vram", {}).get(device.card.slot, {}):
        take(machine, device.card, device.part, WHO, 0)


def unit_of(machine: Machine, call: Call) -> Unit | None:
    """The service that runs a program."""
    line = f"ExecStart={' '.join(call.argv)}"
    return next((u for u in machine.units.values() if line in u.source.splitlines()), None)


def protocol_of(machine: Machine, call: Call) -> str:
    """What a program speaks, by its build."""
    known = {each.version for each in machine.world.lab.downloads.values()}
    return _PROTOCOL if build_of(machine, call) in known else _OTHER_PROTOCOL


def build_of(machine: Machine, call: Call) -> str:
    """The build of a program: the word after its name; of a real file its folder's name says it."""
    words = machine.files.text(call.argv[0]).split()
    return words[1] if len(words) == 2 else call.argv[0].split("/")[-2].removeprefix("llama-")
