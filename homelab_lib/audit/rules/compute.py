"""Memory and threads promised twice, and cards that reach no machine, or two."""

from collections.abc import Iterator, Sequence

from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.lab.called import devices
from homelab_lib.lab.devices import AcceleratorPart, GpuPart
from homelab_lib.lab.guests import Reservation, Vm
from homelab_lib.lab.host import Device, Host
from homelab_lib.lab.lab import Lab
from homelab_lib.wiring.memory import Promises, promises

GIB = 2**30


def _rooms(lab: Lab) -> Iterator[tuple[Host, Promises]]:
    """What promises leave of the hosts that promise something, where it is known what they have."""
    for name, host in lab.hosts.items():
        given = promises(lab, host) if lab.promised(name) else None
        if given is not None:
            yield host, given


@rule("memory-sold-twice")
def memory_left(lab: Lab) -> Iterator[Finding]:
    """More memory promised to VMs, reservations and the ZFS cache than the host sees."""
    for host, given in _rooms(lab):
        room = given.room
        if room.left_bytes >= 0:
            continue
        promised = room.guests_bytes + room.host_bytes
        yield Finding(
            "memory-sold-twice",
            "risks",
            f"hosts.{host.name}.memory",
            f"{host.name} sees {room.memory_bytes / GIB:.1f} GiB of its "
            f"{(host.memory_bytes or 0) / GIB:g} GiB, and {promised / GIB:.1f} GiB are promised: "
            f"{-room.left_bytes / GIB:.1f} GiB too many.",
            room.left_bytes,
            "B",
            (
                f"VMs, and what is kept for others, with QEMU's own share: "
                f"{room.guests_bytes / GIB:.1f} GiB, of which "
                f"{room.pinned_bytes / GIB:.1f} GiB are pinned for passed-through cards.",
                f"Containers, the host and its ZFS cache of {given.arc_bytes / GIB:.1f} GiB: "
                f"{room.host_bytes / GIB:.1f} GiB.",
                "Visible: installed less 2.5 % [one X870 board]; the cache: Proxmox VE's default, "
                "a tenth, at most 16 GiB [Administration Guide, Limit ZFS Memory Usage].",
            ),
            _smaller(lab, host, -room.left_bytes),
        )


def _smaller(lab: Lab, host: Host, excess_bytes: int) -> Fix:
    """The largest reservation made smaller, or the largest VM."""
    kept = [each for each in lab.reservations.values() if each.host == host.name]
    guests = [vm for vm in lab.vms.values() if vm.host == host.name]
    rooms: tuple[tuple[str, Sequence[Reservation | Vm], float], ...] = (
        ("reservations", [each for each in kept if not each.for_host], 1.05),
        ("vms", guests, 1.05),
    )
    for room, entries, share in rooms:
        if not entries:
            continue
        largest = max(entries, key=lambda each: each.memory_bytes)
        size = int((largest.memory_bytes - excess_bytes / share) // GIB)
        if size >= 1:
            path = f"{room}.{largest.name}.memory_bytes"
            return Fix(f"{size} GiB for {largest.name}", changes=((path, size * GIB),))
    return Fix("more memory, or fewer VMs")


@rule("threads-sold-twice")
def threads_left(lab: Lab) -> Iterator[Finding]:
    """More virtual CPUs promised than the host has threads, or one VM wider than the host."""
    for host, given in _rooms(lab):
        room = given.room
        widest = max((guest.vcpu for guest in lab.guests(host.name)), default=0)
        if room.vcpu <= room.threads and widest <= room.threads:
            continue
        yield Finding(
            "threads-sold-twice",
            "stops" if widest > room.threads else "costs",
            f"hosts.{host.name}.cpu",
            f"{room.vcpu} virtual CPUs are promised on the {room.threads} threads of {host.name}: "
            f"{room.vcpu_ratio:.2f} each.",
            room.vcpu_ratio,
            "vCPU per thread",
            (fact(host.cpu, f"{host.cpu.threads} threads"),) if host.cpu else (),
        )


# Cards -------------------------------------------------------------------------------------------


def users(lab: Lab, device: str) -> list[str]:
    """What a lab means to run on a device, as paths: services, models, allocations.

    Parameters
    ----------
    lab
        The lab.
    device
        The device: ``host.device``.
    """
    found = [f"services.{s.name}" for s in lab.services.values() if device in s.devices]
    found += [f"models.{m.name}" for m in lab.models.values() if device in m.devices]
    found += [f"gpu_allocation.{g.name}" for g in lab.gpu_allocation.values() if g.device == device]
    return found


@rule("card-without-vm")
def cards_are_reached(lab: Lab) -> Iterator[Finding]:
    """A card in a hypervisor that is to be used, and that no VM gets."""
    for host in lab.hosts.values():
        if host.os.kind != "proxmox":
            continue
        guests = [vm for vm in lab.vms.values() if vm.host == host.name]
        given = {name for vm in guests for name in vm.gpus}
        for device in host.devices.values():
            wanted = users(lab, f"{host.name}.{device.name}")
            if device.name in given or not wanted:
                continue
            if not isinstance(device.part, GpuPart | AcceleratorPart):
                continue
            yield Finding(
                "card-without-vm",
                "stops",
                f"hosts.{host.name}.devices.{device.name}",
                f"No VM of {host.name} gets the {device.part.title}, and it is to be used by "
                f"{', '.join(wanted)}.",
                evidence=tuple(f"{vm.name}: {', '.join(vm.gpus) or 'no card'}" for vm in guests),
                fix=_into_vm(lab, host, device),
            )


def _runtime(device: Device) -> tuple[str, ...]:
    """What one computes with on a card; nothing on any other device that a VM may be given."""
    part = device.part
    return part.runtimes[:1] if isinstance(part, GpuPart | AcceleratorPart) else ()


def _into_vm(lab: Lab, host: Host, device: Device) -> Fix:
    """Into a VM whose cards have the same runtime; else into the one with the fewest."""

    def strangers(vm: Vm) -> tuple[int, int]:
        runtimes = {_runtime(host.devices[name]) for name in vm.gpus}
        return len(runtimes - {_runtime(device)}), len(vm.gpus)

    cluster_nodes = {node for c in lab.clusters.values() for node in c.agents}
    able = [vm for vm in lab.vms.values() if vm.host == host.name]
    able = [vm for vm in able if vm.name in cluster_nodes or not cluster_nodes] or able
    if not able:
        return Fix("a VM for it, or leave it out")
    vm = min(able, key=strangers)
    changes = ((f"vms.{vm.name}.gpus", [*vm.gpus, device.name]),)
    return Fix(f"pass it through to {vm.name}, or make a VM for it", changes=changes)


@rule("card-in-two-vms")
def cards_given_once(lab: Lab) -> Iterator[Finding]:
    """A card that two VMs are to have: only one of them can run."""
    owners: dict[str, list[str]] = {}
    for vm in lab.vms.values():
        for name in vm.gpus:
            owners.setdefault(f"{vm.host}.{name}", []).append(vm.name)
    for device, names in owners.items():
        if len(names) > 1:
            host, _, name = device.partition(".")
            left = [each for each in lab.vms[names[-1]].gpus if each != name]
            yield Finding(
                "card-in-two-vms",
                "stops",
                f"hosts.{host}.devices.{name}",
                f"{' and '.join(names)} both get the {devices(lab)[device]}; a card goes to one "
                "VM at a time.",
                len(names),
                "VMs",
                fix=Fix(f"not to {names[-1]}", changes=((f"vms.{names[-1]}.gpus", left),)),
            )
