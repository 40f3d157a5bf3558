"""Where the disks are slower than what is asked of them, and a card faster than what it meets."""

from collections.abc import Iterator

from homelab_lib.audit.facts_storage import PoolFacts, pool_facts
from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.lab.devices import NicPart
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.per_host import at, every
from homelab_lib.lab.pools import Pool
from homelab_lib.lab.ports import Port
from homelab_lib.models.random_io import disk_iops, pool_iops
from homelab_lib.units import format_bps

_ETCD = "etcd asks for 50 writes a second one after the other, 500 under load [etcd.io, Hardware]"
_RECORD_BYTES = 128 * 1024  # ZFS's default
_LIGHT = 500.0  # synchronous writes a second that a database or two are content with


def _turning(lab: Lab, pool: Pool, facts: PoolFacts) -> tuple[float, float] | None:
    """Random reads and writes of a pool of turning disks [1/s]; None of any other, and of one whose
    synchronous writes go elsewhere."""
    if pool.disks_for("log", "special"):
        return None
    disks = lab.hardware(pool.host).disks
    speeds = [disks[name].part.rpm for name in pool.disks_for("data")]
    slowest = min((each for each in speeds if each), default=None)
    if slowest is None or len([each for each in speeds if each]) < len(speeds):
        return None
    return pool_iops(disk_iops(slowest), facts.layout, facts.width, facts.vdevs)


@rule("volumes-on-turning-disks")
def volumes_answer(lab: Lab) -> Iterator[Finding]:
    """Volumes of a cluster on turning disks alone: what waits for its writes to be kept, such as a
    database, waits for the disks."""
    known = pool_facts(lab)
    for cluster in lab.clusters.values():
        share = at(lab.nfs_shares, cluster.nfs.share) if cluster.nfs else None
        if cluster.nfs is None or share is None:
            continue
        pool = lab.pools.get(share.host, {}).get((share.dataset or "").partition("/")[0])
        done = _turning(lab, pool, known[pool.id]) if pool and pool.id in known else None
        if pool is None or done is None or done[1] >= _LIGHT:
            continue
        writes = done[1]
        part = lab.hardware(pool.host).disks[pool.disks_for("data")[0]].part
        yield Finding(
            "volumes-on-turning-disks",
            "risks",
            f"clusters.{cluster.name}.storage_class",
            f"Volumes of {cluster.nfs.name} are on {pool.name} of {pool.host}, {pool.title} of "
            f"turning disks: about {writes:.0f} writes a second that are kept one by one.",
            writes,
            "1/s",
            (fact(part, f"{part.rpm} turns a minute"), _ETCD),
            Fix("files there; databases, SQLite and Prometheus on local-path, on flash"),
        )


@rule("pool-slower-than-its-link")
def links_are_filled(lab: Lab) -> Iterator[Finding]:
    """A link that is promised for a pool, and that its disks fill only with long reads."""
    known = pool_facts(lab)
    for pool in every(lab.pools):
        facts = known.get(pool.id)
        done = _turning(lab, pool, facts) if facts else None
        ends = [link for link in lab.links if pool.host in (link.a, link.b)]
        if facts is None or done is None or not ends or facts.inner_bps is None:
            continue
        best = max(link.claimed_speed_bps for link in ends)
        data = (facts.width - facts.parity) * facts.vdevs
        slow, fast = (float(rate or 0) * data for rate in (facts.inner_bps, facts.outer_bps))
        if best / 8 <= slow:
            continue
        small = done[0] * _RECORD_BYTES
        yield Finding(
            "pool-slower-than-its-link",
            "note",
            f"pools.{pool.id}",
            f"{pool.name} reads {slow / 1e6:.0f} to {fast / 1e6:.0f} MB/s in one long piece, and "
            f"about {small / 1e6:.0f} MB/s in pieces of 128 KiB at random; its fastest link is "
            f"promised {best / 1e9:g} Gb/s.",
            fast,
            "B/s",
            fix=Fix("more vdevs, or flash, for what is read at random"),
        )


def _port(lab: Lab, end: str) -> Port:
    owner, _, name = end.partition(".")
    return (lab.hosts.get(owner) or lab.switches[owner]).ports[name]


@rule("card-without-fast-peer")
def cards_are_met(lab: Lab) -> Iterator[Finding]:
    """A network card that is faster than anything at the other end of its cables."""
    peers = {c.a: c.b for c in lab.cables} | {c.b: c.a for c in lab.cables}
    speeds = {end: max(_port(lab, peer).speeds_bps) for end, peer in peers.items()}
    lines = {line.port: max(line.down_bps or 0, line.up_bps or 0) for line in lab.internet.values()}
    for host in lab.hosts.values():
        for device in host.devices.values():
            part = device.part
            if not isinstance(part, NicPart):
                continue
            own = max(part.speeds_bps)
            others = [max(port.speeds_bps) for port in host.ports.values() if port.part is not part]
            ends = {
                name: f"{host.name}.{name}"
                for name, port in host.ports.items()
                if port.part is part
            }
            if not ends:  # where its ports lead is not described
                continue
            does = {
                name: min(own, max(speeds.get(end, 0), lines.get(end, 0)))
                for name, end in ends.items()
            }
            best = max(does.values(), default=0)
            if best >= own or best > max(others, default=0):
                continue
            said = [f"{n} meets {format_bps(speed)}" for n, speed in does.items() if speed]
            bare = [name for name, speed in does.items() if not speed]
            said += [f"{' and '.join(bare)} meet nothing that is described"] if bare else []
            price = next((p.price for p in lab.purchases if p.part is part), None)
            saved = f" (saves ${price.low_usd:g}–{price.high_usd:g})" if price else ""
            yield Finding(
                "card-without-fast-peer",
                "costs",
                f"hosts.{host.name}.devices.{device.name}",
                f"{part.title} does {format_bps(own)}, and nothing that it is joined to does: "
                f"{', '.join(said)}. {host.title} is no faster by it.",
                best,
                "bit/s",
                (fact(part, f"{format_bps(own)}"),),
                Fix(f"a peer of {format_bps(own)}, or leave it out{saved}"),
            )
