"""Cards of Proxmox hosts, passed through to VMs: graphics, HBAs, NVMe drives; the host's side.

The reference that decides what is needed: Proxmox's Administration Guide, "PCI(e) Passthrough", and
what its sources do at a VM's start. AMD's IOMMU is always on, Intel's from Linux 6.8 by itself.
Proxmox takes a card from its driver when the VM starts; only for drivers that don't let go of one
well is it kept from them from the host's start on.
"""

from collections.abc import Iterator, Sequence

from homelab_lib.control.linux import Packages, read_file
from homelab_lib.control.linux.pci import Card
from homelab_lib.control.linux.pci import cards as cards_of
from homelab_lib.control.proxmox.boot_settings import BootSettings
from homelab_lib.control.proxmox.mapping import PciMapping, path_of
from homelab_lib.control.proxmox.needed import needs, slots_of_drives
from homelab_lib.control.proxmox.nics import kernel_numbers, older, running_kernel
from homelab_lib.control.proxmox.passthrough import PassedThrough
from homelab_lib.control.proxmox.pci import (
    HELD,
    NO_GROUP,
    Function,
    consoles,
    driven_cards,
    functions,
    of_slot,
    strangers,
)
from homelab_lib.control.proxmox.starting import trouble
from homelab_lib.errors import StepFailed
from homelab_lib.lab import Lab
from homelab_lib.lab.guests import Vm
from homelab_lib.lab.host import Host
from homelab_lib.recipes.graphics.cards import fitted
from homelab_lib.recipes.graphics.given import Given, given_devices
from homelab_lib.recipes.graphics.restarted import whole
from homelab_lib.recipes.graphics.second_start import SecondStarts
from homelab_lib.recipes.proxmox.virtual_machine import by_cloud_init, node
from homelab_lib.runbook.step import Check, Context, Step, Wanted

MAKES = ("gpu_allocation",)

