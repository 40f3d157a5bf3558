"""Checks of budgets: memory and threads, money, the throughput of an inspecting firewall."""

from collections.abc import Sequence

from homelab_lib.audit.checks import About, CannotTell, Outcome, check, wanted
from homelab_lib.audit.checks.facts import matching, quantity
from homelab_lib.audit.finding import Finding, Verdict
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.project import PriceRange
from homelab_lib.models.cost import Range, covers, total
from homelab_lib.models.inspection import REFERENCE_RULES, bps_per_thread, inspection_bound
from homelab_lib.units import format_bps
from homelab_lib.wiring.memory import promises

GIB = 2**30
_NEARLY = 0.85  # what counts as "nearly covers"


@check("resources-sum")
def resources(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """VMs and reservations on ``host`` fit its threads, and the memory that it really sees."""
    name = wanted(about, "host")
    if name not in lab.hosts:
        raise CannotTell(f"the lab has no host {name!r}")
    host = lab.hosts[name]
    shares = lab.promised(name)
    if not shares:
        raise CannotTell(f"nothing is promised on {name}")
    given = promises(lab, host)
    if given is None:
        raise CannotTell(f"memory or processor of {name} are not described")
    room, memory = given.room, sum(each.memory_bytes for each in shares)
    says = (
        f"{room.vcpu} of {room.threads} threads and {memory / GIB:g} GiB are promised; of "
        f"{given.installed_bytes / GIB:g} GiB the host sees {room.memory_bytes / GIB:.1f}."
    )
    rules = ("memory-sold-twice", "threads-sold-twice")
    found = matching(findings, rules, f"hosts.{name}")
    if found:
        says = f"{says} With QEMU's own share and the ZFS cache: {found[0].says}"
    if room.left_bytes < 0 or room.vcpu > room.threads or found:
        fix = found[0].fix if found else None
        return Outcome("fails", says, float(memory), "B", rules, fix)
    return Outcome("holds", says, float(memory), "B")


# Money -------------------------------------------------------------------------------------------


def _range(price: PriceRange) -> Range:
    return Range.of(price.low_usd, price.high_usd)


def _dollars(price: Range) -> str:
    return f"${price.low:g}" + (f"–{price.high:g}" if price.high != price.low else "")


@check("price", by="catalog")
def price(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """A ``purchase`` is put at what a source says it costs; without one a shop must be asked."""
    name = wanted(about, "purchase")
    item = next((each for each in lab.purchases if each.name == name), None)
    if item is None:
        raise CannotTell(f"the lab buys no {name!r} (any more)")
    rules = ("price-too-low",)
    dearer = matching(findings, rules, f"purchases.{name}")
    if dearer:
        return Outcome("fails", dearer[0].says, dearer[0].number, "USD", rules, dearer[0].fix)
    part = item.part
    if part and part.price and part.status.get("price") == "verified":
        costs = _range(part.price)
        says = f"{part.title} costs {_dollars(costs)}, and {_dollars(_range(item.price))} are set."
        return Outcome("holds", says, costs.low, "USD")
    says = f"No source for the price of {item.title}. Settled by: a shop's price of the day."
    return Outcome("untestable-here", says, item.price.high_usd, "USD")


@check("budget")
def budget(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """The shopping list adds up to the sum written; it is a maybe while rules find it incomplete.

    Notes
    -----
    The document's own sum is compared, so that a decision that buys more is seen, too.
    """
    if lab.claimed_total is None or not lab.purchases:
        raise CannotTell("the lab has no shopping list with a sum")
    found = total(_range(item.price) for item in lab.purchases)
    claimed = _range(lab.claimed_total)
    says = f"The list adds up to {_dollars(found)}; {_dollars(claimed)} are written."
    rules = ("left-out-of-budget", "price-too-low")
    lacking = matching(findings, rules)
    if not covers(claimed, found):
        return Outcome("fails", says, found.high, "USD", ("sum-of-budget-differs", *rules))
    if not lacking:
        return Outcome("holds", says, found.high, "USD")
    low = sum(each.fix.low_usd for each in lacking if each.fix)
    says = f"If the rest is owned and prices are right: {says} "
    says += " ".join(each.says for each in lacking)
    return Outcome("holds-if", says, found.high + low, "USD", rules)


@check("sales")
def sales(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """What is sold nearly covers (85 %) what is bought for the host ``build``."""
    host = wanted(about, "build")
    earned = total(_range(sale.price) for sale in lab.sales)
    spent = total(_range(p.price) for p in lab.purchases if host in p.used_in)
    everything = total(_range(p.price) for p in lab.purchases)
    if not spent.high:
        raise CannotTell(f"nothing is bought for {host}")
    share = Range(earned.low / spent.high, earned.high / spent.low)
    says = (
        f"Sales bring {_dollars(earned)}: {share.low:.0%} to {share.high:.0%} of the "
        f"{_dollars(spent)} for {host}, {earned.low / everything.high:.0%} to "
        f"{earned.high / everything.low:.0%} of all that is bought."
    )
    rules = ("sold-and-used",)
    used = matching(findings, rules)
    if used:
        says += f" Elsewhere: “{wanted(about, 'other')}”. " + " ".join(e.says for e in used)
        return Outcome("contradicts", says, share.low, "1", rules, used[0].fix)
    if share.low >= _NEARLY:
        return Outcome("holds", says, share.low, "1")
    verdict: Verdict = "holds-if" if share.high >= _NEARLY else "fails"
    prefix = "If they sell dear and the build is cheap: " if verdict == "holds-if" else ""
    return Outcome(verdict, prefix + says, share.low, "1")


# Inspection --------------------------------------------------------------------------------------


@check("suricata")
def suricata(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """A firewall ``host`` inspects ``internet`` traffic inline with ``rules`` rules.

    The way out is the fastest port without an address, the way in the fastest with one. A port
    that is slower fails it; the processor's share is scaled from another machine, a maybe.
    """
    name, claimed = wanted(about, "host"), quantity(wanted(about, "internet"))
    if name not in lab.hosts:
        raise CannotTell(f"the lab has no host {name!r}")
    host = lab.hosts[name]
    inner = {n: float(max(p.speeds_bps)) for n, p in host.ports.items() if p.address}
    outer = {n: float(max(p.speeds_bps)) for n, p in host.ports.items() if not p.address}
    if not inner or not outer:
        raise CannotTell(f"{name} has no port on the inside, or none on the outside")
    ways = {max(side, key=side.__getitem__): max(side.values()) for side in (inner, outer)}
    if host.threads is None:
        raise CannotTell(f"the processor of {name} is not described")
    count = about.get("rules", REFERENCE_RULES)
    bound = inspection_bound(host.threads, ways, thread_bps=bps_per_thread(rules=count))
    says = (
        f"At most {format_bps(bound.throughput_bps)} reach the house, held by "
        f"{bound.limited_by}; {format_bps(bound.flow_bps)} in one flow, with {count} rules on "
        f"{host.threads} threads (scaled from another machine)."
    )
    if bound.throughput_bps < claimed:
        return Outcome("fails", says, bound.throughput_bps, "bit/s")
    flows = "traffic is in several flows, and " if bound.flow_bps < claimed else ""
    says = f"If {flows}this processor does as well as the one that was measured: {says}"
    return Outcome("holds-if", says, bound.throughput_bps, "bit/s")
