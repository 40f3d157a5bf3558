"""What a board, a case and a supply take: processors, memory modules, cards and their plugs."""

from collections import Counter
from collections.abc import Iterator

from homelab_lib.audit.assumptions import assumptions
from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.lab.devices import GpuPart
from homelab_lib.lab.host import Host
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.pools import Pool
from homelab_lib.units import format_ibytes

_NEW_PLUGS = ("12VHPWR", "12V-2x6", "16-pin")  # one plug, by three names


def _modules(host: Host) -> int:
    return sum(each.count for each in host.memory if each.part.form != "soldered")


@rule("processor-does-not-fit")
def sockets(lab: Lab) -> Iterator[Finding]:
    """A processor for another socket, or more of them than the board has sockets."""
    for host in lab.hosts.values():
        board, cpu = host.board, host.cpu
        if board is None or cpu is None:
            continue
        other = board.socket and cpu.socket and board.socket != cpu.socket
        if not other and host.cpu_count <= board.sockets:
            continue
        yield Finding(
            "processor-does-not-fit",
            "stops",
            f"hosts.{host.name}.cpu",
            f"{cpu.title} is for {cpu.socket}, and {board.title} has {board.socket}."
            if other
            else f"{host.cpu_count} processors are written down, and {board.title} takes "
            f"{board.sockets}.",
            host.cpu_count,
            "processors",
            (fact(cpu, f"socket {cpu.socket}"), fact(board, f"socket {board.socket}")),
        )


@rule("memory-does-not-fit")
def memory_fits(lab: Lab) -> Iterator[Finding]:
    """Memory of another kind than the board takes, more modules than places, or too much."""
    for host in lab.hosts.values():
        board = host.board
        if board is None or not host.memory:
            continue
        path = f"hosts.{host.name}.memory"
        for index, each in enumerate(host.memory):
            if board.memory_type and each.part.type != board.memory_type:
                yield Finding(
                    "memory-does-not-fit",
                    "stops",
                    f"{path}.{index}",
                    f"{each.part.title} is {each.part.type}, and {board.title} takes "
                    f"{board.memory_type}.",
                    evidence=(fact(each.part, each.part.type), fact(board, board.memory_type)),
                )
        count = _modules(host)
        if board.memory_slots is not None and board.memory_slots < count:
            yield Finding(
                "memory-does-not-fit",
                "stops",
                path,
                f"{count} modules are written down, and {board.title} has places for "
                f"{board.memory_slots}.",
                count,
                "modules",
                (fact(board, f"{board.memory_slots} places"),),
            )
        cpu, total = host.cpu, host.memory_bytes or 0
        for maker in (board, cpu):
            most = maker.memory_max_bytes if maker else None
            if maker is None or most is None or total <= most:
                continue
            promised = maker is cpu and (board.memory_max_bytes or 0) >= total
            yield Finding(
                "memory-does-not-fit",
                "note" if promised else "risks",
                path,
                f"{format_ibytes(total)} are written down; by its maker {maker.title} takes "
                f"{format_ibytes(most)}"
                + (f", and {board.title} more by its own." if promised else "."),
                total,
                "B",
                (fact(maker, f"at most {format_ibytes(most)}"),),
            )


@rule("memory-slower-than-rated")
def memory_speed(lab: Lab) -> Iterator[Finding]:
    """Modules that the board runs slower than they can, since there are so many of them."""
    for host in lab.hosts.values():
        board, rated = host.board, [each.part.speed_mtps for each in host.memory]
        if board is None or not rated or None in rated:
            continue
        least, count = min(each for each in rated if each is not None), _modules(host)
        known = [each for each in board.memory_speeds if each.modules == count]
        if not known or all(each.speed_mtps >= least for each in known):
            continue
        slow = min(known, key=lambda each: each.speed_mtps)
        fast = max(known, key=lambda each: each.speed_mtps)
        seen = f", {fast.speed_mtps} measured" if fast is not slow else ""
        seen += " (unverified)" if board.status.get("memory_speeds") == "unverified" else ""
        fewer = [e for e in board.memory_speeds if e.modules < count]
        better = max(fewer, key=lambda each: each.speed_mtps, default=None)
        yield Finding(
            "memory-slower-than-rated",
            "note",
            f"hosts.{host.name}.memory",
            f"With {count} modules {board.title} runs memory at {slow.speed_mtps} MT/s"
            f"{' by its maker' if slow.official else ''}{seen}; the modules are rated {least}.",
            slow.speed_mtps,
            "MT/s",
            (fact(board, f"{count} modules: {slow.speed_mtps} MT/s"),),
            Fix(f"{better.modules} larger modules: {better.speed_mtps} MT/s") if better else None,
            assumptions(lab, [f"hosts.{host.name}.memory"]),
        )


