"""The share that a cluster keeps its volumes on."""

from collections.abc import Iterator

from homelab_lib.control.truenas.dataset import Dataset
from homelab_lib.control.truenas.families import nfs_share
from homelab_lib.control.truenas.midclt import call, release
from homelab_lib.control.truenas.service import NasService
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.lab.per_host import at
from homelab_lib.runbook.step import Check, Context, Wanted


class Share:
    """The dataset, its export, and the service that exports it.

    Parameters
    ----------
    lab, cluster
        The cluster's storage class names the share.
    """

    def __init__(self, lab: Lab, cluster: Cluster) -> None:
        assert cluster.nfs is not None
        share = at(lab.nfs_shares, cluster.nfs.share)
        assert share is not None
        self.lab = lab.name
        self.share = share
        self.dataset = lab.datasets.get(share.host, {}).get(share.dataset or "")
        system = lab.system(share.host)
        kind = system.kind if system else "nothing"
        self.on_truenas = kind == "truenas"
        if not self.on_truenas and not share.exists:
            raise BadParameter(
                f"share {self.share.name!r} is on {self.share.host}, which runs {kind}",
                where=f"nfs_shares.{self.share.id}",
                fix="phase2 makes shares on TrueNAS only; make this one by hand, and say "
                "exists: true of it",
            )

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """Dataset, export, service, in that order: nothing is exported before it is there."""
        host = self.share.host
        if self.share.exists:
            return  # looked at by the check, and by the pods that mount it
        nas = release(ctx.host(host))
        if self.dataset is not None and not self.dataset.exists:  # else it is there already
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
        """The export is open to the cluster's network, and as far as we made it to no other; where
        the NAS can be asked."""
        if not self.on_truenas:
            return
        rows = call(
            ctx.host(self.share.host), "sharing.nfs.query", [["path", "=", self.share.path]]
        )
        found = [sorted(row["networks"]) for row in rows if row["enabled"]]
        told = ["everybody" if not networks else ", ".join(networks) for networks in found]
        says = f"exported to {'; and to '.join(told) or 'nobody'}"
        right = sorted(self.share.networks) in found and [] not in found
        yield Check(f"{self.share.path} is exported to the cluster only", right, says)
