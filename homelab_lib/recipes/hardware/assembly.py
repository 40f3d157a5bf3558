"""What is bought and put together by hand, and what a machine can tell of it."""

from collections.abc import Iterator, Sequence

from homelab_lib.control.linux import Packages
from homelab_lib.lab import Lab
from homelab_lib.lab.cabling import CablePart, SwitchPart, TransceiverPart
from homelab_lib.lab.devices import AdapterPart, GpuPart
from homelab_lib.lab.host import Host
from homelab_lib.lab.platforms import AccessoryPart, PsuPart
from homelab_lib.lab.project import Purchase
from homelab_lib.recipes.hardware.parts import Parts
from homelab_lib.runbook.step import Check, Context, Manual, Step, Wanted

MAKES: tuple[str, ...] = ("hosts",)
_UNSEEN = (AccessoryPart, CablePart, PsuPart, SwitchPart, TransceiverPart)
_DEBIAN = ("debian", "ubuntu", "linux")


def steps(lab: Lab, phase: int, hosts: Sequence[str] | None = None) -> Iterator[Step]:
    """What is bought, assembled and looked at in a phase.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.
    hosts
        Which of its hosts; None: those that the phase sets up, but for Proxmox's, which have a
        runbook of their own.
    """
    names = _hosts(lab, phase) if hosts is None else list(hosts)
    if hosts is None and names:
        yield Step(
            "fit",
            "See that the parts fit each other before anything is bought",
            why="A processor goes into its own socket, and a board takes one kind of memory. What "
            "the data sheets say costs nothing to look at, and a wrong part costs a month.",
            check=lambda ctx: _fit([lab.hosts[name] for name in names]),
        )
    if hosts is None:
        yield from _purchases(lab, phase)
    for name in names:
        yield from _host(lab, lab.hosts[name])


def _hosts(lab: Lab, phase: int) -> list[str]:
    return [
        name
        for name, host in lab.hosts.items()
        if host.phase == phase and host.os.kind != "proxmox"
    ]


def _fit(hosts: Sequence[Host]) -> Iterator[Check]:
    """Sockets, and the kind and number of memory modules."""
    for host in hosts:
        board, cpu = host.board, host.cpu
        if board is None:
            continue
        if cpu is not None and cpu.socket and board.socket:
            title = f"the processor of {host.name} fits its board"
            says = f"{cpu.title} has socket {cpu.socket}, the {board.title} has {board.socket}"
            yield Check(title, cpu.socket == board.socket, says)
        if board.memory_type and host.memory:
            wrong = [e.part.title for e in host.memory if e.part.type != board.memory_type]
            count = sum(each.count for each in host.memory if each.part.form != "soldered")
            title = f"the memory of {host.name} fits its board"
            says = f"the {board.title} takes {board.memory_type}"
            if board.memory_slots is not None:
                says += f" in {board.memory_slots} slots"
            says += f"; there are {count} modules" + (f", and {', '.join(wrong)}" if wrong else "")
            places = board.memory_slots is None or count <= board.memory_slots
            yield Check(title, not wrong and places, says)


# Purchases ---------------------------------------------------------------------------------------


def _purchases(lab: Lab, phase: int) -> Iterator[Step]:
    """One step for all that no machine can tell of."""
    signed = [each for each in bought(lab, phase) if not seen(each)]
    if not signed:
        return
    lines = [
        f"{each.title}: {each.purpose}" + (", if it is needed" if each.optional else "")
        for each in signed
    ]
    yield Step(
        "purchases",
        "Have at hand what no machine can tell of",
        why="Cables, cases and switches say nothing of themselves, so a person signs for them. "
        "What goes into a machine is looked at there, after it is assembled.",
        manual=Manual(_list("buy, and have at hand:", lines)),
    )


def bought(lab: Lab, phase: int) -> list[Purchase]:
    """What a phase needs of the shopping list: what goes into its hosts; and what goes into none,
    or into one that stands already, in the lab's first phase."""
    first = lab.phases[0].number if lab.phases else phase

    def needed_in(each: Purchase) -> int:
        places = [place.partition(".")[0] for place in each.used_in]
        phases = [lab.hosts[name].phase for name in places if name in lab.hosts]
        return min((number for number in phases if number is not None), default=first)

    return [each for each in lab.purchases if needed_in(each) == phase]


