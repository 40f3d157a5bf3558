"""Checks of pools: what they hold, what they survive, how long and how risky a rebuild is."""

from collections.abc import Sequence

from homelab_lib.audit.checks import About, CannotTell, Outcome, check, wanted
from homelab_lib.audit.checks.facts import matching, quantity
from homelab_lib.audit.facts_storage import PoolFacts, facts_of, not_computed
from homelab_lib.audit.finding import Finding, Verdict
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.per_host import at
from homelab_lib.models.durability import HOURS_PER_YEAR, any_of, ure_probability, ure_rate_for
from homelab_lib.units import format_bytes, format_ibytes

_HOUR = 3600.0
_COMFORTABLE = 0.8
_OLDER_RATE = 1e-14


def _pool(lab: Lab, about: About) -> PoolFacts:
    name = wanted(about, "pool")
    pool = at(lab.pools, name)
    if pool is None:
        raise CannotTell(f"the lab has no pool {name!r}")
    if why := not_computed(lab, pool):
        raise CannotTell(f"{name}: {why}")
    return facts_of(lab, pool)


@check("pool-usable")
def usable(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """A pool holds what is ``claimed``, within 2 %: by OpenZFS's own arithmetic."""
    pool, claimed = _pool(lab, about), quantity(wanted(about, "claimed"))
    holds = pool.capacity()
    found = int(holds.usable_bytes)
    says = (
        f"{pool.title} of {format_bytes(pool.disk_bytes)} leaves {format_bytes(found)} "
        f"({format_ibytes(found)}), {found / claimed - 1:+.1%} against {format_bytes(claimed)}; "
        f"at 80 %, where ZFS slows down, {format_bytes(int(holds.comfortable_bytes))}."
    )
    verdict: Verdict = "holds" if abs(found / claimed - 1) <= 0.02 else "fails"
    rules = ("capacity-before-overhead",)
    told = matching(findings, rules, f"pools.{pool.id}")
    fix = next((each.fix for each in told if each.fix), None)
    return Outcome(verdict, says, float(found), "B", rules, fix)


@check("pool-raw")
def raw(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """A pool's disks together have what is ``claimed``, within 1 %."""
    pool, claimed = _pool(lab, about), quantity(wanted(about, "claimed"))
    found = pool.capacity().raw_bytes
    says = f"{pool.disks} × {format_bytes(pool.disk_bytes)} are {format_bytes(found)}."
    verdict: Verdict = "holds" if abs(found / claimed - 1) <= 0.01 else "fails"
    return Outcome(verdict, says, float(found), "B")


@check("pool-survives")
def survives(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """A pool survives the loss of any ``failures`` disks, whichever they are."""
    pool, claimed = _pool(lab, about), wanted(about, "failures")
    verdict: Verdict = "holds" if pool.parity >= claimed else "fails"
    says = f"{pool.title} survives the loss of any {pool.parity} of its disks."
    return Outcome(verdict, says, float(pool.parity), "disks")


@check("layout-survives")
def layout_survives(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """With another ``layout`` the pool survives ``failures`` disks, and the next one takes it."""
    pool, failures = _pool(lab, about), wanted(about, "failures")
    other = pool.laid_out(wanted(about, "layout"), pool.width, pool.vdevs)
    says = f"{other.title} survives {other.parity}; one more takes it all."
    chance = None
    if other.rated and other.afr is not None and other.parity == failures:
        hours = other.rebuild(_COMFORTABLE) / _HOUR
        one = 1 - (1 - float(other.afr)) ** (hours / HOURS_PER_YEAR)
        chance = any_of(one, other.width - failures)
        says += f" In the {hours:.0f} h of a rebuild that has a chance of {chance:.1e}."
    return Outcome("holds" if other.parity == failures else "fails", says, chance, "1")


@check("capacity-given-up")
def given_up(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """``layout`` in place of ``than`` costs ``claimed`` of usable capacity, within 5 %."""
    pool, claimed = _pool(lab, about), quantity(wanted(about, "claimed"))
    one = pool.capacity().usable_bytes
    other = pool.laid_out(wanted(about, "than"), pool.width, pool.vdevs).capacity().usable_bytes
    lost = float(other - one)
    says = (
        f"{about['than']} of the same disks would hold {format_bytes(other)}, "
        f"{pool.layout} {format_bytes(one)}: {format_bytes(lost)} less."
    )
    verdict: Verdict = "holds" if abs(lost / claimed - 1) <= 0.05 else "fails"
    return Outcome(verdict, says, lost, "B")


@check("ure")
def unreadable(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """The chance of an unreadable sector during a rebuild is one in ``one_in``.

    It holds if the disks' rate is the one that makes it so; with rates that makers quote it is
    computed for the survivors read whole.
    """
    pool, one_in = _pool(lab, about), float(wanted(about, "one_in"))
    if pool.ure_per_bit is None:
        raise CannotTell(f"the catalog has no unreadable_per_bit for the disks of {pool.name}")
    survivors = pool.readers()
    read = survivors * pool.disk_bytes
    chance = ure_probability(read, pool.ure_per_bit)
    older = ure_probability(read, _OLDER_RATE)
    takes = ure_rate_for(1 / one_in, read)
    one_disk = ure_rate_for(1 / one_in, pool.disk_bytes)
    says = (
        f"If the rate is {takes:.2g} per bit: {survivors} surviving disks read whole are "
        f"{format_bytes(read)}. At the {pool.ure_per_bit:.0e} of the catalog it is {chance:.0%} "
        f"(1 in {1 / chance:.1f}), at {_OLDER_RATE:.0e} {older:.0%}; a pool filled to "
        f"{takes / pool.ure_per_bit:.0%}, or one disk read at {one_disk:.2g}, gives 1 in "
        f"{one_in:g}, too."
    )
    if pool.parity > 1:
        says += " With parity left, ZFS repairs such a sector: it is no loss."
    agrees = abs(chance * one_in - 1) <= 0.2
    return Outcome("holds" if agrees else "holds-if", says, takes, "1/bit")


@check("rebuild-time")
def rebuild(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """A rebuild takes from ``low`` to ``high`` hours, the shared uplink included."""
    pool = _pool(lab, about)
    if not pool.rated:
        raise CannotTell(f"the catalog has no rates for the disks of {pool.name}")
    low, high = float(wanted(about, "low")), float(wanted(about, "high"))
    hours = {fill: pool.rebuild(fill) / _HOUR for fill in (0.5, _COMFORTABLE, 1.0)}
    best = pool.rebuild(1.0, 1.0) / _HOUR
    listed = ", ".join(f"{fill:.0%} full {taken:.0f} h" for fill, taken in hours.items())
    says = f"At 60 % of the disks' sequential rate: {listed}; full and undisturbed {best:.0f} h."
    full = [taken for fill, taken in hours.items() if fill >= _COMFORTABLE]
    if low <= min(full) and max(full) <= high:
        says = f"If the pool is at least 80 % full and the rates are right (unverified): {says}"
        return Outcome("holds-if", says, hours[_COMFORTABLE], "h")
    return Outcome("fails", says, hours[_COMFORTABLE], "h")
