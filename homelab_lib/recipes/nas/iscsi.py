"""Block devices that a NAS lends by iSCSI: who may log in where, and what is lent to them."""

from collections.abc import Iterator
from typing import Any

from homelab_lib.answers import whole
from homelab_lib.control.truenas import iscsi
from homelab_lib.control.truenas.midclt import Release, call, release
from homelab_lib.control.truenas.service import NasService
from homelab_lib.errors import StepFailed
from homelab_lib.lab import Lab
from homelab_lib.lab.iscsi import Iscsi, IscsiAuth, IscsiExtent, IscsiTarget
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Context, Step, Wanted


def step(lab: Lab, host: str, lends: Iscsi, name: str, needs: tuple[str, ...]) -> Step:
    """The step that lends by iSCSI.

    Parameters
    ----------
    lab, host, lends
        The lab, the NAS, and what of its iSCSI is to be made.
    name, needs
        What the step is called, and what it stands on.
    """

    def ensure(ctx: Context) -> Iterator[Wanted]:
        nas = ctx.host(host)
        where = (host, lab.name, release(nas))
        for portal in lends.portals.values():
            yield iscsi.portal(*where, portal.name, portal.listen)
        for group in lends.initiators.values():
            yield iscsi.initiators(*where, group.name, group.names)
        for auth in lends.auths.values():
            yield _login(where, auth, ctx)
        for extent in lends.extents.values():
            if extent.zvol is not None:
                size, sparse = extent.size_bytes, extent.sparse
                yield iscsi.Volume(host, lab.name, extent.zvol, size, sparse)
            yield _extent(where, extent)
        for target in lends.targets.values():
            yield _target(where, target, lab.nas[host].iscsi or lends, nas)
        for target in lends.targets.values():
            number = _row(nas, "iscsi.target.query", "name", target.name)
            for lun, extent_name in target.extents.items():
                lent = _row(nas, "iscsi.extent.query", "name", extent_name)
                yield iscsi.lent(*where, number, lun, lent)
        if lends.targets:
            yield NasService(host, release(nas), "iscsitarget")

    told = ", ".join(lends.targets) or ", ".join(lends.extents) or "its portals"
    return Step(
        name,
        f"Lend {told} by iSCSI",
        why="A block device has one user: two machines that write to it without knowing of each "
        "other destroy what is on it. So each target names who may log in, and from where.",
        needs=needs,
        ensure=ensure,
    )


def _login(where: tuple[str, str, Release], auth: IscsiAuth, ctx: Context) -> Wanted:
    secrets = {"secret": ctx.secret(auth.secret)}
    if auth.peer_secret is not None:
        secrets["peersecret"] = ctx.secret(auth.peer_secret)
    return iscsi.chap_login(*where, auth.tag, auth.user, secrets, auth.peer_user or "")


def _extent(where: tuple[str, str, Release], extent: IscsiExtent) -> Wanted:
    of: dict[str, Any] = {"type": "FILE", "path": extent.file}
    if extent.zvol is not None:
        of = {"type": "DISK", "disk": f"zvol/{extent.zvol.replace(' ', '+')}"}
    return iscsi.extent(
        *where,
        extent.name,
        of,
        extent.rpm,
        extent.read_only,
        extent.block_bytes,
        extent.serial,
        extent.size_bytes if extent.file is not None else None,
    )


def _target(
    where: tuple[str, str, Release], target: IscsiTarget, lends: Iscsi, nas: Host
) -> Wanted:
    """Portal and initiators by the numbers of their rows, which are there by now."""
    marked = iscsi.portal(*where, target.portal, ()).key["comment"]
    group: dict[str, Any] = {
        "portal": _row(nas, "iscsi.portal.query", "comment", marked),
        "initiator": None,
        "authmethod": "NONE",
        "auth": None,
    }
    if target.initiators is not None:
        marked = iscsi.initiators(*where, target.initiators, ()).key["comment"]
        group["initiator"] = _row(nas, "iscsi.initiator.query", "comment", marked)
    if target.auth is not None:
        group["authmethod"] = "CHAP_MUTUAL" if target.mutual else "CHAP"
        group["auth"] = lends.auths[target.auth].tag
    return iscsi.target(*where, target.name, group, target.networks, target.alias)


def _row(nas: Host, method: str, key: str, value: str) -> int:
    """The number of a row that was made, or seen, right before; or is said to be there.

    Raises
    ------
    StepFailed
        There is none, or there are several.
    """
    rows = call(nas, method, [[key, "=", value]], shape=[{"id": whole}])
    if len(rows) != 1:
        what = method.removesuffix(".query").replace(".", " ")
        raise StepFailed(
            f"{nas.name} has {len(rows) or 'no'} {what} with the {key} {value!r}",
            where=nas.name,
            fix=f"give the one that is meant this {key} in TrueNAS, or let a phase make it",
        )
    return int(rows[0]["id"])
