"""The shopping list: its sum, what it leaves out, prices that are too low, parts hard to get."""

from collections.abc import Iterator

from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.lab.devices import AdapterPart
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.part import Part
from homelab_lib.models import cost

_HAGGLE = 0.1  # by which shops differ from each other, and from one week to the next


@rule("sum-of-budget-differs")
def sum_right(lab: Lab) -> Iterator[Finding]:
    """A shopping list whose sum is another than the document's."""
    if lab.claimed_total is None or not lab.purchases:
        return
    prices = [cost.Range.of(p.price.low_usd, p.price.high_usd) for p in lab.purchases]
    found = cost.total(prices)
    claimed = cost.Range.of(lab.claimed_total.low_usd, lab.claimed_total.high_usd)
    if not cost.covers(claimed, found):
        yield Finding(
            "sum-of-budget-differs",
            "costs",
            "claimed_total",
            f"The list adds up to {found.low:g} to {found.high:g} dollars, and "
            f"{claimed.low:g} to {claimed.high:g} are written.",
            found.high,
            "USD",
            tuple(f"{p.title}: {p.price.low_usd:g} to {p.price.high_usd:g}" for p in lab.purchases),
            Fix(
                "write the sum",
                changes=(
                    ("claimed_total.low_usd", found.low),
                    ("claimed_total.high_usd", found.high),
                ),
            ),
        )


def _in_use(lab: Lab) -> Iterator[tuple[str, Part, str]]:
    """What joins and feeds machines that are not complete yet: where, which part, and its name."""
    for switch in lab.switches.values():
        yield f"switches.{switch.name}", switch.part, switch.name
    for cable in lab.cables:
        for part in (cable.part, cable.a_transceiver, cable.b_transceiver):
            if part is not None:
                yield f"cables.{cable.name}", part, cable.name
    for host in lab.hosts.values():
        for device in host.devices.values() if host.purchase_pending else ():
            place = f"{host.name}.{device.name}"
            if isinstance(device.part, AdapterPart):
                yield f"hosts.{host.name}.devices.{device.name}", device.part, place
            if device.psu is not None:
                yield f"hosts.{host.name}.devices.{device.name}.psu", device.psu, place


@rule("left-out-of-budget")
def budget_whole(lab: Lab) -> Iterator[Finding]:
    """Cables, switches, modules, adapters and supplies in use that nobody has and nobody buys."""
    if not lab.purchases:
        return
    bought = {(part.id, place) for p in lab.purchases if (part := p.part) for place in p.used_in}
    filled = {place for p in lab.purchases for place in p.used_in}
    missing: dict[str, tuple[Part, list[tuple[str, str]]]] = {}
    for path, part, place in _in_use(lab):
        joined = path.startswith(("cables.", "switches.")) and place in filled
        if (part.id, place) not in bought and not joined:
            missing.setdefault(part.id, (part, []))[1].append((path, place))
    for name, (part, places) in missing.items():
        price, count = part.price, len(places)
        low = price.low_usd * count if price else 0.0
        high = price.high_usd * count if price else 0.0
        entry = {
            "name": f"{name[:50]}-missing".replace(".", "-").replace("+", "-"),
            "title": part.title,
            "part": name,
            "count": count,
            "purpose": "In use, and on no list",
            "price": {"low_usd": low, "high_usd": high, "approximate": True},
            "used_in": [place for _, place in places],
        }
        changes = ((f"purchases.{entry['name']}", entry),) if price else ()
        yield Finding(
            "left-out-of-budget",
            "costs",
            places[0][0],
            f"{part.title} is in use {'once' if count == 1 else f'{count} times'}, and the list of "
            "purchases has none; nothing says that it is owned.",
            high if price else None,
            "USD" if price else "",
            (fact(part, f"{low:g} to {high:g} dollars" if price else "price not known"),),
            Fix("buy it" + ("" if price else "; the catalog has no price"), low, high, changes),
        )


@rule("price-too-low")
def prices_right(lab: Lab) -> Iterator[Finding]:
    """A price on the shopping list well below what the catalog has for the part."""
    for item in lab.purchases:
        part, price = item.part, item.part.price if item.part else None
        if part is None or price is None:
            continue
        low, high = price.low_usd * item.count, price.high_usd * item.count
        if item.price.high_usd >= (1 - _HAGGLE) * low:
            continue
        path = f"purchases.{item.name}.price"
        yield Finding(
            "price-too-low",
            "costs",
            path,
            f"{item.title} is put at {item.price.high_usd:g} dollars; it costs {low:g} to "
            f"{high:g}.",
            low,
            "USD",
            (fact(part, f"{price.low_usd:g} to {price.high_usd:g} dollars"),),
            Fix(
                "reckon with it",
                low - item.price.low_usd,
                high - item.price.high_usd,
                ((path, {"low_usd": low, "high_usd": high}),),
            ),
        )


@rule("part-hard-to-get")
def parts_sold(lab: Lab) -> Iterator[Finding]:
    """A part that is not owned yet, and that is not made or sold any more."""
    for host in lab.hosts.values():
        parts: dict[str, Part | None] = {"board": host.board, "cpu": host.cpu}
        parts |= {f"devices.{name}": device.part for name, device in host.devices.items()}
        for place, part in parts.items() if host.purchase_pending else ():
            if part is None or not part.scarce:
                continue
            yield Finding(
                "part-hard-to-get",
                "note",
                f"hosts.{host.name}.{place}",
                f"{part.title} is hard to get: {part.scarce}.",
                evidence=(fact(part, part.scarce),),
                fix=Fix("see that it can be had before anything else is bought for it"),
            )