_KEPT_BACK = ("amdgpu", "nvidia", "mpt3sas", "mpi3mr")
"""Drivers of HBAs, for the host would look for pools on their disks as it boots; and those that
don't let go of a card well: amdgpu also drives the processor's own graphics and so is loaded in any
case, and some kernels don't survive it; NVIDIA's own keeps what it has opened."""
_INTEL_BY_ITSELF = "6.8"
_OLDEST = "6.0"  # before, vfio-pci leaves the firmware's framebuffer on a card
_ADDED_FOR_INTEL = "intel_iommu=on"


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The steps of the cards that a phase passes through; none where it passes none.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        Something of it can't be made: its key and what to do.
    """
    parts = [
        Passthrough(lab, host, given)
        for host in lab.hosts.values()
        if (given := given_devices(lab, host, phase))
    ]
    for part in parts:
        yield from part.steps(f"-{part.host.name}" if len(parts) > 1 else "")


class Passthrough:
    """The cards of one host; see `steps`."""

    def __init__(self, lab: Lab, host: Host, given: Sequence[Given]) -> None:
        self.lab = lab
        self.host = host
        self.node = node(lab, host.name)
        self.given = given
        self.vms = list({each.vm.name: each.vm for each in given}.values())

    def steps(self, end: str) -> Iterator[Step]:
        """Look, settle with the kernel, name the cards, give them away, try a second start."""
        called = ", ".join(each.device for each in self.given)
        yield Step(
            f"groups{end}",
            f"Look at {called} of {self.node}, and at what would go along with them",
            why="When a VM starts with a card, Proxmox takes everything in that card's IOMMU group "
            "from the host, be it the network card by which you come. So each card has to be in a "
            "group of its own; and it must not be the one that the host's console is on.",
            check=self.may_be_given,
        )
        yield Step(
            f"boot{end}",
            f"Have the kernel of {self.node} leave the cards alone",
            why="Only what these cards need: an option where the IOMMU is not on by itself, and "
            "vfio-pci for cards whose driver would not let go of them. Options are added and never "
            "taken away. It counts after a restart; before it, the kernel that runs is pinned, "
            "since it is known to start, and stays so until you unpin it (proxmox-boot-tool kernel "
            "unpin). The host's guests are shut down by it; those that start with it come back.",
            needs=(f"groups{end}",),
            ensure=self.boot,
            check=self.kept,
        )
        yield Step(
            f"mappings{end}",
            f"Give the cards of {self.node} names that hold",
            why="A number on the bus moves when a card is added. A mapping has what the card is "
            "beside where it is, and a VM that would get something else does not start. What is on "
            "the bus is looked at anew, after the restart.",
            needs=(f"boot{end}",),
            ensure=self.mappings,
        )
        yield Step(
            f"passthrough{end}",
            f"Give {', '.join(vm.name for vm in self.vms)} "
            f"{'its' if len(self.vms) == 1 else 'their'} card{'s' * (len(self.given) != 1)}",
            why="A VM takes a card when it starts, so each is shut down once and started. All of "
            "its memory is pinned from then on. It does not start with the host any more, until "
            "its card has come back from a second start.",
            needs=(f"mappings{end}",),
            ensure=self.passthrough,
            check=self.seen,
        )
        second = SecondStarts(
            self.lab, self.host.name, self.node, self.vms, self._device_ids, self._inside
        )
        yield second.step(end, self.seen)

    # ------------------------------------------------------------------ looking

    def _cards(self, ctx: Context) -> dict[str, Card]:
        """The card on the bus that each device is.

        Raises
        ------
        StepFailed
            One is not there.
        """
        on_bus = cards_of(ctx.host(self.host.name))
        seen = fitted(self.lab, self.host.name, on_bus) | self._drives(ctx, on_bus)
        found = {}
        for each in self.given:
            card = seen.get(each.device)
            if card is None:
                part = self.host.passable[each.device].part
                raise StepFailed(
                    f"{each.device} ({part.title}) is not on the bus of {self.host.name}",
                    where=self.host.name,
                    fix="see that it is seated and powered (lspci -nn); then run this again",
                )
            found[each.device] = card
        return found

    def _drives(self, ctx: Context, on_bus: Sequence[Card]) -> dict[str, Card]:
        """The card that each NVMe drive is. By its serial number; which the host can't read once a
        VM has it: then it is what the VM's mapping leads to, and vfio-pci holds."""
        host = ctx.host(self.host.name)
        drives = [each for each in self.given if each.device not in self.host.devices]
        serials = {each.device: self.host.disks[each.device].serial or "" for each in drives}
        seen = slots_of_drives(host, self.node, [*serials.values()]) if drives else {}
        found = {}
        for each in drives:
            slot = seen.get(serials[each.device])
            place = slot or path_of(host, self.node, each.mapping)
            for card in on_bus:
                if card.slot == f"{place}.0" and (slot or card.driver == HELD):
                    found[each.device] = card
        return found

    def _options(self, ctx: Context, every: Sequence[Function]) -> tuple[str, ...]:
        """What the kernel has to be told to have an IOMMU at all; what it was told by us stays."""
        host = ctx.host(self.host.name)
        intel = self.host.cpu is not None and "Intel" in self.host.cpu.title
        if not intel or not older(running_kernel(host), _INTEL_BY_ITSELF):
            return ()
        told = _ADDED_FOR_INTEL in read_file(host, "/proc/cmdline").split()
        off = all(each.group == NO_GROUP for each in every)
        return (_ADDED_FOR_INTEL,) if told or off else ()

    def may_be_given(self, ctx: Context) -> Iterator[Check]:
        """An IOMMU, a kernel that is not too old, and for each card: no console, no company."""
        host = ctx.host(self.host.name)
        every, kernel = functions(host, self.node), running_kernel(host)
        fits = kernel_numbers(kernel) >= kernel_numbers(_OLDEST)
        old = f"it runs {kernel}: install a newer one, and restart {self.host.name}"
        yield Check(f"the kernel of {self.node} is new enough", fits, kernel if fits else old)
        on = any(each.group != NO_GROUP for each in every)
        added = self._options(ctx, every)
        says = "it is on" if on else f"off; {' '.join(added)} is added" if added else _OFF
        yield Check(f"{self.node} has an IOMMU", on or bool(added), says)
        where = consoles(host, every)
        slots = {name: card.slot.rpartition(".")[0] for name, card in self._cards(ctx).items()}
        needed = needs(host, self.node, slots.values())
        for device, slot in slots.items():
            title = f"{device} at {slot} is not the host's console"
            says = f"{where.get(slot, '')}: have the firmware start with another card's picture " \
                "(primary display: the processor's own)"  # fmt: skip
            yield Check(title, slot not in where, says if slot in where else "another card is")
            yield self._unused(device, slot, needed[slot])
            yield self._alone(device, slot, every)

    def _unused(self, device: str, slot: str, needed: Sequence[str]) -> Check:
        """Nothing that the host lives on hangs on it, whatever the lab says."""
        says = f"it would lose {'; '.join(needed)}" if needed else "nothing of its own hangs on it"
        return Check(f"{self.node} can do without {device} at {slot}", not needed, says)

    def _alone(self, device: str, slot: str, every: Sequence[Function]) -> Check:
        others = strangers(every, slot)
        groups = sorted({f.group for f in of_slot(every, slot)} - {NO_GROUP})
        says = f"group {', '.join(map(str, groups)) or 'none yet'}"
        if others:
            says += (
                f" has {'; '.join(map(str, others))} besides: the host would lose that. Another "
                "slot may have a group of its own (one of the processor's lanes, not the "
                "chipset's); pcie_acs_override would split the group and keep nothing apart, so "
                "it is not set here"
            )
        return Check(f"{device} is alone in its IOMMU group", not others, says)

    # --------------------------------------------------------------------- boot

    def boot(self, ctx: Context) -> Iterator[Wanted]:
        """Options and cards to keep back, where any are needed."""
        host = ctx.host(self.host.name)
        every, cards = functions(host, self.node), self._cards(ctx)
        slots = {card.slot.rpartition(".")[0] for card in cards.values()}
        ours = [each for each in every if each.slot in slots]
        kept = {each.slot for each in ours if {*each.modules, each.driver} & set(_KEPT_BACK)}
        back = [each for each in ours if each.slot in kept]
        ids = tuple(dict.fromkeys(each.id for each in back))
        options = self._options(ctx, every)
        if not ids and not options:
            return
        alike = [each for each in every if each.id in ids and each.slot not in slots]
        if alike:
            raise StepFailed(
                f"{alike[0]} is of the same kind as a card that is kept for a VM, and is to stay "
                "with the host: vfio-pci is told kinds, and would keep it too",
                where=self.host.name,
                fix="pass that card through as well, or put in one of another kind",
            )
        yield BootSettings(
            self.host.name,
            self.node,
            options,
            ids,
            tuple(sorted({m for each in back for m in each.modules if m != HELD})),
            lab=self.lab.name,
        )

    def kept(self, ctx: Context) -> Iterator[Check]:
        """There is an IOMMU, and each card is alone, with the settings in force; and all else is
        back, too."""
        host = ctx.host(self.host.name)
        yield from whole(host, self.node, self.host)
        every = functions(host, self.node)
        on = any(each.group != NO_GROUP for each in every)
        yield Check(f"{self.node} has an IOMMU", on, "" if on else _OFF)
        for device, card in self._cards(ctx).items():
            yield self._alone(device, card.slot.rpartition(".")[0], every)

    # ----------------------------------------------------------------- mappings

    def mappings(self, ctx: Context) -> Iterator[Wanted]:
        """A mapping for each card, by what is on the bus now."""
        every = functions(ctx.host(self.host.name), self.node)
        cards = self._cards(ctx)
        for each in self.given:
            slot = cards[each.device].slot.rpartition(".")[0]
            first = next((f for f in every if f.address == f"{slot}.0"), None)
            if first is None or first.group == NO_GROUP:
                raise StepFailed(
                    f"{each.device} at {slot} is in no IOMMU group", where=self.host.name, fix=_OFF
                )
            yield PciMapping(
                self.host.name,
                self.node,
                each.mapping,
                slot,
                first.id,
                first.subsystem,
                first.group,
                self.lab.name,
            )

    # -------------------------------------------------------------- passthrough

    def _device_ids(self, ctx: Context, vm: Vm) -> tuple[str, ...]:
        cards = self._cards(ctx)
        return tuple(cards[each.device].id for each in self.given if each.vm is vm)

    def passthrough(self, ctx: Context) -> Iterator[Wanted]:
        """Each VM with its cards, one after the other."""
        for vm in self.vms:
            cards = tuple((e.option, e.value) for e in self.given if e.vm is vm)
            yield PassedThrough(
                vm.host,
                self.node,
                vm.vmid,
                vm.name,
                self.lab.name,
                cards,
                self._device_ids(ctx, vm),
            )
            if self._inside(vm):
                yield Packages(vm.name, ("pciutils",))

    def _inside(self, vm: Vm) -> bool:
        """Whether it can be asked what it sees: one that a person installs need not let us in."""
        return vm.image is None or by_cloud_init(self.lab, vm)

    def seen(self, ctx: Context) -> Iterator[Check]:
        """Each VM sees its cards; the host's kernel has nothing to complain of."""
        for vm in filter(self._inside, self.vms):
            inside = {card.id for card in driven_cards(ctx.host(vm.name))}
            for each in self.given:
                if each.vm is not vm:
                    continue
                part = self.host.passable[each.device].part
                found = inside & set(getattr(part, "pci_ids", ()) or self._device_ids(ctx, vm))
                says = ", ".join(sorted(found)) or "lspci does not show it there"
                yield Check(f"{vm.name} sees {each.device}: {part.title}", bool(found), says)
        said = trouble(ctx.host(self.host.name))
        title = f"the kernel of {self.node} does not complain of its cards"
        yield Check(title, not said, "; ".join(said[-3:]))


_OFF = (
    "it is off: switch it on in the firmware (AMD: IOMMU, and SVM; Intel: VT-d), and take "
    "iommu=off off the kernel's command line if it is there"
)
