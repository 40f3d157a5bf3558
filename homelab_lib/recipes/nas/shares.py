"""How a NAS shares: by SMB, and by NFS with whatever is no cluster."""

from collections.abc import Iterator, Sequence
from typing import Any

from homelab_lib.answers import SCALAR, Shape
from homelab_lib.control.truenas.families import smb_share
from homelab_lib.control.truenas.midclt import call, release
from homelab_lib.control.truenas.service import NasService
from homelab_lib.control.truenas.settings import Settings
from homelab_lib.errors import StepFailed
from homelab_lib.lab import Lab
from homelab_lib.lab.accounts import ShareAcl
from homelab_lib.lab.nas import NfsService, SmbService
from homelab_lib.lab.storage import NfsShare, SmbShare
from homelab_lib.recipes.nas.access import share_access
from homelab_lib.recipes.nas.share import Share
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check, Context, Step, Wanted

_PURPOSES = {"MULTIPROTOCOL": "MULTIPROTOCOL_SHARE"}
_DATASETS: Shape = [{"casesensitivity?": {"rawvalue?": SCALAR}}]
_SHARES: Shape = [{"name": str, "enabled": bool}]
_NFS_VERSIONS = {"3": "NFSV3", "4": "NFSV4"}


def smb(
    lab: Lab,
    host: str,
    shares: Sequence[SmbShare],
    service: SmbService | None,
    acls: Sequence[ShareAcl],
    name: str,
    needs: tuple[str, ...],
) -> Step:
    """The step that shares by SMB.

    Parameters
    ----------
    lab, host, shares, service, acls
        The lab, the NAS, what it shares, how it speaks SMB, and who may use which share.
    name, needs
        What the step is called, and what it stands on.
    """

    def ensure(ctx: Context) -> Iterator[Wanted]:
        nas = ctx.host(host)
        if service is not None:
            yield Settings(host, "smb", _smb_settings(service))
        for share in shares:
            purpose = _purpose(lab, share)
            _assert_insensitive(nas, share, purpose)
            yield smb_share(host, lab.name, release(nas), share.name, share.path, purpose)
        for acl in acls:
            yield share_access(lab, host, acl, nas)
        if shares:
            yield NasService(host, release(nas), "cifs")

    def check(ctx: Context) -> Iterator[Check]:
        rows = call(ctx.host(host), "sharing.smb.query", shape=_SHARES)
        found = {row["name"] for row in rows if row["enabled"]}
        for share in shares:
            yield Check(f"{share.name} is shared by SMB", share.name in found)

    told = ", ".join(share.name for share in shares)
    return Step(
        name,
        f"Share {told} by SMB" if told else "Set how SMB is spoken",
        why="What Windows, macOS and phones see. A folder that Linux writes by NFS at the same "
        "time is shared as such, so that locks and permissions are the same on both ways.",
        needs=needs,
        ensure=ensure,
        check=check,
    )


def _smb_settings(service: SmbService) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "workgroup": service.workgroup,
        "encryption": service.encryption,
        "multichannel": service.multichannel,
        "aapl_extensions": service.apple,
        "bindip": list(service.listen),
    }
    return wanted | ({"netbiosname": service.netbios_name} if service.netbios_name else {})


def _purpose(lab: Lab, share: SmbShare) -> str:
    """As 25.10 and later call it: by what else its dataset is shared with."""
    dataset = lab.datasets.get(share.host, {}).get(share.dataset or "")
    return _PURPOSES.get(dataset.share_type if dataset else "", "DEFAULT_SHARE")


def _assert_insensitive(nas: Host, share: SmbShare, purpose: str) -> None:
    """To Windows ``A`` and ``a`` are one file. Where they are two, it loses one of them.

    Raises
    ------
    StepFailed
        They are two in the share's dataset, and it is not made for both kinds of clients.
    """
    asked = ([["id", "=", share.dataset]], {"extra": {"retrieve_children": False}})
    rows = call(nas, "pool.dataset.query", *asked, shape=_DATASETS)
    found = rows[0].get("casesensitivity", {}).get("rawvalue") if rows else None
    if purpose == "DEFAULT_SHARE" and found == "sensitive":
        raise StepFailed(
            f"SMB share {share.name} lies on dataset {share.dataset}, which tells capitals apart: "
            "Windows doesn't, and would show one of two files that differ in them alone",
            where=f"smb_shares.{share.id}",
            fix="share a dataset with  share_type: SMB  (or MULTIPROTOCOL, where NFS has it, too); "
            "that can't be changed later, so make a new one and copy the files",
        )


def nfs(
    lab: Lab,
    host: str,
    shares: Sequence[NfsShare],
    service: NfsService | None,
    name: str,
    needs: tuple[str, ...],
) -> Step:
    """The step that shares by NFS what no cluster stands on.

    Parameters
    ----------
    lab, host, shares, service
        The lab, the NAS, what it shares, and how it speaks NFS.
    name, needs
        What the step is called, and what it stands on.

    Raises
    ------
    BadParameter
        A share is to be made where we can't make it.
    """
    there = [Share(lab, share, None) for share in shares]

    def ensure(ctx: Context) -> Iterator[Wanted]:
        if service is not None:
            yield Settings(host, "nfs", _nfs_settings(service))
        for each in there:
            yield from each.ensure(ctx)

    def check(ctx: Context) -> Iterator[Check]:
        for each in there:
            yield from each.check(ctx)

    told = ", ".join(share.name for share in shares)
    return Step(
        name,
        f"Share {told} by NFS" if told else "Set how NFS is spoken",
        why="NFS asks nobody for a password: whoever has an address in one of the share's networks "
        "gets it. So only the networks that the lab names are exported to, and no others.",
        needs=needs,
        ensure=ensure,
        check=check,
    )


def _nfs_settings(service: NfsService) -> dict[str, Any]:
    protocols = [_NFS_VERSIONS[version] for version in service.versions]
    wanted: dict[str, Any] = {"protocols": protocols, "bindip": list(service.listen)}
    return wanted | ({"servers": service.threads} if service.threads else {})
