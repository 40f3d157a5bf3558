"""WireGuard and Kea: `wireguard/…` and `kea/…`."""

import base64

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.api import Action
from homelab_lib.twin.opnsense.controllers import mutable
from homelab_lib.twin.opnsense.controllers.answers import Answer
from homelab_lib.twin.opnsense.controllers.service import service
from homelab_lib.twin.opnsense.errors import Unexpected
from homelab_lib.twin.opnsense.models.kea import autocollect
from homelab_lib.twin.opnsense.visit import Visit

_PEER = ("Wireguard.Client", "client", "clients.client")
_INSTANCE = ("Wireguard.Server", "server", "servers.server")
_KEA = "Kea.KeaDhcpv4"


def _bytes(visit: Visit) -> bytes:
    return visit.firewall.rng.getrandbits(256).to_bytes(32)


def key_pair(visit: Visit) -> Answer:
    """A key of ours, and the public one that goes with it."""
    private = _bytes(visit)
    public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return {
        "status": "ok",
        "pubkey": base64.b64encode(public).decode(),
        "privkey": base64.b64encode(private).decode(),
    }


def shared_key(visit: Visit) -> Answer:
    return {"psk": base64.b64encode(_bytes(visit)).decode(), "status": "ok"}


def add_peer(visit: Visit) -> Answer:
    """A row whose name is drawn beforehand, as instances may name it at once."""
    return _peer(visit, "")


def set_peer(visit: Visit, uuid: str) -> Answer:
    return _peer(visit, "" if php.is_empty(uuid) else uuid)


def _peer(visit: Visit, uuid: str) -> Answer:
    given = visit.post.get("client")
    made = uuid or visit.new_uuid()
    if visit.is_post and given not in (None, "", "0", 0, False, [], {}):
        wanted = php.mapping(given)
        if wanted is None and not isinstance(given, str):
            wanted = {}
        if wanted is None:
            raise Unexpected("client is a text")
        servers = wanted.get("servers")
        if isinstance(servers, dict | list) and servers:
            raise Unexpected("servers is a list")
        text = php.text_of(servers) if not isinstance(servers, dict | list) else ""
        _put_into(visit, made, [] if php.is_empty(text) else text.split(","))
    elif not uuid:
        return {"result": "failed"}
    answer = mutable.set_row(visit, *_PEER, made)
    return answer | {"uuid": made} if not uuid and answer["result"] == "saved" else answer


def _put_into(visit: Visit, peer: str, instances: list[str]) -> None:
    """Have the instances name a peer that it says it belongs to, and no others."""
    tree = visit.tree(_INSTANCE[0])
    for row in tree.at("servers.server").rows():
        peers = row["peers"].values
        if peer in peers and row.uuid not in instances:
            row["peers"].set(",".join(each for each in peers if each != peer))
        elif peer not in peers and row.uuid in instances:
            row["peers"].set(",".join([*peers, peer]))
    tree.store()


def delete_peer(visit: Visit, uuid: str) -> Answer:
    if visit.is_post:
        _put_into(visit, uuid, [])
    return mutable.delete_rows(visit, _PEER[0], _PEER[2], uuid)


def list_servers(visit: Visit) -> Answer:
    rows = visit.tree(_INSTANCE[0]).at("servers.server").rows()
    return {"rows": [{"uuid": r.uuid, "name": r["name"].value} for r in rows], "status": "ok"}


def show(visit: Visit) -> Answer:
    """What the kernel says of tunnels; no peer has been heard of."""
    return {"total": 0, "rowCount": 0, "current": 1, "rows": []}


def _toggle(model: tuple[str, str, str]) -> Action:
    def action(visit: Visit, uuid: str) -> Answer:
        return mutable.toggle_rows(visit, model[0], model[2], uuid)

    return action


def _wireguard(visit: Visit) -> bool:
    return bool(visit.tree("Wireguard.General").at("enabled").value == "1")


def _kea(visit: Visit) -> bool:
    return bool(visit.tree(_KEA).at("general.enabled").value == "1")


def get_kea(visit: Visit) -> Answer:
    """The general parts alone."""
    found = visit.tree(_KEA).root.nodes()
    found["ha"]["%this_server_name"] = visit.config.findtext("system/hostname") or ""
    return {"dhcpv4": {name: found[name] for name in ("general", "lexpire", "ha")}}


def set_kea(visit: Visit) -> Answer:
    """Whoever sets anything has the subnets' options filled in."""
    if visit.is_post:
        autocollect(visit.tree(_KEA))
    return mutable.set_model(visit, _KEA, "dhcpv4")


def _kea_rows() -> dict[str, Action]:
    found: dict[str, Action] = {}
    for root, path, noun, sort in (
        ("subnet4", "subnets.subnet4", "subnet", "subnet"),
        ("reservation", "reservations.reservation", "reservation", "hw_address"),
        ("peer", "ha_peers.peer", "peer", "name"),
    ):
        found |= mutable.rows(_KEA, root, path, noun, unless_used=True, sort=sort)
    return found


def kea_leases(visit: Visit) -> Answer:
    found = list(visit.firewall.leases)
    return {
        "total": len(found),
        "rowCount": len(found),
        "current": 1,
        "rows": found,
        "stats": {"active": len(found), "inactive": 0, "total": len(found)},
        "interfaces": {},
    }


ENDPOINTS: dict[str, dict[str, Action]] = {
    "wireguard/client": {
        **mutable.settings(_PEER[0], "client"),
        **mutable.rows(*_PEER, "client"),
        "add_client": add_peer,
        "set_client": set_peer,
        "del_client": delete_peer,
        "toggle_client": _toggle(_PEER),
        "list_servers": list_servers,
        "psk": shared_key,
    },
    "wireguard/server": {
        **mutable.settings(_INSTANCE[0], "server"),
        **mutable.rows(*_INSTANCE, "server"),
        "toggle_server": _toggle(_INSTANCE),
        "key_pair": key_pair,
    },
    "wireguard/general": mutable.settings("Wireguard.General", "general"),
    "wireguard/service": {**service("wireguard", _wireguard, tells="result"), "show": show},
    "kea/dhcpv4": {**_kea_rows(), "get": get_kea, "set": set_kea},
    "kea/service": service("kea", _kea),
    "kea/leases4": {"search": kea_leases},
}
