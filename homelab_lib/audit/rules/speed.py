"""Where the disks are slower than what is asked of them."""

from collections.abc import Iterator

from homelab_lib.audit.facts_storage import PoolFacts, pool_facts
from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.per_host import at, every
from homelab_lib.lab.pools import Pool
from homelab_lib.models.random_io import disk_iops, pool_iops

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
