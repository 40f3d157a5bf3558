"""What a plain Linux machine or a Proxmox host stores and shares: pools, datasets, NFS and SMB.

A Proxmox host makes its pools in a runbook of its own, and what lies on them after that.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from homelab_lib.control import mark
from homelab_lib.control.linux import File, Packages, SystemdService
from homelab_lib.control.linux.exports import FOLDER, NfsExport, exported, line
from homelab_lib.control.linux.folders import Folder
from homelab_lib.control.linux.zfs import LinuxDataset
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.base import Made
from homelab_lib.lab.host import LINUX, Host
from homelab_lib.lab.nas import Nas
from homelab_lib.lab.storage import Dataset, NfsShare
from homelab_lib.recipes import same_disks
from homelab_lib.recipes.nas import linux_access, linux_pool
from homelab_lib.runbook.step import Check, Context, Step, Wanted

MAKES = ("pools", "datasets", "nas", "smb_shares", "nfs_shares")

Thing = TypeVar("Thing", bound=Made)
_NO_PROGRAM = 127


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The steps of plain Linux machines in a phase; see `on_proxmox`.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        Something can't be made: its key and what to do.
    """
    return _steps(lab, phase, [kind for kind in LINUX if kind != "proxmox"])


def on_proxmox(lab: Lab, phase: int) -> Iterator[Step]:
    """The steps of Proxmox hosts in a phase; see `steps`."""
    return _steps(lab, phase, ["proxmox"])


def _steps(lab: Lab, phase: int, kinds: Iterable[str]) -> Iterator[Step]:
    hosts = [host for host in lab.hosts.values() if host.os.kind in kinds]
    parts = [part for host in hosts if (part := LinuxNas(lab, host, phase)).has_steps]
    for part in parts:
        yield from part.steps(f"-{part.host.name}" if len(parts) > 1 else "")


class LinuxNas:
    """What a phase makes on one machine; see `steps`."""

    def __init__(self, lab: Lab, host: Host, phase: int) -> None:
        self.lab, self.host, self.phase = lab, host, phase
        used = [each.nfs.share for each in lab.clusters.values() if each.nfs is not None]
        shares = lab.nfs_shares.get(host.name, {}).values()
        mine = [each for each in shares if each.phase == phase and not each.exists]
        self.shares = [each for each in mine if each.id not in used]
        clusters = [each.dataset for each in mine if each.id in used]
        datasets = lab.datasets.get(host.name, {}).values()
        self.datasets = [
            each
            for each in datasets
            if each.phase == phase and not each.exists and each.name not in clusters
        ]
        self.pools = [] if host.os.kind == "proxmox" else self._mine(lab.pools.get(host.name, {}))
        nas = lab.nas.get(host.name) or Nas(name=host.name)
        self.groups, self.users = self._mine(nas.groups), self._mine(nas.users)
        self.acls, self.share_acls = self._mine(nas.acls), self._mine(nas.share_acls)
        self.smb_shares = self._mine(lab.smb_shares.get(host.name, {}))
        there = same_disks.standing(lab, host.name, phase)
        on = {place.strip("/").partition("/")[0] for place in self._places()}
        self.standing = [pool for pool in there if pool.name in on]

    def _places(self) -> Iterator[str]:
        """The datasets and paths at which something is made or changed."""
        yield from (each.dataset or each.path for each in self.shares)
        yield from (each.name for each in (*self.datasets, *self.acls))
        yield from (each.path for each in self.smb_shares)

    def _mine(self, things: Mapping[str, Thing]) -> list[Thing]:
        return [each for each in things.values() if each.phase == self.phase and not each.exists]

    @property
    def has_steps(self) -> bool:
        known = self.groups or self.users or self.acls
        return bool(
            self.pools
            or self.datasets
            or self.shares
            or known
            or self.smb_shares
            or self.share_acls
        )

    def steps(self, end: str) -> Iterator[Step]:
        """Pools first, and who there is; datasets and whom they belong to, then shares."""
        name = self.host.name
        if self.host.ssh is None or self.host.standalone:
            raise BadParameter(
                f"{name} is to store and share, and no runbook logs in there",
                where=f"hosts.{name}.ssh",
                fix="write the address and user by which it is reached, or say exists: true of "
                "what it shares",
            )
        made: tuple[str, ...] = ()
        if self.standing:
            made = (f"pools-ready{end}",)
            yield linux_pool.gate(self.lab, self.standing, made[0])
        pools = list(linux_pool.steps(self.lab, self.pools, end))
        yield from pools
        made = ready = (*made, *(step.name for step in pools))
        if self.groups or self.users:
            made = (*made, f"accounts{end}")
            yield linux_access.accounts(self.lab, name, self.groups, self.users, made[-1])
        if self.datasets:
            made = (*made, f"datasets{end}")
            yield Step(
                made[-1],
                f"Make the datasets {', '.join(each.name for each in self.datasets)}",
                why="Each kind of use gets a dataset of its own, with its own record size, quota "
                "and snapshots. It carries a mark with the lab's name; a dataset of that name "
                "without it is somebody's, and is left as it is.",
                needs=ready,
                ensure=lambda ctx: (dataset(self.lab, each) for each in _in_order(self.datasets)),
            )
        if self.acls:
            yield linux_access.permissions(self.lab, name, self.acls, f"permissions{end}", made)
            made = (*made, f"permissions{end}")
        if self.smb_shares or self.share_acls:
            yield linux_access.smb(self.lab, name, self.phase, f"smb{end}", made)
        if self.shares:
            _refuse(self.shares)
            yield Step(
                f"nfs{end}",
                f"Share {', '.join(each.name for each in self.shares)} by NFS",
                why="NFS asks nobody for a password: whoever has an address in one of the share's "
                "networks gets it. So only these are exported to, each by itself, by a file of "
                "ours beside those of others: what somebody else exports stays. A dataset that is "
                "not mounted is not exported, or clients would write into the folder under it.",
                needs=made,
                ensure=self._ensure,
                check=self._check,
            )

    def _ensure(self, ctx: Context) -> Iterator[Wanted]:
        for share in self.shares:
            yield from wanted(self.lab, share)

    def _check(self, ctx: Context) -> Iterator[Check]:
        for share in self.shares:
            yield is_exported(ctx, share)
            if share.maproot_user is None:
                writes = linux_access.may_write(ctx, share)
                yield replace(writes, title=f"who may write to {share.path}", holds=True)
            yield from seen(ctx, self.lab, share, self.phase)


