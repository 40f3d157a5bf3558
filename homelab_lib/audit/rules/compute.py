"""Memory and threads promised twice, cards that reach no machine, supplies that are too small."""

from collections.abc import Iterator, Sequence

from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.lab.devices import AcceleratorPart, AdapterPart, GpuPart
from homelab_lib.lab.guests import Reservation, Vm
from homelab_lib.lab.host import Device, Host
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.platforms import PsuPart, SystemPart
from homelab_lib.models import power
from homelab_lib.wiring.memory import Promises, promises

GIB = 2**30
_SLOT_W = 75.0  # what a PCI Express slot gives a card (CEM 5.0, §4.1)
_SMALL_W = 100.0  # a supply that any shop has; not worth more than a note
_OLD_SUPPLY = 1.3  # excursion that a supply bears that is not known to be ATX 3


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
                f"{' and '.join(names)} both get {device}; a card goes to one VM at a time.",
                len(names),
                "VMs",
                fix=Fix(f"not to {names[-1]}", changes=((f"vms.{names[-1]}.gpus", left),)),
            )


# Power -------------------------------------------------------------------------------------------


def draws(host: Host) -> list[power.Draw]:
    """What each part of a host takes from the host's own supply."""
    board, cpu = host.board, host.cpu
    if board is not None and board.load_power_w is not None:
        found = [power.Draw(board.id, board.idle_power_w or 0.0, *[board.load_power_w] * 2)]
    else:
        load = (cpu.max_power_w or cpu.base_power_w or 0.0) * host.cpu_count if cpu else 0.0
        idle = (board.idle_power_w if board else None) or 0.0
        found = [power.Draw(cpu.id if cpu else "machine", idle, load + idle, load + idle)]
    for device in host.devices.values():
        part = device.part
        if device.psu is not None:
            continue
        if isinstance(part, GpuPart):
            watts = part.board_power_w or 0.0
            peak = part.transient_power_w or power.gpu_peak_w(watts)
            found.append(power.Draw(device.name, part.idle_power_w or 0.0, watts, peak))
        elif watts := getattr(part, "power_w", None):
            found.append(power.Draw(device.name, watts, watts, watts))
    disks = [disk.part for disk in host.disks.values() if disk.part.active_power_w]
    if disks:
        load = sum(part.active_power_w or 0.0 for part in disks)
        spin = sum(part.spin_up_power_w or part.active_power_w or 0.0 for part in disks)
        found.append(power.Draw("disks", sum(p.idle_power_w or 0.0 for p in disks), load, spin))
    return found


def _needed_w(host: Host) -> float:
    return power.supply_w(power.budget(draws(host)), excursion=_OLD_SUPPLY)


def _evidence(host: Host) -> tuple[str, ...]:
    return tuple(f"{d.name}: {d.load_w:g} W, {d.peak_w:g} W for an instant" for d in draws(host))


def _supply(lab: Lab, watts: float) -> PsuPart | None:
    """The smallest supply of the catalog that is enough, its rating known."""
    known = [p for p in lab.catalog.psus.values() if p.status.get("power_w") != "unverified"]
    able = [psu for psu in known if psu.power_w >= watts]
    return min(able, key=lambda psu: (psu.power_w, psu.id), default=None)


@rule("supply-not-named")
def supply_named(lab: Lab) -> Iterator[Finding]:
    """A machine that needs a supply, and none is named."""
    for host in lab.hosts.values():
        if host.psus or host.board is None:
            continue
        asked = host.board.needs_supply_w
        if asked is None and isinstance(host.board, SystemPart):
            continue  # a whole machine comes with its own
        needed = asked or _needed_w(host)
        psu = None if isinstance(host.board, SystemPart) else _supply(lab, needed)
        low, high = (psu.price.low_usd, psu.price.high_usd) if psu and psu.price else (0.0, 0.0)
        yield Finding(
            "supply-not-named",
            "note" if needed < _SMALL_W else "costs",
            f"hosts.{host.name}",
            f"{host.title} takes a supply of at least {needed:.0f} W, and none is named.",
            needed,
            "W",
            (fact(host.board, f"asks for {asked:g} W"),) if asked else _evidence(host),
            Fix(
                (psu.title if psu else f"a supply of {needed:.0f} W or more")
                + ("" if psu and psu.price else "; the catalog has no price"),
                low,
                high,
                ((f"hosts.{host.name}.psus", [psu.id]),) if psu else (),
            ),
        )


@rule("supply-too-small")
def supply_suffices(lab: Lab) -> Iterator[Finding]:
    """A supply that does not bear what hangs on it: of a machine, or of one card outside."""
    for host in lab.hosts.values():
        if host.psus:
            needed = max(_needed_w(host), host.board.needs_supply_w or 0 if host.board else 0)
            small = [psu for psu in host.psus if psu.power_w < needed]
            if small:
                enough = [psu.id for psu in host.psus if psu.power_w >= needed]
                better = [psu.id] if (psu := _supply(lab, needed)) else []
                yield _too_small(
                    f"hosts.{host.name}.psus", host.title, small, needed, _evidence(host),
                    enough or better,
                )  # fmt: skip
        for device in host.devices.values():
            card = device.part
            if device.psu is None or not isinstance(card, GpuPart) or not card.board_power_w:
                continue
            watts = card.board_power_w
            peak = power.gpu_peak_w(watts)
            draw = power.Draw(device.name, card.idle_power_w or 0.0, watts, peak)
            needed = power.supply_w(power.budget([draw]), excursion=_OLD_SUPPLY)
            if device.psu.power_w < needed:
                psu = _supply(lab, needed)
                yield _too_small(
                    f"hosts.{host.name}.devices.{device.name}.psu", device.part.title,
                    [device.psu], needed, (fact(device.part, f"{watts:g} W"),), psu and psu.id,
                )  # fmt: skip


def _too_small(
    subject: str,
    what: str,
    small: list[PsuPart],
    needed: float,
    evidence: tuple[str, ...],
    better: object,
) -> Finding:
    return Finding(
        "supply-too-small",
        "risks",
        subject,
        f"{what} takes {needed:.0f} W; {', '.join(p.title for p in small)} gives "
        f"{min(p.power_w for p in small)} W.",
        needed,
        "W",
        evidence,
        Fix(
            f"{needed:.0f} W or more",
            changes=((subject, better),) if better else (),
        ),
    )


@rule("card-without-power")
def cards_powered(lab: Lab) -> Iterator[Finding]:
    """A card that takes more than a slot gives, in a machine without a supply for cards."""
    for host in lab.hosts.values():
        adapters = [d.name for d in host.devices.values() if isinstance(d.part, AdapterPart)]
        for device in host.devices.values():
            card = device.part
            if not isinstance(card, GpuPart):
                continue
            watts = card.board_power_w or 0.0
            outside = (device.slot or "").partition(".")[0] in adapters
            bare = outside or (isinstance(host.board, SystemPart) and not host.psus)
            if device.psu is not None or watts <= _SLOT_W or not bare:
                continue
            psu = _supply(lab, watts / 0.8)
            path = f"hosts.{host.name}.devices.{device.name}"
            yield Finding(
                "card-without-power",
                "stops",
                path,
                f"The {card.title} takes {watts:g} W; a slot gives {_SLOT_W:g} W at most, "
                f"and nothing else of {host.name} feeds it.",
                watts,
                "W",
                (fact(card, f"{watts:g} W by {', '.join(card.power_plugs)}"),),
                Fix(
                    psu.title if psu else "a supply of its own",
                    changes=((f"{path}.psu", psu.id),) if psu else (),
                ),
            )
