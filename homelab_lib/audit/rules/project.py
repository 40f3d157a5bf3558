"""Money, sales, phases and roles: what is sold and used, said twice, or left out of the budget."""

from collections import Counter
from collections.abc import Iterator

from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.audit.rules.compute import users
from homelab_lib.lab.compute import Cluster
from homelab_lib.lab.devices import AdapterPart
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.part import Part
from homelab_lib.lab.per_host import every
from homelab_lib.models import cost


@rule("sold-and-used")
def sales_are_free(lab: Lab) -> Iterator[Finding]:
    """Something that is to be sold, and that something else of the plan needs."""
    for sale in lab.sales:
        host, _, name = sale.taken_from.partition(".")
        wanted = users(lab, sale.taken_from)
        wanted += [
            f"vms.{vm.name}" for vm in lab.vms.values() if vm.host == host and name in vm.gpus
        ]
        wanted += [
            f"pooled_vram.{index}"
            for index, row in enumerate(lab.pooled_vram)
            if sale.taken_from in row.devices
        ]
        wanted += [
            f"pools.{pool.id}"
            for pool in every(lab.pools)
            if lab.hardware(pool.host).name == host and name in pool.disks_for()
        ]
        if not wanted:
            continue
        low, high = sale.price.low_usd, sale.price.high_usd
        phases = [lab.models[n.removeprefix("models.")].phase for n in wanted if "models." in n]
        latest = max((phase for phase in phases if phase), default=None)
        yield Finding(
            "sold-and-used",
            "stops",
            f"sales.{sale.name}",
            f"{sale.title} ({sale.taken_from}) is to be sold, and {', '.join(wanted)} needs it"
            + (f", as late as phase {latest}." if latest else "."),
            len(wanted),
            "users",
            (f"The sale would bring {low:g} to {high:g} dollars.",),
            Fix("keep it", low, high, ((f"sales.{sale.name}", None),)),
        )


# Roles -------------------------------------------------------------------------------------------


@rule("standalone-host-in-cluster")
def standalone_stays_out(lab: Lab) -> Iterator[Finding]:
    """A machine that is to be left alone, and that is a cluster's node all the same."""
    alone = {each.host for each in lab.leave_standalone}
    alone |= {name for name, host in lab.hosts.items() if host.standalone}
    reasons = {each.host: each.reasons for each in lab.leave_standalone}
    for cluster in lab.clusters.values():
        for name in cluster.host_agents:
            if name not in alone:
                continue
            left = [each for each in cluster.host_agents if each != name]
            path = f"clusters.{cluster.name}.host_agents"
            yield Finding(
                "standalone-host-in-cluster",
                "stops",
                path,
                f"{lab.hosts[name].title} is to be left alone, and is a node of cluster "
                f"{cluster.name}.",
                evidence=tuple(reasons.get(name, ())),
                fix=Fix("not a node", changes=((path, left),)),
            )


@rule("cluster-drawn-otherwise")
def drawing_agrees(lab: Lab) -> Iterator[Finding]:
    """A cluster whose drawing has other nodes than its description."""
    for cluster in lab.clusters.values():
        drawn = Counter((_meant(lab, n.where), _role(n.role)) for n in cluster.drawn)
        described = Counter(_described(lab, cluster))
        if not drawn or drawn == described:
            continue
        entries = [
            {"where": where, "role": role}
            for (where, role), n in described.items()
            for _ in range(n)
        ]
        path = f"clusters.{cluster.name}.drawn"
        yield Finding(
            "cluster-drawn-otherwise",
            "costs",
            path,
            f"Drawn are {_counted(drawn)}; described are {_counted(described)}.",
            sum(described.values()),
            "nodes",
            tuple(f"{node.where}: {node.role}, {node.note}" for node in cluster.drawn),
            Fix("draw what is described", changes=((path, entries),)),
        )


@rule("etcd-without-majority")
def etcd_odd(lab: Lab) -> Iterator[Finding]:
    """An even number of servers: one more than needed, and no more of them may fail."""
    for cluster in lab.clusters.values():
        count = len(cluster.servers)
        if count % 2 == 0:
            yield Finding(
                "etcd-without-majority",
                "risks",
                f"clusters.{cluster.name}.servers",
                f"Cluster {cluster.name} has {count} servers. etcd works while more than half of "
                f"them do, so that {count // 2 - 1} may fail: as many as of {count - 1}.",
                count // 2 - 1,
                "servers",
                ("etcd FAQ, Why an odd number of cluster members?",),
                Fix(f"{count - 1} servers, or {count + 1}"),
            )


def _meant(lab: Lab, where: str) -> str:
    """The host that a word in a drawing means."""
    word = where.lower()
    return next(
        (
            n
            for n, h in lab.hosts.items()
            if word in (n, h.title.lower(), h.title.lower().split()[0])
        ),
        word,
    )


def _role(role: str) -> str:
    return "control plane" if "control" in role.lower() or "server" in role.lower() else "worker"


def _described(lab: Lab, cluster: Cluster) -> Iterator[tuple[str, str]]:
    for name in cluster.servers:
        yield lab.vms[name].host, "control plane"
    for name in cluster.agents:
        yield lab.vms[name].host, "worker"
    for name in cluster.host_agents:
        yield name, "worker"


def _counted(nodes: Counter[tuple[str, str]]) -> str:
    return ", ".join(f"{count} {role} on {where}" for (where, role), count in sorted(nodes.items()))


@rule("service-without-home")
def services_have_homes(lab: Lab) -> Iterator[Finding]:
    """A service that runs nowhere, and for which no other one is chosen that does."""
    told: set[str] = set()
    for service in lab.services.values():
        group = {service.name, *service.instead_of}
        placed = any(lab.services[name].runs_on for name in group)
        if placed or group & told:
            continue
        told |= group
        needed = [s.name for s in lab.services.values() if service.name in s.needs]
        wanted = bool(needed or service.phase or service.datasets)
        either = " or ".join(lab.services[name].title for name in sorted(group))
        yield Finding(
            "service-without-home",
            "costs" if wanted else "note",
            f"services.{service.name}",
            f"Nothing says where {either} runs"
            + (f", and {', '.join(needed)} needs it." if needed else "."),
            evidence=(service.purpose,) if service.purpose else (),
            fix=Fix("name a host, a VM or a cluster"),
        )


# Budget ------------------------------------------------------------------------------------------


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
    """A price on the shopping list below what the catalog has for the part."""
    for item in lab.purchases:
        part, price = item.part, item.part.price if item.part else None
        if part is None or price is None or item.price.high_usd >= price.low_usd * item.count:
            continue
        low, high = price.low_usd * item.count, price.high_usd * item.count
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
