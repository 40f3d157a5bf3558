"""Whether a pool that is there lies on the disks that the lab says.

What is called tank may be another tank, and a disk that was replaced has another serial number.
"""

from collections.abc import Iterable, Iterator

from homelab_lib.control.linux import pools as linux_pools
from homelab_lib.control.proxmox import pool as node_pool
from homelab_lib.control.truenas import pool as nas_pool
from homelab_lib.control.vdevs import in_words, settled
from homelab_lib.lab import Lab
from homelab_lib.lab.host import LINUX
from homelab_lib.lab.pools import Pool
from homelab_lib.recipes.nas.described_pool import vdevs_of
from homelab_lib.runbook.step import Check, Context


def standing(lab: Lab, host: str, phase: int) -> list[Pool]:
    """The pools of a machine that a phase finds: those that neither it nor a later one makes.

    Parameters
    ----------
    lab, host, phase
        The lab, the machine, and the number of the phase.
    """
    pools = lab.pools.get(host, {}).values()
    return [pool for pool in pools if pool.exists or pool.phase is None or pool.phase < phase]


def checks(lab: Lab, ctx: Context, pools: Iterable[Pool]) -> Iterator[Check]:
    """Whether each pool lies on the disks that the lab says, by their serial numbers; on plain
    Linux, whether it is made up of them as it says, too.

    Parameters
    ----------
    lab, ctx
        The lab, and how its machines are asked.
    pools
        Pools of machines that we log in to. Disks without a serial number in the lab may be any.
    """
    for pool in pools:
        host, system = ctx.host(pool.host), lab.system(pool.host)
        disks = lab.hardware(pool.host).disks
        wanted = {disks[name].serial: name for name in pool.disks_for() if disks[name].serial}
        if system is not None and system.kind in LINUX and system.kind != "proxmox":
            there = linux_pools.pool_state(host, pool.name)
            if wanted:
                yield _check(
                    pool, wanted, None if there is None else linux_pools.lies_on(host, there)
                )
            if there is not None:
                yield _made_up(pool, there)
        elif wanted and system is not None and system.kind == "proxmox":
            found = node_pool.lies_on(host, system.node or pool.host, pool.name)
            yield _check(pool, wanted, found)
        elif wanted:
            yield _check(pool, wanted, nas_pool.lies_on(host, pool.name))


def _made_up(pool: Pool, there: linux_pools.PoolState) -> Check:
    """Whether a pool's disks stand for each other as the lab says: of the same two disks a stripe
    is lost with either, and a mirror with both."""
    found = settled([list(vdev) for vdev in there.vdevs])
    meant = settled([[vdev.role, *vdev.shape] for vdev in vdevs_of(pool, str)])
    shapes = [
        sorted((role, kind, len(disks)) for role, kind, disks in each) for each in (found, meant)
    ]
    title = f"pool {pool.name} of {pool.host} is made up as the lab says"
    says = f"it is {in_words(found)}"
    same = shapes[0] == shapes[1]
    mends = "" if same else f", and the lab says {pool.title}: describe it as it is"
    return Check(title, same, says + mends)


def _check(pool: Pool, wanted: dict[str | None, str], found: list[str] | None) -> Check:
    title = f"pool {pool.name} of {pool.host} lies on the disks that the lab says"
    if found is None:
        return Check(title, False, "there is no such pool, or it is not imported")
    missing = [f"{serial} ({name})" for serial, name in wanted.items() if serial not in found]
    others = [serial for serial in found if serial not in wanted]
    all_named = len(wanted) == len(pool.disks_for())
    if not missing and not (others and all_named):
        return Check(title, True, ", ".join(found))
    says = f"the lab says {', '.join(missing)}, " if missing else ""
    says += f"it lies on {', '.join(others) or 'no other'} {'instead' if missing else 'besides'}"
    says += f"; `lsblk -o NAME,SERIAL` on {pool.host} tells which is which: write what is true into"
    return Check(title, False, f"{says} hosts.{pool.host}.disks, or into pools.{pool.id}")
