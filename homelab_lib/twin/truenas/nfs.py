"""API of NFS: the service's settings and the shares.

Source: TrueNAS middleware 25.04 to 26, `nfs` and `sharing.nfs`; procedures as in exports(5).
"""

import errno
import ipaddress
import itertools
import re

from homelab_lib.twin.truenas.arguments.nfs import NfsShareCreate, NfsShareUpdate, NfsUpdate
from homelab_lib.twin.truenas.errors import CallError, ValidationErrors
from homelab_lib.twin.truenas.kept import ALWAYS, Family, Row, Settings
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.rpc import FANGTOOTH, HALFMOON, method
from homelab_lib.twin.truenas.tables import NFS_CONFIG

_EVERYBODY = ("0.0.0.0/0", "::/0")


@method("nfs.bindip_choices")
def nfs_bindip_choices(nas: TrueNas) -> Row:
    """Addresses the service may be bound to: static ones only."""
    return {address: address for address in nas.network.static_addresses()}


def _check_settings(nas: TrueNas, new: Row, place: str, given: Row) -> None:
    if not new["protocols"]:
        text = 'Must specify at least one value ("NFSV3", "NFSV4") in the "protocols" list.'
        raise ValidationErrors.one(f"{place}.protocols", text)
    errors = ValidationErrors()
    for number, address in enumerate(new["bindip"]):
        if address not in nas.network.static_addresses():
            text = f"Cannot use {address}. Please provide a valid ip address."
            errors.add(f"{place}.bindip.{number}", text)
    if "NFSV4" not in new["protocols"] and new["v4_domain"]:
        errors.add(f"{place}.v4_domain", "This option does not apply to NFSv3")
    if given.get("rdma"):
        errors.add(f"{place}.rdma", "This platform cannot support NFS over RDMA.")
    errors.check()


def _shown(nas: TrueNas, row: Row) -> Row:
    """What is told besides; 26 tells more."""
    told: Row = {"locked": False}
    return told | (nas.place_of(row["path"]) | {"tier": None} if nas.release >= HALFMOON else {})


def _check(nas: TrueNas, data: Row, place: str, others: list[Row]) -> None:
    """All the rules, in the order in which the middleware stops at them."""
    errors = ValidationErrors()
    for key in ("networks", "hosts"):
        if twice := [one for at, one in enumerate(data[key]) if one in data[key][:at]]:
            text = f"Entries must be unique, the following are not: {', '.join(twice)}"
            errors.add(f"{place}.{key}", text)
    networks = _networks(data["networks"], place, errors)
    if bad := [host for host in data["hosts"] if re.search(r"[\s\"]", host)]:
        errors.add(f"{place}.hosts", f"Cannot contain spaces or quotes: {', '.join(bad)}")
    errors.check()
    data["networks"] = [str(network) for network in networks]
    if nas.dataset_of(data["path"]) is None:
        errors.add(f"{place}.path", "The path must reside within a pool mount point")
    overlaps = [(str(a), str(b)) for a, b in itertools.combinations(networks, 2) if _overlap(a, b)]
    if overlaps:
        errors.add(f"{place}.networks", f"ERROR - Overlapped subnets: {overlaps}")
    errors.check()
    if not nas.files.exists(data["path"]):
        raise CallError(f"Path {data['path']} not found", errno.ENOENT)
    _check_others(data, networks, place, others, errors)
    errors.check()
    _check_maps(nas, data, place, errors)
    if kerberos := [each for each in data["security"] if each != "SYS"]:
        text = f"NFS service must be configured for Kerberos to use {', '.join(kerberos)}"
        errors.add(f"{place}.security", text)
    if data["expose_snapshots"]:
        text = "This is an enterprise feature and may not be enabled without a valid license."
        errors.add(f"{place}.expose_snapshots", text)
    errors.check()


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _overlap(one: _Network, other: _Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _networks(texts: list[str], place: str, errors: ValidationErrors) -> list[_Network]:
    networks, bad = [], []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            bad.append(text)
    if bad:
        why = f"The following do not appear to be valid IPv4 or IPv6 networks: {', '.join(bad)}"
        errors.add(f"{place}.networks", why)
    for network in networks:
        if int(network.network_address) == 0:
            why = f"Do not use {network} to represent all-networks.  No entry is required to "
            why += f"configure 'allow everybody'.  Please remove {network}."
            errors.add(f"{place}.networks", why)
    return networks


def _check_others(
    data: Row, networks: list[_Network], place: str, others: list[Row], errors: ValidationErrors
) -> None:
    """No client may find the same path exported to it twice."""
    path = data["path"]
    for share in others:
        if share["path"] != path:
            continue
        theirs = [ipaddress.ip_network(network, strict=False) for network in share["networks"]]
        if not share["networks"] and not share["hosts"]:
            theirs = [ipaddress.ip_network(each) for each in _EVERYBODY]
        for network in networks:
            if network in theirs:
                text = f"ERROR - Another NFS share already exports {path} for network {network}"
                errors.add(f"{place}.networks", text)
            for other in theirs:
                if _overlap(network, other):
                    text = f"ERROR - This or another NFS share exports {path} to {other} "
                    errors.add(f"{place}.networks", f"{text}and overlaps network {network}")
                    break
        for host in set(data["hosts"]) & set(share["hosts"]):
            text = f"ERROR - Another NFS share already exports {path} for host {host}"
            errors.add(f"{place}.hosts", text)


def _check_maps(nas: TrueNas, data: Row, place: str, errors: ValidationErrors) -> None:
    for kind in ("maproot", "mapall"):
        user, group = data[f"{kind}_user"], data[f"{kind}_group"]
        if group and not user:
            text = "This field is required when map group is specified"
            errors.add(f"{place}.{kind}_user", text)
        elif user and user not in nas.user_names():
            errors.add(f"{place}.{kind}_user", f"User not found: {user}")
        if user and group and group not in nas.group_names():
            errors.add(f"{place}.{kind}_group", f"Group not found: {group}")
    if data["maproot_user"] and data["mapall_user"]:
        errors.add(f"{place}.mapall_user", "maproot_user disqualifies mapall_user")


SETTINGS = Settings(
    "nfs",
    {FANGTOOTH: NfsUpdate},
    {FANGTOOTH: NFS_CONFIG},
    argument={FANGTOOTH: "nfs_update"},
    left_out_until=ALWAYS,
    check=_check_settings,
)
SHARES = Family(
    "sharing.nfs",
    "SharingNFS",
    "sharingnfs",
    {FANGTOOTH: NfsShareCreate},
    {FANGTOOTH: NfsShareUpdate},
    check=_check,
    shown=_shown,
    table="nfs",
)
SETTINGS.register()
SHARES.register()
