"""API of NFS: the service's settings and the shares.

Source: TrueNAS middleware 24.10 to 26, `nfs` and `sharing.nfs`; procedures as in exports(5).
"""

import errno
import ipaddress
import itertools
import re
from typing import Any

from homelab_lib.twin.truenas.errors import CallError, ValidationErrors
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import query
from homelab_lib.twin.truenas.rpc import FANGTOOTH, HALFMOON, NULL, Field, Fields, method, optional

Row = dict[str, Any]

_CONFIG = {
    "servers": optional(int, NULL, minimum=1),
    "allow_nonroot": optional(bool),
    "protocols": optional(list),
    "v4_krb": optional(bool),
    "v4_domain": optional(str),
    "bindip": optional(list),
    "mountd_port": optional(int, NULL),
    "rpcstatd_port": optional(int, NULL),
    "rpclockd_port": optional(int, NULL),
    "mountd_log": optional(bool),
    "statd_lockd_log": optional(bool),
    "userd_manage_gids": optional(bool),
    "rdma": optional(bool),
}
_NAME = Field((str, NULL), None)
_SHARE = {
    "path": Field((str,)),
    "aliases": Field((list,), []),
    "comment": Field((str,), ""),
    "networks": Field((list,), []),
    "hosts": Field((list,), []),
    "ro": Field((bool,), False),
    "maproot_user": _NAME,
    "maproot_group": _NAME,
    "mapall_user": _NAME,
    "mapall_group": _NAME,
    "security": Field((list,), []),
    "enabled": Field((bool,), True),
    "expose_snapshots": Field((bool,), False, since=FANGTOOTH),
}

CREATE = Fields("sharingnfs_create", _SHARE)
UPDATE = Fields("sharingnfs_update", _SHARE, update=True)


@method("nfs.config")
def nfs_config(nas: TrueNas) -> Row:
    """The service's settings."""
    return dict(nas.config["nfs"])


@method("nfs.bindip_choices")
def nfs_bindip_choices(nas: TrueNas) -> Row:
    """Addresses the service may be bound to: static ones only."""
    return {address: address for address in nas.network.static_addresses()}


@method("nfs.update", data=Fields("nfs_update", _CONFIG, update=True))
def nfs_update(nas: TrueNas, data: Row) -> Row:
    """Change the service's settings."""
    if data.get("protocols") == []:
        text = 'Must specify at least one value ("NFSV3", "NFSV4") in the "protocols" list.'
        raise ValidationErrors.one("nfs_update.protocols", text)
    errors = ValidationErrors()
    new = nas.config["nfs"] | data
    for place, address in enumerate(new["bindip"]):
        if address not in nas.network.static_addresses():
            text = f"Cannot use {address}. Please provide a valid ip address."
            errors.add(f"nfs_update.bindip.{place}", text)
    if "NFSV4" not in new["protocols"] and new["v4_domain"]:
        errors.add("nfs_update.v4_domain", "This option does not apply to NFSv3")
    errors.check()
    nas.config["nfs"] = new
    return dict(new)


