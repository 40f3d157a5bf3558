"""Pools of a plain Linux machine: disks tested first, then made a pool of; and whether those that
are there lie on the disks that the lab says."""

from collections.abc import Iterator, Sequence

from homelab_lib.control.linux.disks import drives
from homelab_lib.control.linux.new_pool import LinuxPool
from homelab_lib.control.linux.pools import pool_state
from homelab_lib.control.linux.zfs import is_scrubbed, usable_bytes
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.pools import Pool
from homelab_lib.recipes import same_disks
from homelab_lib.recipes.nas.described_pool import Described
from homelab_lib.runbook.step import Check, Context, Measurement, Step


def gate(lab: Lab, pools: Sequence[Pool], name: str) -> Step:
    """A step that looks before anything is stored: at pools that are there already.

    Parameters
    ----------
    lab, pools
        The lab, and pools of one of its machines.
    name
        What the step is called.
    """

    return Step(
        name,
        f"See that {', '.join(pool.name for pool in pools)} of {pools[0].host} is what the lab "
        "says",
        why="What is called tank may be another tank: one that came in with somebody's old disks. "
        "And nothing is stored on a pool that has lost a disk before somebody has seen to it.",
        check=lambda ctx: whole(lab, ctx, pools),
        gate=True,
    )


def whole(lab: Lab, ctx: Context, pools: Sequence[Pool]) -> Iterator[Check]:
    """Whether pools are there with all that they are made of, and on the disks that the lab says.

    Parameters
    ----------
    lab, ctx, pools
        The lab, how its machines are asked, and pools of Linux machines.
    """
    for pool in pools:
        yield _whole(ctx, pool)
    yield from same_disks.checks(lab, ctx, pools)


def _whole(ctx: Context, pool: Pool) -> Check:
    found = pool_state(ctx.host(pool.host), pool.name)
    says = "there is none, or it is not imported" if found is None else f"it is {found.state}"
    whole = found is not None and found.state == "ONLINE"
    mends = "" if whole else "; `zpool status` says what it lacks, `zpool import` what could be had"
    return Check(f"pool {pool.name} of {pool.host} is whole", whole, says + mends)


def steps(lab: Lab, pools: Sequence[Pool], end: str) -> Iterator[Step]:
    """The steps that make pools of one machine.

    Parameters
    ----------
    lab, pools
        The lab, and the pools.
    end
        What the names of the machine's steps end in.

    Raises
    ------
    BadParameter
        One can't be made as it is described.
    """
    between = "." if end else "-"  # pool-box.old is of box, pool-box-old of a machine box-old
    for pool in pools:
        made = _Made(lab, pool)
        its = f"{end}{between}{pool.name}" if len(pools) > 1 else end
        yield made.test(f"burn-in{its}", made.tested)
        yield Step(
            f"pool{its}",
            f"Make pool {pool.name}: {pool.title}",
            why="The disks are found by the serial numbers that the lab names, whatever they are "
            "called since the last boot, and go in by names that stay theirs. One on which "
            "anything lies is left as it is: nothing is wiped, and nothing is forced. ZFS has to "
            "be installed there.",
            needs=(f"burn-in{its}",),
            ensure=made.ensure,
            check=made.check,
            measure=made.measure,
        )


class _Made(Described):
    """A pool of a Linux machine as it is made, tested for and measured."""

    def __init__(self, lab: Lab, pool: Pool) -> None:
        super().__init__(lab, pool)
        if pool.encryption != "none":
            raise BadParameter(
                f"pool {pool.id} is to be encrypted by a key that a NAS makes, and plain Linux "
                "makes none",
                where=f"pools.{pool.id}.encryption",
                fix="make it by hand (zpool create -O encryption=on …), and say exists: true of "
                "it in place of its phase",
            )

    def ensure(self, ctx: Context) -> Iterator[LinuxPool]:
        """What the machine is to have."""
        name = self.pool.name
        yield LinuxPool(self.pool.host, name, self.vdevs, self.sizes, self.pool.ashift)

    def tested(self, ctx: Context) -> Check:
        """Whether each disk has passed a long test."""
        host = ctx.host(self.pool.host)
        there = pool_state(host, self.pool.name) is not None
        names = {} if there else {drive.serial: drive.name for drive in drives(host)}
        return self.passed(host, names, there=there)

    def check(self, ctx: Context) -> Iterator[Check]:
        """It is whole, and is read once a month."""
        yield _whole(ctx, self.pool)
        if self.pool.scrub is not None:
            why = is_scrubbed(ctx.host(self.pool.host), self.pool.name)
            says = why or "by the distribution's own job, on the second Sunday of each"
            yield Check(f"pool {self.pool.name} is scrubbed each month", not why, says)

    def measure(self, ctx: Context) -> Iterator[Measurement]:
        """What it holds."""
        yield self.holds(usable_bytes(ctx.host(self.pool.host), self.pool.name))
