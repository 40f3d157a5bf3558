"""Cables, plugs and the speed that two ends agree on."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.lab.cabling import CablePart, TransceiverPart
from homelab_lib.lab.devices import NicPart
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.network import Cable, Port
from homelab_lib.units import format_bps

_TAKES = {
    "SFP+": {"SFP", "SFP+"},
    "SFP28": {"SFP", "SFP+", "SFP28"},
    "QSFP28": {"QSFP+", "QSFP28"},
}
"""Plugs and modules that a cage takes beside its own (SFF-8419, SFF-8665)."""

_PLUGS = {"RJ45": ("Cat5e", "Cat6", "Cat6A", "Cat8"), "LC": ("OM3", "OM4", "OS2")}
_MEDIUM_PLUG = {medium: plug for plug, media in _PLUGS.items() for medium in media}
_CAGES = {"SFP", "SFP+", "SFP28", "QSFP+", "QSFP28"}


@dataclass(frozen=True)
class _End:
    """One end of a cable: the port, and the module in its cage."""

    name: str
    port: Port
    module: TransceiverPart | None

    @property
    def takes(self) -> set[str]:
        """Plugs that go in here."""
        outside = self.module.connector if self.module else self.port.connector
        return _TAKES.get(outside, {outside})

    @property
    def speeds(self) -> set[int]:
        """Speeds on the wire [bit/s]."""
        return set(self.module.speeds_bps if self.module else self.port.speeds_bps)

    def misfit(self, plugs: set[str], medium: str) -> str:
        """Why a cable does not go in here; empty where it does."""
        if self.module:
            cage = self.port.connector
            if self.module.cage not in _TAKES.get(cage, {cage}):
                return f"{self.module.title} does not go into the {cage} of {self.name}"
            if self.module.media and medium not in self.module.media:
                return f"{self.module.title} in {self.name} does not drive {medium}"
        if not plugs & self.takes:
            there = self.module.connector if self.module else self.port.connector
            return f"{self.name} is {there}, the plug of a {medium} cable is {' or '.join(plugs)}"
        return ""


def _port(lab: Lab, name: str) -> Port:
    owner, _, port = name.partition(".")
    return (lab.hosts.get(owner) or lab.switches[owner]).ports[port]


def _ends(lab: Lab, cable: Cable) -> tuple[_End, _End]:
    return (
        _End(cable.a, _port(lab, cable.a), cable.a_transceiver),
        _End(cable.b, _port(lab, cable.b), cable.b_transceiver),
    )


def _misfits(ends: tuple[_End, _End], medium: str, part: CablePart | None) -> list[str]:
    """What does not fit, over both ends, whichever way round the cable is laid."""
    if part is not None:
        plugs: list[set[str]] = [{connector} for connector in part.connectors]
    elif medium in ("DAC", "AOC"):
        plugs = [set(_CAGES)] * 2
    else:
        plugs = [{_MEDIUM_PLUG.get(medium, medium)}] * 2
    ways = [
        [said for end, plug in zip(ends, way, strict=True) if (said := end.misfit(plug, medium))]
        for way in (plugs, plugs[::-1])
    ]
    return min(ways, key=len)


@rule("cable-does-not-fit")
def cable_fits(lab: Lab) -> Iterator[Finding]:
    """A plug that does not go into the jack, or a module that does not go into the cage."""
    for cable in lab.cables:
        ends = _ends(lab, cable)
        wrong = _misfits(ends, cable.medium, cable.part)
        if cable.part is not None and cable.part.medium != cable.medium:
            wrong.append(f"{cable.part.title} is {cable.part.medium}, not {cable.medium}")
        if not wrong:
            continue
        parts: list[CablePart | TransceiverPart | NicPart] = []
        parts += [part for part in (cable.part, *(end.module for end in ends)) if part]
        parts += [end.port.part for end in ends if isinstance(end.port.part, NicPart)]
        yield Finding(
            "cable-does-not-fit",
            "stops",
            f"cables.{cable.name}",
            f"The {cable.medium} cable from {cable.a} to {cable.b} can't be plugged in: "
            f"{'; '.join(wrong)}.",
            evidence=tuple(fact(part, _connector(part)) for part in parts),
            fix=_another_cable(lab, cable),
        )


def _connector(part: CablePart | TransceiverPart | NicPart) -> str:
    if isinstance(part, CablePart):
        return " to ".join(part.connectors)
    if isinstance(part, TransceiverPart):
        return f"goes into {part.cage}, offers {part.connector}, drives {', '.join(part.media)}"
    return f"has {part.connector}"


def _another_cable(lab: Lab, cable: Cable) -> Fix | None:
    """The cheapest cable of the catalog, with the modules it takes, that fits both ends."""
    ports = [_port(lab, cable.a), _port(lab, cable.b)]
    modules = [None, *lab.catalog.transceivers.values()]
    best = None
    for part, a, b in product(lab.catalog.cables.values(), modules, modules):
        ends = (_End(cable.a, ports[0], a), _End(cable.b, ports[1], b))
        common = ends[0].speeds & ends[1].speeds
        if not common or _misfits(ends, part.medium, part):
            continue
        if _reach(part, max(common)) < (cable.length_m or 0):
            continue
        prices = [each.price for each in (part, a, b) if each is not None]
        known = [price for price in prices if price is not None]
        low, high = sum(p.low_usd for p in known), sum(p.high_usd for p in known)
        rank = (-max(common), len(prices) - len(known), low, part.id)
        if best is None or rank < best[0]:
            best = (rank, part, a, b, low, high)
    if best is None:
        return Fix("another port at one of the ends: no cable of the catalog joins these two")
    _, part, a, b, low, high = best
    changes: list[tuple[str, object]] = [
        (f"cables.{cable.name}.medium", part.medium),
        (f"cables.{cable.name}.part", part.id),
    ]
    titles = [part.title]
    for side, module, now in (("a", a, cable.a_transceiver), ("b", b, cable.b_transceiver)):
        if module is not None:
            titles.append(f"{module.title} in {getattr(cable, side)}")
        if module is not now:
            new = module.id if module is not None else None
            changes.append((f"cables.{cable.name}.{side}_transceiver", new))
    return Fix(" with ".join(titles), low, high, tuple(changes))


def _reach(part: CablePart, speed_bps: int) -> float:
    """How far it carries a speed; unbounded where the catalog is silent [m]."""
    if not part.reach:
        return float("inf")
    return max((r.length_m for r in part.reach if r.speed_bps >= speed_bps), default=0.0)


@rule("cable-too-long")
def cable_reaches(lab: Lab) -> Iterator[Finding]:
    """A run longer than the cable carries the ports' best common speed."""
    for cable in lab.cables:
        a, b = _ends(lab, cable)
        speed = max(a.speeds & b.speeds, default=0)
        if not speed or cable.part is None or not cable.length_m:
            continue
        reach = _reach(cable.part, speed)
        if cable.length_m > reach:
            yield Finding(
                "cable-too-long",
                "stops",
                f"cables.{cable.name}",
                f"{cable.part.title} carries {format_bps(speed)} over {reach:g} m, and "
                f"{cable.length_m:g} m are to be covered.",
                reach,
                "m",
                (fact(cable.part, f"{reach:g} m at {format_bps(speed)}"),),
            )


