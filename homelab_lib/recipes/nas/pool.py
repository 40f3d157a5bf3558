"""Pools of a TrueNAS: disks tested first, then made a pool of, by their serial numbers."""

from collections.abc import Iterator

from homelab_lib.answers import Shape
from homelab_lib.control.truenas import pool as nas_pool
from homelab_lib.control.truenas.disks import serials
from homelab_lib.control.truenas.midclt import call
from homelab_lib.control.truenas.smart import look_at_health
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.per_host import every
from homelab_lib.lab.pools import Pool, draid
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check, Context, Manual, Measurement, Step
from homelab_lib.units import format_seconds
from homelab_lib.wiring.capacity import usable_of

MAKES = ("pools",)
BURN_IN = "nas-burn-in"
"""How the steps are called that look whether disks were tested."""

_TEST_BYTES_PER_S = 180e6  # a large disk's mean from its outer to its inner edge
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
        A pool is on no TrueNAS or Proxmox, or a disk has no serial number in the lab: nobody could
        tell which is meant.
    """
    wanted = [pool for pool in every(lab.pools) if pool.phase == phase and not pool.exists]
    for pool in wanted:
        _refuse_elsewhere(lab, pool)
    pools = [pool for pool in wanted if _kind(lab, pool) == "truenas"]
    for pool in pools:
        end = "" if len(pools) == 1 else f"-{pool.host}-{pool.name}"
        made = _Made(lab, pool)
        yield Step(
            f"{BURN_IN}{end}",
            f"Test the disks of pool {pool.name} from end to end",
            why="A new disk fails in its first days or after years. A long test reads all of it; "
            "one that fails it goes back to the shop before anything lies on it.",
            manual=Manual(made.ask, verify=made.tested, or_confirmed=True),
        )
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
    if _kind(lab, pool) not in ("truenas", "proxmox"):
        raise BadParameter(
            f"pool {pool.id} is on {pool.host}, which runs {_kind(lab, pool)}",
            where=f"pools.{pool.id}",
            fix="pools are made on TrueNAS and on Proxmox; make this one by hand, and say exists: "
            "true of it in place of its phase",
        )


class _Made:
    """A pool of the lab as it is made, tested for and measured."""

    def __init__(self, lab: Lab, pool: Pool) -> None:
        self.pool = pool
        self.disks = lab.hardware(pool.host).disks
        self.predicted_bytes = usable_of(lab, pool)
        if pool.host not in lab.machines():
            raise BadParameter(
                f"pool {pool.id} is on {pool.host}, which has no SSH login",
                where=f"pools.{pool.id}",
                fix="write  ssh: {address: …, user: …}  there, or say exists: true of the pool",
            )
        for name in pool.disks_for():
            if not self.disks[name].serial:
                raise BadParameter(
                    f"disk {name} of pool {pool.id} has no serial number in the lab, so nobody can "
                    "tell which one is meant",
                    where=f"hosts.{pool.host}.disks.{name}",
                    fix="read it off its label, or run `lsblk -d -o NAME,SIZE,SERIAL` there, and "
                    "write  serial: …",
                )

    def ensure(self, ctx: Context) -> Iterator[nas_pool.Pool]:
        """What the NAS is to have."""
        disks = {name: self.disks[name] for name in self.pool.disks_for()}
        yield nas_pool.Pool(
            self.pool.host,
            self.pool.name,
            tuple(self._vdevs()),
            {disk.serial or "": disk.capacity_bytes for disk in disks.values()},
            encrypted=self.pool.encryption == "key",
        )

    def _vdevs(self) -> Iterator[nas_pool.Vdev]:
        for group in self.pool.groups:
            found = draid(group.layout)
            yield nas_pool.Vdev(
                group.role,
                f"DRAID{found.parity}" if found else group.layout.upper(),
                tuple(self.disks[name].serial or "" for name in group.disks),
                found.data if found else None,
                found.spares if found else 0,
            )

    @property
    def ask(self) -> str:
        """What a person has to do before."""
        largest = max(self.disks[name].capacity_bytes for name in self.pool.disks_for())
        return (
            f"Start a long test of each disk of pool {self.pool.name}, on {self.pool.host}: `sudo "
            "smartctl -t long /dev/sdX` (`lsblk -d -o NAME,SERIAL` tells which), and come back in "
            f"about {format_seconds(largest / _TEST_BYTES_PER_S)}"
        )

    def tested(self, ctx: Context) -> Check:
        """Whether each disk has had a long test and passed it; a pool that is there needs none."""
        host = ctx.host(self.pool.host)
        title = f"the disks of pool {self.pool.name} have passed a long test"
        if call(host, "pool.query", [["name", "=", self.pool.name]], shape=[{"name": str}]):
            return Check(title, True, "the pool is there")
        names = {serial: name for name, serial in serials(host).items()}
        said = [self._says(host, names, name) for name in self.pool.disks_for()]
        return Check(title, not any(said), "; ".join(each for each in said if each))

    def _says(self, host: Host, names: dict[str, str], disk: str) -> str:
        serial = self.disks[disk].serial or ""
        if serial not in names:
            return f"{host.name} has no disk {serial}"
        says = look_at_health(host, names[serial]).says
        return f"{serial} ({names[serial]}): {says}" if says else ""

    def check(self, ctx: Context) -> Iterator[Check]:
        """It is healthy."""
        shape = [{"status": str, "healthy": bool}]
        asked = [["name", "=", self.pool.name]]
        (row,) = call(ctx.host(self.pool.host), "pool.query", asked, shape=shape)
        says = f"TrueNAS calls it {row['status']}"
        yield Check(f"pool {self.pool.name} is healthy", row["healthy"], says)

    def measure(self, ctx: Context) -> Iterator[Measurement]:
        """What it holds, beside what OpenZFS's arithmetic gives for such disks."""
        asked = ([["id", "=", self.pool.name]], {"extra": {"retrieve_children": False}})
        rows = call(ctx.host(self.pool.host), "pool.dataset.query", *asked, shape=_ROOT)
        for row in rows:
            holds = row["used"]["parsed"] + row["available"]["parsed"]
            name = f"usable capacity of pool {self.pool.name}"
            yield Measurement(name, holds, "B", self.predicted_bytes)
