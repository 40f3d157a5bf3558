"""The share that a cluster keeps its volumes on."""

from collections.abc import Iterator

from homelab_lib.control.truenas.dataset import Dataset
from homelab_lib.control.truenas.families import nfs_share
from homelab_lib.control.truenas.midclt import call, release
from homelab_lib.control.truenas.service import NasService
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.runbook.step import Check, Context, Wanted


class Share:
    """The dataset, its export, and the service that exports it.

    Parameters
    ----------
    lab, cluster
        The cluster's storage class names the share.
    """

    def __init__(self, lab: Lab, cluster: Cluster) -> None:
        assert cluster.storage_class is not None
        self.lab = lab.name
        self.share = lab.nfs_shares[cluster.storage_class.share]
        self.dataset = lab.datasets[self.share.dataset]
        host = lab.hosts[self.share.host]
        if host.os.kind != "truenas":
            raise BadParameter(
                f"share {self.share.name!r} is on {self.share.host}, which runs {host.os.kind}",
                where=f"nfs_shares.{self.share.name}.host",
                fix="phase2 makes shares on TrueNAS only; make this one by hand",
            )

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """Dataset, export, service, in that order: nothing is exported before it is there."""
        host = self.share.host
        nas = release(ctx.host(host))
        yield Dataset(
            host,
            self.lab,
            self.dataset.name,
            self.dataset.share_type,
            self.dataset.recordsize_bytes,
            self.dataset.quota_bytes,
        )
        yield nfs_share(
            host,
            self.lab,
            nas,
            self.share.path,
            self.share.networks,
            self.share.maproot_user,
            self.share.maproot_group,
        )
        yield NasService(host, nas, "nfs")

    def check(self, ctx: Context) -> Iterator[Check]:
        """The export is open to the cluster's network, and as far as we made it to no other."""
        rows = call(
            ctx.host(self.share.host), "sharing.nfs.query", [["path", "=", self.share.path]]
        )
        found = [sorted(row["networks"]) for row in rows if row["enabled"]]
        told = ["everybody" if not networks else ", ".join(networks) for networks in found]
        says = f"exported to {'; and to '.join(told) or 'nobody'}"
        right = sorted(self.share.networks) in found and [] not in found
        yield Check(f"{self.share.path} is exported to the cluster only", right, says)