@rule("ends-share-no-speed")
def ends_agree(lab: Lab) -> Iterator[Finding]:
    """Two ends that know no common speed: the link stays down."""
    for cable in lab.cables:
        a, b = _ends(lab, cable)
        if not a.speeds & b.speeds:
            known = [" or ".join(format_bps(s) for s in sorted(end.speeds)) for end in (a, b)]
            yield Finding(
                "ends-share-no-speed",
                "stops",
                f"cables.{cable.name}",
                f"{cable.a} does {known[0]}, {cable.b} {known[1]}: they agree on no speed.",
                0.0,
                "bit/s",
            )


@rule("cable-slower-than-claimed")
def as_fast_as_claimed(lab: Lab) -> Iterator[Finding]:
    """A cable that is to carry more than its ends can agree on."""
    for cable in lab.cables:
        a, b = _ends(lab, cable)
        speed = max(a.speeds & b.speeds, default=0)
        claimed = cable.claimed_speed_bps or 0
        if speed and claimed > speed:
            yield Finding(
                "cable-slower-than-claimed",
                "costs",
                f"cables.{cable.name}",
                f"{format_bps(claimed)} are promised between {cable.a} and "
                f"{cable.b}; they agree on {format_bps(speed)}.",
                speed,
                "bit/s",
                fix=Fix(
                    f"promise {format_bps(speed)}",
                    changes=((f"cables.{cable.name}.claimed_speed_bps", speed),),
                ),
            )


@rule("port-held-back")
def ports_used_up(lab: Lab) -> Iterator[Finding]:
    """A host's port that could go faster than what it is plugged into."""
    for cable in lab.cables:
        ends = _ends(lab, cable)
        speed = max(ends[0].speeds & ends[1].speeds, default=0)
        for end, other in (ends, ends[::-1]):
            best = max(end.speeds)
            if speed and best > speed and end.name.partition(".")[0] in lab.hosts:
                yield Finding(
                    "port-held-back",
                    "note",
                    f"cables.{cable.name}",
                    f"{end.name} could do {format_bps(best)}; {other.name} holds it at "
                    f"{format_bps(speed)}.",
                    speed,
                    "bit/s",
                )


@rule("promised-link-missing")
def promises_kept(lab: Lab) -> Iterator[Finding]:
    """A connection that the document promises and no cable makes, or a slower one."""
    joined: dict[str, dict[str, int]] = {}
    for cable in lab.cables:
        a, b = _ends(lab, cable)
        speed = max(a.speeds & b.speeds, default=0)
        for here, there in ((cable.a, cable.b), (cable.b, cable.a)):
            peers = joined.setdefault(here.partition(".")[0], {})
            peer = there.partition(".")[0]
            peers[peer] = max(speed, peers.get(peer, 0))
    for link in lab.links:
        if any(end not in lab.hosts and end not in lab.switches for end in (link.a, link.b)):
            peers = [joined.get(end, {}) for end in (link.a, link.b) if end in lab.hosts]
            found = max((speed for each in peers for speed in each.values()), default=0)
        elif link.direct:
            found = joined.get(link.a, {}).get(link.b, 0)
        else:
            found = _widest(joined, link.a, link.b)
        if found < link.claimed_speed_bps:
            kind = "a direct link" if link.direct else "a connection"
            now = f"the best there is has {format_bps(found)}" if found else "no cable makes one"
            yield Finding(
                "promised-link-missing",
                "costs" if found else "stops",
                f"links.{link.name}",
                f"{kind.capitalize()} of {format_bps(link.claimed_speed_bps)} is promised between "
                f"{link.a} and {link.b}; {now}.",
                found,
                "bit/s",
            )


def _widest(joined: dict[str, dict[str, int]], start: str, goal: str) -> int:
    """The speed of the best path between two machines [bit/s]."""
    best, waiting = {start: 1 << 60}, {start}
    while waiting:
        here = max(sorted(waiting), key=lambda name: best[name])
        waiting.remove(here)
        for peer, speed in joined.get(here, {}).items():
            through = min(speed, best[here])
            if through > best.get(peer, 0):
                best[peer] = through
                waiting.add(peer)
    return best.get(goal, 0) if goal != start else 0
