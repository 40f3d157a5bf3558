"""Pools that the lab describes and nobody has made yet, wherever they are: their disks tested
first, and named by their serial numbers."""

from collections.abc import Callable, Iterator, Mapping

from homelab_lib.control.truenas.smart import look_at_health
from homelab_lib.control.vdevs import Vdev
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.pools import Pool, draid
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check, Context, Manual, Measurement, Step
from homelab_lib.units import format_seconds
from homelab_lib.wiring.capacity import usable_of

_TEST_BYTES_PER_S = 180e6  # a large disk's mean from its outer to its inner edge


def vdevs_of(pool: Pool, called: Callable[[str], str]) -> Iterator[Vdev]:
    """The vdevs of a pool of the lab.

    Parameters
    ----------
    pool, called
        The pool, and what its disks are called there.
    """
    for group in pool.groups:
        found = draid(group.layout)
        yield Vdev(
            group.role,
            f"DRAID{found.parity}" if found else group.layout.upper(),
            tuple(called(name) for name in group.disks),
            found.data if found else None,
            found.spares if found else 0,
        )


class Described:
    """A pool of the lab that is to be made on disks that are named by their serial numbers.

    Parameters
    ----------
    lab, pool
        The lab, and one of its pools.

    Raises
    ------
    BadParameter
        Nobody logs in there, or a disk has no serial number in the lab: nobody could tell which is
        meant.
    """

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

    @property
    def vdevs(self) -> tuple[Vdev, ...]:
        """What it is to be made of."""
        return tuple(vdevs_of(self.pool, lambda name: self.disks[name].serial or ""))

    @property
    def sizes(self) -> dict[str, int]:
        """What each of its disks should hold [bytes], by its serial number."""
        disks = [self.disks[name] for name in self.pool.disks_for()]
        return {disk.serial or "": disk.capacity_bytes for disk in disks}

    def test(self, name: str, tested: Callable[[Context], Check]) -> Step:
        """The step in which its disks are tested before.

        Parameters
        ----------
        name
            What the step is called.
        tested
            Whether they have been.
        """
        return Step(
            name,
            f"Test the disks of pool {self.pool.name} from end to end",
            why="A new disk fails in its first days or after years. A long test reads all of it; "
            "one that fails it goes back to the shop before anything lies on it.",
            manual=Manual(self._ask, verify=tested, or_confirmed=True),
        )

    @property
    def _ask(self) -> str:
        largest = max(self.disks[name].capacity_bytes for name in self.pool.disks_for())
        return (
            f"Start a long test of each disk of pool {self.pool.name}, on {self.pool.host}: `sudo "
            "smartctl -t long /dev/sdX` (`lsblk -d -o NAME,SERIAL` tells which), and come back in "
            f"about {format_seconds(largest / _TEST_BYTES_PER_S)}"
        )

    def passed(self, host: Host, names: Mapping[str, str], *, there: bool) -> Check:
        """Whether each disk has had a long test and passed it; a pool that is there needs none.

        Parameters
        ----------
        host, names
            The machine, and the name of each of its disks by its serial number.
        there
            Whether the pool is there.
        """
        title = f"the disks of pool {self.pool.name} have passed a long test"
        if there:
            return Check(title, True, "the pool is there")
        said = [self._says(host, names, name) for name in self.pool.disks_for()]
        return Check(title, not any(said), "; ".join(each for each in said if each))

    def _says(self, host: Host, names: Mapping[str, str], disk: str) -> str:
        serial = self.disks[disk].serial or ""
        if serial not in names:
            return f"{host.name} has no disk {serial}"
        says = look_at_health(host, names[serial]).says
        return f"{serial} ({names[serial]}): {says}" if says else ""

    def holds(self, measured_bytes: float) -> Measurement:
        """What it holds [bytes], beside what OpenZFS's arithmetic gives for such disks."""
        name = f"usable capacity of pool {self.pool.name}"
        return Measurement(name, measured_bytes, "B", self.predicted_bytes)
