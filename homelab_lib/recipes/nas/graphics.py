"""The graphics that a NAS's apps use: whether they can, and by which node they render."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from homelab_lib.control.linux.graphics import PROCESSORS_OWN, kernel, render_node
from homelab_lib.control.linux.pci import cards
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Service
from homelab_lib.lab.devices import GpuPart
from homelab_lib.lab.host import Host
from homelab_lib.lab.platforms import CpuPart
from homelab_lib.recipes.graphics.cards import fitted
from homelab_lib.recipes.nas.network import end
from homelab_lib.runbook.step import Check, Context, Step

MAKES = ("services",)


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """A step for each NAS whose apps of the phase use a graphics card."""
    used = [
        graphics
        for service in lab.services.values()
        if service.phase == phase and service.app is not None
        if (graphics := Graphics.of(lab, service)) is not None and graphics.device
    ]
    hosts = [lab.hosts[name] for name in dict.fromkeys(each.nas.name for each in used)]
    for host in hosts:
        mine = [each for each in used if each.nas is host]
        yield Step(
            f"nas-graphics{end(host, hosts)}",
            f"Decide whether the graphics of {host.title} do: go or no go",
            why="A card is of use to an app where the kernel has a driver for it, the driver has "
            "taken it, its memory is seen whole and there is a node to render by. The numbers of "
            "these nodes change, so the card is known by its place on the bus. If it can't be "
            "used, the processor's own graphics are the way back: fewer films at once, by the "
            "same app.",
            check=partial(_verdicts, mine),
        )


def _verdicts(found: list["Graphics"], ctx: Context) -> Iterator[Check]:
    for device in dict.fromkeys(each.device for each in found):
        yield from next(each for each in found if each.device == device).verdict(ctx)


@dataclass(frozen=True)
class Graphics:
    """The graphics of a service on a NAS.

    Parameters
    ----------
    lab, nas, service
        The lab, the machine, and the service.
    device
        The card; empty for the processor's own graphics.
    """

    lab: Lab
    nas: Host
    service: Service
    device: str

    @classmethod
    def of(cls, lab: Lab, service: Service) -> "Graphics | None":
        """Those of a service: the first graphics card that it names, else the processor's; None
        where its machine has none, or is no TrueNAS."""
        nas = lab.hosts.get(service.runs_on or "")
        if nas is None or nas.os.kind != "truenas":
            return None
        named = [place.partition(".")[2] for place in service.devices]
        card = next((name for name in named if name in nas.gpus), "")
        own = nas.cpu is not None and nas.cpu.graphics is not None
        return cls(lab, nas, service, card) if card or own else None

    @property
    def title(self) -> str:
        """What it is called."""
        if self.device:
            return self.nas.gpus[self.device].title
        return f"the graphics of the {self.nas.processor}"

    @property
    def decodes(self) -> tuple[str, ...]:
        """Codecs that it reads, by the catalog."""
        return self._part.decodes if self._part else ()

    @property
    def encodes(self) -> tuple[str, ...]:
        """Codecs that it writes, by the catalog."""
        return self._part.encodes if self._part else ()

    @property
    def _part(self) -> GpuPart | CpuPart | None:
        return self.nas.gpus[self.device] if self.device else self.nas.cpu

    @property
    def by_vaapi(self) -> bool:
        """Whether its driver is one that VAAPI speaks to; NVIDIA's is not."""
        return not self.device or self.nas.gpus[self.device].vendor != "NVIDIA"

    @property
    def place(self) -> str:
        """What the design's figures call it."""
        return f"{self.nas.name}.{self.device or 'cpu'}"

    def slot(self, ctx: Context) -> str:
        """Its place on the bus; empty where it is not seen."""
        there = cards(ctx.host(self.nas.name))
        known = fitted(self.lab, self.nas.name, there)
        if self.device:
            card = known[self.device]
            return card.slot if card else ""
        own = [card for card in there if card.graphics and card not in known.values()]
        return own[0].slot if own else PROCESSORS_OWN

    def node(self, ctx: Context) -> str:
        """The node that programs render by; empty for none."""
        slot = self.slot(ctx)
        return render_node(ctx.host(self.nas.name), slot) if slot else ""

    def verdict(self, ctx: Context) -> Iterator[Check]:
        """Whether the card can be used, and what to do where it can't."""
        host, part = ctx.host(self.nas.name), self.nas.gpus[self.device]
        card = fitted(self.lab, self.nas.name, cards(host))[self.device]
        if card is None:
            yield Check(self._go("is seen"), False, f"nothing like it on the bus. {self._back}")
            return
        yield self._kernel(part, kernel(host))
        says = card.driver or f"none has taken it. {self._back}"
        yield Check(self._go("has a driver"), bool(card.driver), says)
        whole = not part.needs_resizable_bar or card.small_bar is None
        says = "its memory is seen whole" if whole else (
            "a transcoder dies of a bus error without: switch on Above 4G Decoding and Resizable "
            f"BAR in the firmware; a bridge in front of it may hold it back, too. {self._back}"
        )  # fmt: skip
        yield Check(self._go("has Resizable BAR"), whole, says)
        if not self.by_vaapi:
            return
        node = self.node(ctx)
        says = f"{node} (pci-{card.slot}-render)" if node else f"it has none. {self._back}"
        yield Check(self._go("has a node to render by"), bool(node), says)

    def _kernel(self, part: GpuPart, running: tuple[int, ...]) -> Check:
        shown = ".".join(map(str, running))
        if part.min_kernel is None:
            return Check(self._go("is known to the kernel"), True, f"Linux {shown}")
        needed = tuple(int(word) for word in part.min_kernel.split("."))
        says = f"Linux {shown}, and it needs {part.min_kernel}"
        fix = "" if running >= needed else f": update the NAS first. {self._back}"
        return Check(self._go("is known to the kernel"), running >= needed, says + fix)

    def _go(self, what: str) -> str:
        return f"{self.device} of {self.nas.name} {what}"

    @property
    def _back(self) -> str:
        """The way back, where there is one."""
        cpu = self.nas.cpu
        if cpu is None or cpu.graphics is None:
            return "No go: there are no other graphics in this machine"
        return (
            f"No go: to go back to the {cpu.title}'s own graphics, take {self.nas.name}."
            f"{self.device} out of services.{self.service.name}.devices"
        )