def _guards(lab: Lab, host: Host) -> list[Pool]:
    """The pools of a host that are to survive a lost disk: what is worth keeping is there."""
    return [pool for pool in lab.pools.get(host.name, {}).values() if pool.failures]


@rule("memory-without-ecc")
def memory_corrected(lab: Lab) -> Iterator[Finding]:
    """A machine that keeps data redundantly, and whose memory corrects no errors."""
    for host in lab.hosts.values():
        kept = _guards(lab, host)
        if not kept or not host.memory or all(each.part.ecc for each in host.memory):
            continue
        able = host.cpu.ecc if host.cpu else None
        can = {True: "it could have", False: "it can't have", None: "whether it can have"}[able]
        yield Finding(
            "memory-without-ecc",
            "note",
            f"hosts.{host.name}.memory",
            f"{', '.join(pool.name for pool in kept)} of {host.name} survives lost disks; a "
            f"flipped bit in memory is written to all of them. {can.capitalize()} ECC memory"
            f"{' is not known' if able is None else ''}.",
            evidence=tuple(fact(each.part, "no ECC") for each in host.memory if not each.part.ecc),
        )


@rule("plugs-missing")
def cards_plugged(lab: Lab) -> Iterator[Finding]:
    """Cards that ask for more power plugs than the supply has; a 12VHPWR may come by an adapter
    from two 8-pin plugs or more."""
    for host in lab.hosts.values():
        cards = [d.part for d in host.devices.values() if d.psu is None]
        wanted = Counter(
            "12VHPWR" if plug in _NEW_PLUGS else "8-pin"
            for card in cards
            if isinstance(card, GpuPart)
            for plug in card.power_plugs
        )
        for psu in host.psus if wanted else ():
            if psu.pcie_8pin is None:
                continue
            by_adapter = max(wanted["12VHPWR"] - bool(psu.has_12vhpwr), 0)
            needed = wanted["8-pin"] + 2 * by_adapter
            if needed <= psu.pcie_8pin:
                continue
            yield Finding(
                "plugs-missing",
                "stops",
                f"hosts.{host.name}.psus",
                f"The cards of {host.name} take {needed} plugs with 8 pins"
                f"{', two of them for each 12VHPWR' if by_adapter else ''}; {psu.title} has "
                f"{psu.pcie_8pin}.",
                needed,
                "plugs",
                (fact(psu, f"{psu.pcie_8pin} plugs with 8 pins"),),
                Fix("a supply with more plugs; never two cards on one cable"),
            )


@rule("card-longer-than-case")
def cards_in_their_case(lab: Lab) -> Iterator[Finding]:
    """A card that is longer than its machine's case takes."""
    for host in lab.hosts.values():
        case, slots = host.case, host.board.slots if host.board else {}
        if case is None or case.max_gpu_length_mm is None:
            continue
        room = case.max_gpu_length_mm
        for device in host.devices.values():
            card = device.part
            if not isinstance(card, GpuPart) or device.slot not in slots:
                continue  # on a cable, it lies outside
            if (card.length_mm or 0) <= room:
                continue
            yield Finding(
                "card-longer-than-case",
                "stops",
                f"hosts.{host.name}.devices.{device.name}",
                f"{card.title} is {card.length_mm:g} mm long, and {case.title} takes {room:g} mm.",
                card.length_mm,
                "mm",
                (fact(card, f"{card.length_mm:g} mm"), fact(case, f"cards up to {room:g} mm")),
                Fix("a shorter maker's card of this kind, or another case"),
            )
