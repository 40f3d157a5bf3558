"""An NFS share: made on a TrueNAS, looked at where it is there already."""

import ipaddress
from collections.abc import Iterator

from homelab_lib.control.truenas.families import nfs_share
from homelab_lib.control.truenas.midclt import call, release
from homelab_lib.control.truenas.service import NasService
from homelab_lib.errors import BadParameter, StepFailed
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.lab.host import LINUX
from homelab_lib.lab.storage import NfsShare
from homelab_lib.recipes import same_disks
from homelab_lib.recipes.nas import linux, linux_pool
from homelab_lib.recipes.nas.datasets import resource
from homelab_lib.runbook.step import Check, Context, Step, Wanted

_NO_PROGRAM = 127


def step(
    lab: Lab, share: NfsShare, user: Cluster | None, name: str, machines: tuple[str, ...]
) -> Step:
    """The step of one share.

    Parameters
    ----------
    lab, share, name
        The share, and what its step is called.
    user
        The cluster that keeps its volumes there; None for none.
    machines
        Steps after which the cluster's nodes can be asked what they see of it.

    Raises
    ------
    BadParameter
        It is to be made where we can't make it, or be looked at by nobody.
    """
    there = Share(lab, share, user)
    if share.exists:
        return Step(
            name,
            "Look whether the share is exported to the cluster",
            why="This share is there already, and stays as it is. What counts is what those see "
            "that are to mount it, so it is they who ask.",
            needs=() if there.on_truenas else machines,
            check=there.check,
        )
    return Step(
        name,
        "Make the dataset and export it"
        + (" to the cluster's network" if user else f" as {share.path}"),
        why="A dataset of its own and an NFS share of it, for the networks that the lab names and "
        "no other. Nothing is exported before it is there.",
        ensure=there.ensure,
        check=there.check,
    )


class Share:
    """The dataset, its export, and the service that exports it; see `step`."""

    def __init__(self, lab: Lab, share: NfsShare, user: Cluster | None) -> None:
        self.lab = lab
        self.share = share
        self.user = user
        self.dataset = lab.datasets.get(share.host, {}).get(share.dataset or "")
        system = lab.system(share.host)
        kind = system.kind if system else "nothing"
        login = share.host in lab.machines()
        self.on_truenas = kind == "truenas" and login
        self.on_linux = kind in LINUX and login and share.host in lab.hosts
        if not share.exists and not (self.on_truenas or self.on_linux):
            raise BadParameter(
                f"share {share.name!r} is on {share.host}, which runs {kind}"
                + ("" if login else " and has no SSH login"),
                where=f"nfs_shares.{share.id}",
                fix="shares are made on TrueNAS and on Linux hosts, over SSH; make this one by "
                "hand, and say exists: true of it in place of its phase",
            )

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """Dataset, export, service, in that order: nothing is exported before it is there."""
        host = self.share.host
        name = (self.share.dataset or "").partition("/")[0]
        mine = [pool for pool in self.lab.pools.get(host, {}).values() if pool.name == name]
        looked_at = linux_pool.whole if self.on_linux else same_disks.checks
        for found in looked_at(self.lab, ctx, mine):
            if not found.holds:
                raise StepFailed(
                    f"not so: {found.title}",
                    where=f"pools.{host}.{name}",
                    fix=found.says,
                )
        if self.on_linux:
            yield from linux.wanted(self.lab, self.share)
            return
        nas = release(ctx.host(host))
        if self.dataset is not None and not self.dataset.exists:  # else it is there already
            yield resource(self.lab, self.dataset)
        yield nfs_share(
            host,
            self.lab.name,
            nas,
            self.share.path,
            self.share.networks,
            self.share.maproot_user,
            self.share.maproot_group,
        )
        yield NasService(host, nas, "nfs")

    def check(self, ctx: Context) -> Iterator[Check]:
        """The export is open to the share's networks, and as far as we made it to no other."""
        yield from self._nodes_are_in_it()
        if self.on_linux and not self.share.exists:
            yield linux.is_exported(ctx, self.share)
            return
        if not self.on_truenas:
            yield from self._seen_by_the_node(ctx)
            return
        rows = call(
            ctx.host(self.share.host),
            "sharing.nfs.query",
            [["path", "=", self.share.path]],
            shape=[{"networks": [str], "enabled": bool}],
        )
        found = [sorted(row["networks"]) for row in rows if row["enabled"]]
        told = ["everybody" if not networks else ", ".join(networks) for networks in found]
        says = f"exported to {'; and to '.join(told) or 'nobody'}"
        right = sorted(self.share.networks) in found and [] not in found
        to = "the cluster" if self.user else "its networks"
        yield Check(f"{self.share.path} is exported to {to} only", right, says)

    def _nodes_are_in_it(self) -> Iterator[Check]:
        """A network that was mistyped shows here, and not when the first pod can't mount it."""
        if self.user is None:
            return
        networks = [ipaddress.ip_network(each) for each in self.share.networks]
        outside = []
        for node in self.user.vms:
            mine = [ipaddress.ip_interface(each).ip for each in self.lab.vms[node].addresses]
            if mine and not any(ip in network for ip in mine for network in networks):
                outside.append(f"{node} has {mine[0]}")
        told = ", ".join(self.share.networks)
        says = f"{'; '.join(outside)}, and {self.share.path} is exported to {told} only"
        title = f"the nodes of cluster {self.user.name} are in its networks"
        yield Check(title, not outside, says if outside else told, looks_at="written")

    def _seen_by_the_node(self, ctx: Context) -> Iterator[Check]:
        """What the server tells a node of the cluster that it exports.

        A server that speaks NFS 4 alone tells nobody; then the pods that mount it will.
        """
        assert self.user is not None
        assert self.user.nfs is not None
        node, server = ctx.host(self.user.first_server), self.user.nfs.server_address
        shown = node.read("showmount", "--no-headers", "-e", server, ok=None)
        title = f"{server} exports {self.share.path} to {node.name}"
        if shown.exit_status:
            untold = shown.exit_status == _NO_PROGRAM or "not registered" in shown.stderr
            says = "it does not tell; the pods that mount it will" if untold else shown.stderr
            yield Check(title, untold, says.strip())
            return
        rows = [line.split(maxsplit=1) for line in shown.stdout.splitlines() if line.strip()]
        mine = [row for row in rows if row[0] == self.share.path]
        says = "; ".join(" ".join(row) for row in mine or rows) or "it exports nothing"
        yield Check(title, bool(mine), says)
