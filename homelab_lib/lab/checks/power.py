"""UPSes and what hangs on them; clusters of Proxmox hosts."""

from collections.abc import Iterator

from homelab_lib.lab.checks.fault import Fault, each_known, twice, unknown
from homelab_lib.lab.lab import Lab


def faults(lab: Lab) -> Iterator[Fault]:
    yield from _upses(lab)
    yield from _clusters(lab)


def _upses(lab: Lab) -> Iterator[Fault]:
    loads = [*lab.hosts, *lab.switches]
    machines = [*lab.hosts, *lab.vms]
    for name, ups in lab.upses.items():
        path = ("upses", name)
        yield from each_known((*path, "feeds"), ups.feeds, loads, "host or switch")
        if ups.nut is None:
            continue
        here = (*path, "nut")
        if ups.nut.host not in lab.hosts:
            yield unknown((*here, "host"), ups.nut.host, lab.hosts, "host")
        yield from each_known((*here, "tells"), ups.nut.tells, machines, "host or VM")
        if ups.nut.driver is None and ups.part.nut_driver is None:
            yield Fault(here, f"the catalog names no driver for {ups.part.id}; write driver")


def _clusters(lab: Lab) -> Iterator[Fault]:
    members = []
    for name, cluster in lab.proxmox_clusters.items():
        path = ("proxmox_clusters", name)
        yield from each_known((*path, "nodes"), cluster.nodes, lab.hosts, "host")
        members += [((*path, "nodes", i), node) for i, node in enumerate(cluster.nodes)]
        known = [(i, lab.hosts[node]) for i, node in enumerate(cluster.nodes) if node in lab.hosts]
        for index, host in known:
            if host.os.kind != "proxmox":
                what = f"{host.name} runs {host.os.kind}, not proxmox"
                yield Fault((*path, "nodes", index), what)
        yield from twice((((*path, "nodes", i), h.os.node) for i, h in known), "the node name")
        if cluster.qdevice in cluster.nodes:
            what = f"{cluster.qdevice} is a node; a quorum device stands outside of the cluster"
            yield Fault((*path, "qdevice"), what)
        for host in cluster.links:
            if host not in cluster.nodes:
                yield unknown((*path, "links", host), host, cluster.nodes, f"node of {name}")
    yield from twice(members, "the node")
