"""Supplies not named, too small or not there, and a UPS that does not bear what is on it."""

from collections.abc import Iterator

from homelab_lib.audit.facts_budgets import PowerFacts, card_supply_w, power_facts, ups_facts
from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.lab.devices import AdapterPart, GpuPart
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.platforms import PsuPart, SystemPart

_SLOT_W = 75.0  # what a PCI Express slot gives a card (CEM 5.0, §4.1)
_SMALL_W = 100.0  # a supply that any shop has; not worth more than a note


def _evidence(facts: PowerFacts) -> tuple[str, ...]:
    said = [f"{d.name}: {d.load_w:g} W, {d.peak_w:g} W for an instant" for d in facts.draws]
    if facts.guessed:
        said.append(f"Guessed, for want of figures: {'; '.join(dict.fromkeys(facts.guessed))}.")
    return tuple(said)


def _supply(lab: Lab, watts: float) -> PsuPart | None:
    """The smallest supply of the catalog that is enough, its rating known."""
    known = [p for p in lab.catalog.psus.values() if p.status.get("power_w") != "unverified"]
    able = [psu for psu in known if psu.power_w >= watts]
    return min(able, key=lambda psu: (psu.power_w, psu.id), default=None)


@rule("supply-not-named")
def supply_named(lab: Lab) -> Iterator[Finding]:
    """A machine that needs a supply, and none is named."""
    for facts in power_facts(lab):
        host = lab.hosts.get(facts.supply)
        if host is None or host.psus or host.board is None:
            continue
        board, asked = host.board, facts.asked_w
        if isinstance(board, SystemPart) and (board.supply_included or asked is None):
            continue  # a whole machine comes with its own
        needed = asked or facts.least_w
        psu = None if isinstance(board, SystemPart) else _supply(lab, needed)
        low, high = (psu.price.low_usd, psu.price.high_usd) if psu and psu.price else (0.0, 0.0)
        yield Finding(
            "supply-not-named",
            "note" if needed < _SMALL_W else "costs",
            f"hosts.{host.name}",
            f"{host.title} takes a supply of at least {needed:.0f} W, and none is named.",
            needed,
            "W",
            (fact(board, f"asks for {asked:g} W"),) if asked else _evidence(facts),
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
    """A supply that does not bear what hangs on it: of a machine, or of one card outside.

    Two of one kind are a pair of which each is to bear all when the other fails; of several kinds
    the document leaves open which it will be.
    """
    for facts in power_facts(lab):
        needed = max(facts.least_w, facts.asked_w or 0)
        name, _, device = facts.supply.partition(".")
        host = lab.hosts[name]
        if device:
            own = host.devices[device].psu
            psus, title = ((own,) if own else ()), host.devices[device].part.title
            path = f"hosts.{name}.devices.{device}.psu"
        else:
            psus, title, path = host.psus, host.title, f"hosts.{name}.psus"
        small = [psu for psu in psus if psu.power_w < needed]
        if not small:
            continue
        pair = len(psus) > 1 and len({psu.id for psu in psus}) == 1
        together = pair and sum(psu.power_w for psu in psus) >= needed
        better = _supply(lab, needed)
        enough = [psu.id for psu in psus if psu.power_w >= needed]
        choice: object = enough or ([better.id] * (2 if pair else 1) if better else None)
        if device:
            choice = better.id if better else None
        gives = f"{', '.join(dict.fromkeys(p.title for p in small))} gives {small[0].power_w} W"
        yield Finding(
            "supply-too-small",
            "risks",
            path,
            f"{title} takes {needed:.0f} W; {gives}"
            + (": both together bear it, and one alone does not." if together else "."),
            needed,
            "W",
            _evidence(facts),
            Fix(f"{needed:.0f} W or more", changes=((path, choice),) if choice else ()),
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
            psu = _supply(lab, card_supply_w(card))
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


@rule("ups-too-small")
def ups_bears(lab: Lab) -> Iterator[Finding]:
    """A UPS on which more hangs than it is rated for: it switches off when the mains do."""
    for facts in ups_facts(lab):
        if facts.load_w <= facts.rated_w:
            continue
        runs = facts.idle_w <= facts.rated_w
        part = lab.upses[facts.name].part
        yield Finding(
            "ups-too-small",
            "risks",
            f"upses.{facts.name}",
            f"{', '.join(facts.feeds)} draw {facts.load_w:.0f} W at full load, {facts.idle_w:.0f} "
            f"idle; {part.title} gives {facts.rated_w:g} W, and switches off above that"
            + ("." if runs else ", as it would when they idle."),
            facts.load_w,
            "W",
            (fact(part, f"{facts.rated_w:g} W"), *facts.evidence),
            Fix(f"a UPS of {facts.load_w:.0f} W or more, or fewer machines on it"),
        )
