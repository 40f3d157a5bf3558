"""Sales, roles and homes: what is sold and used, drawn otherwise, or runs nowhere."""

from collections import Counter
from collections.abc import Iterator

from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import rule
from homelab_lib.audit.rules.compute import users
from homelab_lib.lab.compute import Cluster
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.per_host import every


@rule("sold-and-used")
def sales_are_free(lab: Lab) -> Iterator[Finding]:
    """Something that is to be sold, and that something else of the plan needs."""
    for sale in lab.sales:
        host, _, name = sale.taken_from.partition(".")
        wanted = users(lab, sale.taken_from)
        wanted += [f"vms.{vm.name}" for vm in lab.vms_with(sale.taken_from)]
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
