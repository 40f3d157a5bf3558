"""A ZFS pool of a Proxmox node, made of the disks of these serial numbers and never by force.

Source: `PVE::API2::Disks::ZFS` (pve-storage 9.1): a disk in use is refused, `zpool create` is not
forced. That guards a disk that looks used; what looks free and isn't, is guarded here.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from homelab_lib.answers import Shape, whole
from homelab_lib.control.linux.disks import signatures
from homelab_lib.control.proxmox.api import api, changing, follow_task
from homelab_lib.runbook.resource import Change, Diff, Host

_DISKS: Shape = [
    {"devpath": str, "serial?": str, "size": whole, "used?": str, "model?": str}
]  # fmt: skip
_POOLS: Shape = [{"name": str, "health?": str}]
_LEVELS = {"stripe": "single", "raidz1": "raidz", "draid1": "draid"}
_MOST_APART = 0.01  # of the sizes of a vdev's disks: what is larger is lost


def _leaves(rows: Any) -> list[str]:
    """The devices of a pool's tree.

    Raises
    ------
    ValueError
        It is none.
    """
    if not isinstance(rows, list):
        raise ValueError("expected is a list of devices")
    found: list[str] = []
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("name"), str):
            raise ValueError("expected is a device with a name")
        found += _leaves(row["children"]) if row.get("children") else [row["name"]]
    return found


_POOL: Shape = {"children?": _leaves}


@dataclass(frozen=True)
class ZfsPool:
    """A pool of one vdev.

    Parameters
    ----------
    host, node, pool
        The machine, its node name, and the pool's.
    layout
        As zpool has it: ``mirror``.
    serials
        The serial numbers of its disks; nothing else tells two of a kind apart.
    ashift
        Sector size as a power of two.
    """

    host: str
    node: str
    pool: str
    layout: str
    serials: tuple[str, ...]
    ashift: int = 12
    timeout_s: float = 300.0
    looks_at: ClassVar[str] = "runs"

    @property
    def name(self) -> str:
        return f"pool {self.pool}"

    # ------------------------------------------------------------------ looking

    def observe(self, host: Host) -> dict[str, Any]:
        """Its disks as they are, and the pool with those that it stands on."""
        rows = _disks(host, self.node)
        pools = api(host, f"/nodes/{self.node}/disks/zfs", shape=_POOLS)
        there = next((row for row in pools if row["name"] == self.pool), None)
        serials = {row["devpath"]: row.get("serial", "").strip() for row in rows}
        members = [] if there is None else _members(host, self.node, self.pool, serials)
        mine = [row for row in rows if row.get("serial", "").strip() in self.serials]
        return {
            "health": "" if there is None else there.get("health", "unknown"),
            "members": sorted(members),
            "disks": [
                {
                    "path": row["devpath"],
                    "serial": row.get("serial", "").strip(),
                    "model": row.get("model", ""),
                    "size_bytes": row["size"],
                    "used": row.get("used", ""),
                    "labels": [] if there is not None else _labels(host, row["devpath"]),
                }
                for row in mine
            ],
        }

    # ------------------------------------------------------------------- saying

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["health"]:
            return Diff(conflict=self._another(observed))
        if conflict := self._unfit(observed["disks"]):
            return Diff(conflict=conflict)
        disks = {disk["serial"]: disk for disk in observed["disks"]}
        paths = [disks[serial]["path"] for serial in self.serials]
        call = changing(
            "create",
            f"/nodes/{self.node}/disks/zfs",
            *("--name", self.pool),
            *("--raidlevel", _LEVELS.get(self.layout, self.layout)),
            *("--devices", ",".join(paths)),
            *("--ashift", str(self.ashift)),
            *("--compression", "lz4"),
            timeout_s=self.timeout_s,
        )
        told = " and ".join(f"{path} ({serial})" for path, serial in
                            zip(paths, self.serials, strict=True))  # fmt: skip
        return Diff(
            (
                Change(
                    f"make pool {self.pool}, a {self.layout} of {told}",
                    call,
                    undo=f"zpool destroy {self.pool}",
                    detached=True,
                    follow=follow_task(self.node),
                ),
            )
        )

    def _another(self, observed: dict[str, Any]) -> str:
        """What is wrong with the pool that is there; empty for nothing."""
        if observed["members"] != sorted(self.serials):
            found = ", ".join(observed["members"]) or "disks that nobody names"
            return (
                f"there is a pool {self.pool} on {self.node} already, of {found} and not of "
                f"{', '.join(self.serials)}; nothing is done to it: import it under another name, "
                "or describe it as it is"
            )
        if observed["health"] != "ONLINE":
            return f"pool {self.pool} is {observed['health']}: see to its disks (zpool status)"
        return ""

    def _unfit(self, disks: list[dict[str, Any]]) -> str:
        """Why the disks are not to be used; empty where they are free."""
        for serial in self.serials:
            mine = [disk for disk in disks if disk["serial"] == serial]
            if not mine:
                return (
                    f"{self.node} has no disk with serial number {serial}; look at the label of "
                    f"the disk, or at what pvesh get /nodes/{self.node}/disks/list says"
                )
            if len(mine) > 1:
                paths = ", ".join(disk["path"] for disk in mine)
                return f"{paths} all say that they are {serial}: which one is meant?"
        for disk in disks:
            what = f"{disk['path']} ({disk['serial']})"
            if disk["used"]:
                return f"{what} is in use: {disk['used']}; nothing is forced, so it is left alone"
            if disk["labels"]:
                told = ", ".join(disk["labels"])
                return (
                    f"{what} has something on it: {told}; nothing is wiped here: look whose it "
                    f"is, and clear it by hand (wipefs -a {disk['path']}) if nobody needs it"
                )
        sizes = [disk["size_bytes"] for disk in disks]
        if min(sizes) < max(sizes) * (1 - _MOST_APART):
            told = " and ".join(f"{size / 1e9:.0f} GB" for size in sorted(sizes))
            return f"the disks of {self.pool} are of {told}: what the larger has more, is lost"
        return ""


def lies_on(host: Host, node: str, pool: str) -> list[str] | None:
    """The serial numbers of the disks that a pool lies on; None where there is no such pool.

    Parameters
    ----------
    host, node, pool
        The machine, its node name, and the pool's.
    """
    pools = api(host, f"/nodes/{node}/disks/zfs", shape=_POOLS)
    if pool not in [row["name"] for row in pools]:
        return None
    rows = _disks(host, node)
    serials = {row["devpath"]: row.get("serial", "").strip() for row in rows}
    return sorted(_members(host, node, pool, serials))


def _disks(host: Host, node: str) -> list[dict[str, Any]]:
    path = f"/nodes/{node}/disks/list"
    found: list[dict[str, Any]] = api(host, path, "--skipsmart", "1", shape=_DISKS)
    return found


def _members(host: Host, node: str, pool: str, serials: dict[str, str]) -> list[str]:
    detail = api(host, f"/nodes/{node}/disks/zfs/{pool}", shape=_POOL)
    return [_serial_of(host, leaf, serials) for leaf in detail.get("children", [])]


def _serial_of(host: Host, leaf: str, serials: dict[str, str]) -> str:
    """The serial number of the disk that a pool's device lies on; its own name for none."""
    shown = host.read("readlink", "-f", leaf, ok=(0, 1)) if leaf.startswith("/dev/") else None
    real = shown.stdout.strip() if shown is not None else leaf
    on = (path for path in serials if _is_on(real, path) or _is_on(f"/dev/{real}", path))
    path = next(on, "")
    return serials.get(path) or leaf


def _is_on(device: str, disk: str) -> bool:
    """Whether a device is a disk, or a partition of it."""
    joint = "p" if disk[-1:].isdigit() else ""
    rest = device.removeprefix(f"{disk}{joint}")
    return device == disk or (device.startswith(f"{disk}{joint}") and rest.isdigit())


def _labels(host: Host, path: str) -> list[str]:
    """What stands on a disk itself, in words."""
    return [f"{kind} {label}".strip() for kind, label in signatures(host, path)]
