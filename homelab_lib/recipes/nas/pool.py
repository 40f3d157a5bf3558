"""Pools of a TrueNAS: disks tested first, then made a pool of, by their serial numbers."""

from collections.abc import Iterator

from homelab_lib.answers import Shape
from homelab_lib.control.truenas import pool as nas_pool
from homelab_lib.control.truenas.disks import serials
from homelab_lib.control.truenas.midclt import call
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.host import LINUX
from homelab_lib.lab.per_host import every
from homelab_lib.lab.pools import Pool
from homelab_lib.recipes.nas.described_pool import Described
from homelab_lib.runbook.step import Check, Context, Manual, Measurement, Step

MAKES = ("pools",)
BURN_IN = "nas-burn-in"
"""How the steps are called that look whether disks were tested."""

_PROPERTY: Shape = {"parsed": int}
_ROOT: Shape = [{"used": _PROPERTY, "available": _PROPERTY}]


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The steps that make a phase's pools; none where it has none.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        A pool is where none is made, or a disk has no serial number in the lab: nobody could tell
        which is meant.
    """
    wanted = [pool for pool in every(lab.pools) if pool.phase == phase and not pool.exists]
    for pool in wanted:
        _refuse_elsewhere(lab, pool)
    pools = [pool for pool in wanted if _kind(lab, pool) == "truenas"]
    for pool in pools:
        end = "" if len(pools) == 1 else f"-{pool.host}-{pool.name}"
        made = _Made(lab, pool)
        yield made.test(f"{BURN_IN}{end}", made.tested)
        yield Step(
            f"nas-pool{end}",
            f"Make pool {pool.name}: {pool.title}",
            why="The disks are found by the serial numbers that the lab names, whatever they are "
            "called since the last boot. One that carries a pool, or from which TrueNAS starts, is "
            "never touched; one on which anything else lies is wiped only if you name it.",
            needs=(f"{BURN_IN}{end}",),
            ensure=made.ensure,
            check=made.check,
            measure=made.measure,
        )
        if pool.encryption == "key":
            yield Step(
                f"nas-pool-keys{end}",
                f"Keep the key of pool {pool.name} where the NAS is not",
                why="Without its key nobody reads an encrypted pool, and the only one is on the "
                "NAS's own boot device.",
                needs=(f"nas-pool{end}",),
                manual=Manual(
                    f"In TrueNAS, under Datasets, choose {pool.name} and “Export All Keys”. Keep "
                    "the file in two places outside the NAS, and see that it opens there."
                ),
            )


def _kind(lab: Lab, pool: Pool) -> str:
    system = lab.system(pool.host)
    return system.kind if system else "nothing"


def _refuse_elsewhere(lab: Lab, pool: Pool) -> None:
    kind = _kind(lab, pool)
    if kind != "truenas" and not (kind in LINUX and pool.host in lab.hosts):
        raise BadParameter(
            f"pool {pool.id} is on {pool.host}, which runs {kind}",
            where=f"pools.{pool.id}",
            fix="pools are made on TrueNAS, on Proxmox and on Linux hosts; make this one by hand, "
            "and say exists: true of it in place of its phase",
        )


class _Made(Described):
    """A pool of a TrueNAS as it is made, tested for and measured."""

    def ensure(self, ctx: Context) -> Iterator[nas_pool.Pool]:
        """What the NAS is to have."""
        yield nas_pool.Pool(
            self.pool.host,
            self.pool.name,
            self.vdevs,
            self.sizes,
            encrypted=self.pool.encryption == "key",
        )

    def tested(self, ctx: Context) -> Check:
        """Whether each disk has passed a long test."""
        host = ctx.host(self.pool.host)
        asked = [["name", "=", self.pool.name]]
        there = bool(call(host, "pool.query", asked, shape=[{"name": str}]))
        names = {} if there else {serial: name for name, serial in serials(host).items()}
        return self.passed(host, names, there=there)

    def check(self, ctx: Context) -> Iterator[Check]:
        """It is healthy."""
        shape = [{"status": str, "healthy": bool}]
        asked = [["name", "=", self.pool.name]]
        (row,) = call(ctx.host(self.pool.host), "pool.query", asked, shape=shape)
        says = f"TrueNAS calls it {row['status']}"
        yield Check(f"pool {self.pool.name} is healthy", row["healthy"], says)

    def measure(self, ctx: Context) -> Iterator[Measurement]:
        """What it holds."""
        asked = ([["id", "=", self.pool.name]], {"extra": {"retrieve_children": False}})
        rows = call(ctx.host(self.pool.host), "pool.dataset.query", *asked, shape=_ROOT)
        for row in rows:
            yield self.holds(row["used"]["parsed"] + row["available"]["parsed"])
