"""Checks of links: what PCI Express gives, what a cable negotiates, which chip a board has."""

from collections.abc import Sequence

from homelab_lib.audit.checks import About, CannotTell, Outcome, check, wanted
from homelab_lib.audit.checks.facts import matching, quantity
from homelab_lib.audit.finding import Finding
from homelab_lib.lab.lab import Lab
from homelab_lib.models.pcie import TrainedLink
from homelab_lib.units import format_bps
from homelab_lib.wiring.pcie_link import MPS_BYTES, carries
from homelab_lib.wiring.pcie_tree import Leaf, leaves

_GIGA = 1e9


def leaf_of(lab: Lab, device: str) -> tuple[Leaf, TrainedLink]:
    """Where ``host.device`` is on its host's bus, and what its link trains to.

    Raises
    ------
    CannotTell
        There is no such device, or a hop of its link is not known.
    """
    host, _, name = device.partition(".")
    if host not in lab.hosts:
        raise CannotTell(f"the lab has no host {host!r}")
    found = next((leaf for leaf in leaves(lab, host) if leaf.name == name), None)
    if found is None or found.gets is None:
        raise CannotTell(f"no PCI Express link is known for {device}")
    return found, found.gets


def _payload(link: TrainedLink) -> tuple[float, float]:
    """What a link is sure to carry, and its ceiling [B/s]."""
    low, high = carries(link) or (0.0, 0.0)
    return low * _GIGA / 8, high * _GIGA / 8


@check("pcie-provides")
def provides(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """A device's link gives what it ``provides``, and no less than it ``needs`` where that is said.

    Within 5 % before packet overhead is ``holds-if``: payload is always less.
    """
    leaf, gets = leaf_of(lab, wanted(about, "device"))
    claimed = quantity(wanted(about, "provides"))
    before = gets.raw_gbps * _GIGA / 8
    low, high = _payload(gets)
    says = (
        f"{leaf.title} trains to PCI Express {gets.gen}.0 x{gets.lanes} (held by "
        f"{gets.limited_by}): {before / _GIGA:.2f} GB/s before packet overhead, "
        f"{low / _GIGA:.2f} to {high / _GIGA:.2f} GB/s of payload (MPS {MPS_BYTES}); "
        f"{claimed / _GIGA:g} are said."
    )
    rules = ("link-slower-than-claimed", "link-below-need", "link-below-nic")
    host, _, name = about["device"].partition(".")
    found = matching(findings, rules, f"hosts.{host}.devices.{name}")
    fix = next((each.fix for each in found if each.fix), None)
    need = quantity(about.get("needs", 0))
    if before < 0.95 * claimed or (need and high < need):
        if need:
            says += f" It needs {need / _GIGA:g} GB/s, so there is no headroom."
        return Outcome("fails", says, high, "B/s", rules, fix)
    if low >= 0.95 * claimed:
        return Outcome("holds", says, low, "B/s")
    return Outcome("holds-if", f"If overhead is not counted: {says}", before, "B/s")


def _speeds(lab: Lab, end: str) -> set[int]:
    owner, _, name = end.partition(".")
    machine = lab.hosts.get(owner) or lab.switches.get(owner)
    if machine is None or name not in machine.ports:
        raise CannotTell(f"the lab has no port {end}")
    return set(machine.ports[name].speeds_bps)


@check("link-speed")
def speed(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """The ``cables`` on a way, in order, negotiate no less than is ``claimed``."""
    claimed = quantity(wanted(about, "claimed"))
    known = {cable.name: cable for cable in lab.cables}
    slowest, held, bus = float("inf"), "", ""
    for name in wanted(about, "cables"):
        if name not in known:
            raise CannotTell(f"the lab has no cable {name!r}")
        misfits = matching(findings, ("cable-does-not-fit",), f"cables.{name}")
        if misfits:
            rules = ("cable-does-not-fit",)
            return Outcome("fails", misfits[0].says, 0.0, "bit/s", rules, misfits[0].fix)
        both = _speeds(lab, known[name].a) & _speeds(lab, known[name].b)
        if not both:
            return Outcome("fails", f"The ends of {name} have no speed in common.", 0.0, "bit/s")
        if max(both) < slowest:
            slowest, held = max(both), name
        bus = bus or _held_by_bus(lab, (known[name].a, known[name].b), claimed)
    says = f"{held} negotiates {format_bps(slowest)}; {format_bps(claimed)} are said."
    if slowest < claimed:
        return Outcome("fails", says, slowest, "bit/s")
    if bus:
        return Outcome("holds-if", f"If line rate is meant: {says} {bus}", slowest, "bit/s")
    return Outcome("holds", says, slowest, "bit/s")


def _held_by_bus(lab: Lab, ends: tuple[str, str], claimed: float) -> str:
    """What is said of a card whose bus carries less than its port, if one of the ends is such."""
    for end in ends:
        owner, _, port = end.partition(".")
        if owner not in lab.hosts:
            continue
        part = lab.hosts[owner].ports[port].part
        for leaf in leaves(lab, owner):
            if leaf.kind != "nic" or leaf.gets is None or leaf.title != part.title:
                continue
            low, high = (8 * rate for rate in _payload(leaf.gets))
            if high < claimed:
                return f"The bus of {end} carries {format_bps(low)} to {format_bps(high)}."
    return ""


@check("on-board", by="catalog")
def on_board(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """The chips of these ``ports`` of ``host`` are those that the catalog knows on its board."""
    name = wanted(about, "host")
    host = lab.hosts.get(name)
    if host is None or host.board is None:
        raise CannotTell(f"the lab has no board for {name!r}")
    strangers = []
    for port in wanted(about, "ports"):
        if port not in host.ports:
            raise CannotTell(f"{name} has no port {port!r}")
        if host.ports[port].part.id not in host.board.nics:
            strangers.append(host.ports[port].part.title)
    there = ", ".join(sorted(host.board.nics))
    if strangers:
        others = [lab.catalog.nics[nic] for nic in host.board.nics if nic in lab.catalog.nics]
        radio = [f"{nic.title} (Bluetooth {nic.bluetooth})" for nic in others if nic.bluetooth]
        says = f"{host.board.title} was seen with {'; '.join(radio) or there}, "
        return Outcome("fails", f"{says}not {', '.join(strangers)}.")
    return Outcome("holds", f"{host.board.title} has {there}.")