def seen(purchase: Purchase) -> bool:
    """Whether a machine can tell that it is there."""
    return purchase.part is not None and not isinstance(purchase.part, _UNSEEN)


def _list(head: str, lines: Sequence[str]) -> str:
    return "\n".join([head, *(f"      [ ] {line}" for line in lines)])


# Hosts -------------------------------------------------------------------------------------------


def _host(lab: Lab, host: Host) -> Iterator[Step]:
    """A checklist to sign, and what the machine itself says."""
    yield Step(
        f"build-{host.name}",
        f"Assemble {host.title}",
        why="What only hands and eyes can do: parts into their places, the firmware's settings, a "
        "test of the memory. The step after this one asks the machine what it sees.",
        manual=Manual(_list(f"assemble {host.title}, and see to:", checklist(host))),
    )
    if host.name not in lab.machines() or host.standalone or not host.os.driven:
        return
    parts = Parts(lab, host)
    yield Step(
        f"parts-{host.name}",
        f"See that {host.title} is built of what the lab describes",
        why="The machine is asked for its processor, its memory and how fast it runs, its cards "
        "with the width and rate of their links, and its drives by serial number. What came up "
        "narrower or slower than the models predict is said with both numbers.",
        needs=(f"build-{host.name}",),
        manual=Manual(
            f"install {host.os.title or host.os.kind} on {host.title}, and let us in as "
            f"{host.ssh.user if host.ssh else 'root'} over SSH",
            verify=parts.processor,
        ),
        ensure=lambda ctx: _lookers(host, ctx),
        check=parts.checks,
        measure=parts.measurements,
    )


def _lookers(host: Host, ctx: Context) -> Iterator[Wanted]:
    """What a Debian is looked at with; an appliance has it."""
    if host.os.kind in _DEBIAN:
        yield Packages(host.name, ("dmidecode", "pciutils"))


def checklist(host: Host) -> list[str]:
    """What a person sees to on a host, a line each."""
    return [*_parts(host), *_firmware(host)]


def _parts(host: Host) -> Iterator[str]:
    if host.board is not None and host.cpu is not None and host.cpu.socket:
        where = f"the {host.board.socket} socket of the {host.board.title}"
        yield f"{host.cpu.title} into {where}, with its cooler"
    for each in host.memory:
        if each.part.form != "soldered":
            yield f"{each.count} × {each.part.title} into the slots that the manual names"
    for name, device in host.devices.items():
        where = f" into {device.slot}" if device.slot else ""
        power = getattr(device.part, "power_plugs", ())
        plugs = f", power: {', '.join(power)}" if power else ""
        supply = f", from {device.psu.title}" if device.psu else ""
        yield f"{device.part.title} ({name}){where}{plugs}{supply}"
    for name, disk in host.disks.items():
        where = f" into {disk.slot}" if disk.slot else ""
        yield f"{disk.part.title} ({name}, serial {disk.serial or 'not written down'}){where}"


def _firmware(host: Host) -> Iterator[str]:
    """Settings of the firmware, and tests before a system is installed."""
    if host.board is None:
        return
    newest = host.cpu.min_microcode if host.cpu else None
    yield "the newest firmware of the board" + (
        f", with microcode {newest:#x} or later" if newest else ""
    )
    rated = {each.part.speed_mtps for each in host.memory if each.part.form in ("UDIMM", "SO-DIMM")}
    if rated - {None} and host.board.socket:
        yield f"firmware: XMP or EXPO on, for {max(filter(None, rated))} MT/s"
    for name, device in host.devices.items():
        if isinstance(device.part, AdapterPart) and device.part.needs_mode and device.slot:
            yield f"firmware: {device.slot} split as {device.part.needs_mode}, for {name}"
    cards = [d.part for d in host.devices.values() if isinstance(d.part, GpuPart)]
    if any(card.needs_resizable_bar for card in cards):
        yield "firmware: Above 4G Decoding and Resizable BAR on"
    yield "firmware: start again after a power cut"
    if sum(each.count for each in host.memory) >= _MANY_MODULES:
        yield "memtest86+: one whole pass without an error"


_MANY_MODULES = 4  # on two channels they often train at less than they are rated for