def _in_order(datasets: Iterable[Dataset]) -> list[Dataset]:
    """What lies above comes first."""
    return sorted(datasets, key=lambda each: each.name)


def dataset(lab: Lab, described: Dataset) -> LinuxDataset:
    """A dataset of the lab as the machine is to have it."""
    return LinuxDataset(
        described.host,
        lab.name,
        described.name,
        described.recordsize_bytes,
        described.quota_bytes,
    )


def _refuse(shares: Iterable[NfsShare]) -> None:
    """Refuse what Linux does not map: a client's root as somebody else than root or nobody."""
    for share in shares:
        if share.maproot_user not in (None, "root"):
            raise BadParameter(
                f"a client's root is to become {share.maproot_user} on share {share.id}",
                where=f"nfs_shares.{share.id}.maproot_user",
                fix="on plain Linux it stays root, or becomes nobody: write root, or leave it out",
            )


def wanted(lab: Lab, share: NfsShare) -> Iterator[Wanted]:
    """An export and all that it stands on, in order: nothing is exported before it is there.

    Parameters
    ----------
    lab, share
        The lab, and a share of one of its Linux machines.

    Raises
    ------
    BadParameter
        It can't be made as it is described.
    """
    _refuse([share])
    host, options = share.host, _options(share)
    behind = lab.datasets.get(host, {}).get(share.dataset or "")
    if behind is not None and not behind.exists:
        yield dataset(lab, behind)
    yield Folder(host, share.path)
    yield Packages(host, ("nfs-kernel-server",))
    yield SystemdService(host, "nfs-server")
    file = f"{FOLDER}/homelab-{share.name}.exports"
    # Before its file is written anew: what stands in the old one is ours to take back.
    yield NfsExport(host, share.path, share.networks, options, file)
    text = f"# {mark.text(lab.name)}\n{line(share.path, share.networks, options)}"
    yield File(host, file, text, what=f"the export of {share.path} at each boot", lab=lab.name)


def _options(share: NfsShare) -> tuple[str, ...]:
    root = "no_root_squash" if share.maproot_user == "root" else "root_squash"
    place = f"/{share.dataset}"
    mounted = "mountpoint" if share.path == place else f"mountpoint={place}"
    return ("rw", "sync", "no_subtree_check", root, *((mounted,) if share.dataset else ()))


def is_exported(ctx: Context, share: NfsShare) -> Check:
    """Whether the server exports a share to its networks, and to no other."""
    found = exported(ctx.host(share.host)).get(share.path, {})
    right = sorted(found) == sorted(share.networks)
    says = f"exported to {', '.join(sorted(found)) or 'nobody'}"
    return Check(f"{share.path} is exported to its networks only", right, says)


def seen(ctx: Context, lab: Lab, share: NfsShare, phase: int) -> Iterator[Check]:
    """What those of its clients see of a share that stand already, and on which somebody logs in.

    Parameters
    ----------
    ctx, lab, share, phase
        What is looked at, and before which phase's end.
    """
    server = lab.hosts[share.host]
    for client in lab.hosts.values():
        earlier = client.phase is None or client.phase < phase
        known = client.os.kind in LINUX and client.ssh is not None and not client.standalone
        if client is server or not (earlier and known):
            continue
        address = _address_for(server, client, share)
        if address is None:
            continue
        words = ("showmount", "--no-headers", "-e", address)
        shown = ctx.host(client.name).read(*words, ok=None)
        title = f"{client.name} sees {share.path} at {address}"
        if shown.exit_status == _NO_PROGRAM:
            yield Check(title, True, "not looked at: it has no showmount (package nfs-common)")
            continue
        rows = [row.split(maxsplit=1)[0] for row in shown.stdout.splitlines() if row.strip()]
        says = shown.stderr.strip() or f"it exports {', '.join(rows) or 'nothing'}"
        yield Check(title, shown.exit_status == 0 and share.path in rows, says)


def _address_for(server: Host, client: Host, share: NfsShare) -> str | None:
    """The server's address in a network of the share that the client is in, too; None for none."""
    for text in share.networks:
        network = ipaddress.ip_network(text)
        own, theirs = (
            [at.ip for at in _addresses(each) if at.ip in network] for each in (server, client)
        )
        if own and theirs:
            return str(own[0])
    return None


def _addresses(host: Host) -> list[ipaddress.IPv4Interface | ipaddress.IPv6Interface]:
    return [ipaddress.ip_interface(cidr) for cidr in host.cidrs if "/" in cidr]