@method("sharing.nfs.query")
def share_query(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """NFS shares."""
    rows = [row | {"locked": False} | _place(nas, row) for row in nas.tables["nfs"].rows()]
    return query(rows, filters, options)


def _place(nas: TrueNas, row: Row) -> Row:
    """What 26 tells besides, and does not take back."""
    if nas.release < HALFMOON:
        return {}
    dataset = nas.dataset_of(row["path"])
    inside = row["path"].removeprefix(dataset.mountpoint).strip("/") if dataset else None
    return {"dataset": dataset.name if dataset else None, "relative_path": inside, "tier": None}


@method("sharing.nfs.create", data=CREATE)
def share_create(nas: TrueNas, data: Row) -> Row:
    """Export a path."""
    _check(nas, data, "sharingnfs_create", others=nas.tables["nfs"].rows())
    number = nas.tables["nfs"].insert(data)
    return share_query(nas, [["id", "=", number]], {"get": True})


@method("sharing.nfs.update", data=UPDATE)
def share_update(nas: TrueNas, id: int, data: Row) -> Row:
    """Change an export."""
    row = _share(nas, id)
    new = row | data
    others = [other for other in nas.tables["nfs"].rows() if other["id"] != id]
    _check(nas, new, "sharingnfs_update", others)
    row |= new
    return share_query(nas, [["id", "=", id]], {"get": True})


@method("sharing.nfs.delete")
def share_delete(nas: TrueNas, id: int) -> bool:
    """Export it no more; the files stay."""
    _share(nas, id)
    nas.tables["nfs"].delete(id)
    return True


def _share(nas: TrueNas, number: int) -> Row:
    row = nas.tables["nfs"].get(number)
    if row is None:
        raise ValidationErrors.one("", f"SharingNFS {number} does not exist", errno.ENOENT)
    return row


def _check(nas: TrueNas, data: Row, schema: str, others: list[Row]) -> None:
    """All the rules, in the order in which the middleware stops at them."""
    errors = ValidationErrors()
    for key in ("networks", "hosts"):
        if twice := [one for place, one in enumerate(data[key]) if one in data[key][:place]]:
            text = f"Entries must be unique, the following are not: {', '.join(twice)}"
            errors.add(f"{schema}.{key}", text)
    networks = _networks(data["networks"], schema, errors)
    if bad := [host for host in data["hosts"] if re.search(r"[\s\"]", host)]:
        errors.add(f"{schema}.hosts", f"Cannot contain spaces or quotes: {', '.join(bad)}")
    errors.check()
    data["networks"] = [str(network) for network in networks]
    if nas.dataset_of(data["path"]) is None:
        errors.add(f"{schema}.path", "The path must reside within a pool mount point")
    overlaps = [(str(a), str(b)) for a, b in itertools.combinations(networks, 2) if _overlap(a, b)]
    if overlaps:
        errors.add(f"{schema}.networks", f"ERROR - Overlapped subnets: {overlaps}")
    errors.check()
    if not nas.files.exists(data["path"]):
        raise CallError(f"Path {data['path']} not found", errno.ENOENT)
    _check_others(data, networks, schema, others, errors)
    errors.check()
    _check_maps(nas, data, schema, errors)
    if data.get("expose_snapshots"):
        text = "This is an enterprise feature and may not be enabled without a valid license."
        errors.add(f"{schema}.expose_snapshots", text)
    errors.check()


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _overlap(one: _Network, other: _Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _networks(texts: list[str], schema: str, errors: ValidationErrors) -> list[_Network]:
    networks, bad = [], []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            bad.append(text)
    if bad:
        why = f"The following do not appear to be valid IPv4 or IPv6 networks: {', '.join(bad)}"
        errors.add(f"{schema}.networks", why)
    for network in networks:
        if int(network.network_address) == 0:
            why = f"Do not use {network} to represent all-networks.  No entry is required to "
            why += f"configure 'allow everybody'.  Please remove {network}."
            errors.add(f"{schema}.networks", why)
    return networks


def _check_others(
    data: Row, networks: list[_Network], schema: str, others: list[Row], errors: ValidationErrors
) -> None:
    """No client may find the same path exported to it twice."""
    path = data["path"]
    for share in others:
        if share["path"] != path:
            continue
        theirs = [ipaddress.ip_network(network, strict=False) for network in share["networks"]]
        if not share["networks"] and not share["hosts"]:
            theirs = [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
        for network in networks:
            if network in theirs:
                text = f"ERROR - Another NFS share already exports {path} for network {network}"
                errors.add(f"{schema}.networks", text)
            for other in theirs:
                if _overlap(network, other):
                    text = f"ERROR - This or another NFS share exports {path} to {other} "
                    errors.add(f"{schema}.networks", f"{text}and overlaps network {network}")
                    break
        for host in set(data["hosts"]) & set(share["hosts"]):
            text = f"ERROR - Another NFS share already exports {path} for host {host}"
            errors.add(f"{schema}.hosts", text)


def _check_maps(nas: TrueNas, data: Row, schema: str, errors: ValidationErrors) -> None:
    for kind in ("maproot", "mapall"):
        user, group = data[f"{kind}_user"], data[f"{kind}_group"]
        if group and not user:
            text = "This field is required when map group is specified"
            errors.add(f"{schema}.{kind}_user", text)
        elif user and user not in nas.user_names():
            errors.add(f"{schema}.{kind}_user", f"User not found: {user}")
        if user and group and group not in nas.group_names():
            errors.add(f"{schema}.{kind}_group", f"Group not found: {group}")
    if data["maproot_user"] and data["mapall_user"]:
        errors.add(f"{schema}.mapall_user", "maproot_user disqualifies mapall_user")
