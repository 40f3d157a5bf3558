"""WireGuard: instances of ours, and their peers."""

from homelab_lib.twin.opnsense.fields.base import Leaf
from homelab_lib.twin.opnsense.fields.choices import Listed, Offer, Relation
from homelab_lib.twin.opnsense.fields.constraints import Depend, Unique
from homelab_lib.twin.opnsense.fields.network import Hostname, IpPort, Network, Port
from homelab_lib.twin.opnsense.fields.numbers import AutoNumber, Boolean, Integer
from homelab_lib.twin.opnsense.fields.texts import Base64, Text
from homelab_lib.twin.opnsense.model import Model, Section, Table
from homelab_lib.twin.opnsense.nodes import Rows

_NAME = Text(
    required=True,
    mask=r"/^([0-9a-zA-Z._\-]){1,64}$/u",
    message="Should be a string between 1 and 64 characters. Allowed characters are alphanumeric "
    "characters, dash and underscores.",
)


def _used_by(rows: Rows) -> None:
    """Instances that have a peer, as the configuration has them."""
    kept = rows.tree.config.findall("OPNsense/wireguard/server/servers/server")
    for row in rows.rows():
        mine = [
            each.get("uuid", "")
            for each in kept
            if row.uuid in (each.findtext("peers") or "").split(",")
        ]
        if mine:
            row["servers"].value = row["servers"].stored = ",".join(mine)


def _devices(rows: Rows) -> None:
    for row in rows.rows():
        device = f"wg{row['instance'].value}"
        row["interface"].value = device
        row["cnfFilename"].value = f"/usr/local/etc/wireguard/{device}.conf"
        row["statFilename"].value = f"/usr/local/etc/wireguard/{device}.stat"


def _carp(leaf: Leaf) -> Offer:
    return {
        vip.get("uuid", ""): f"[{vip.findtext('subnet')}] {vip.findtext('descr') or ''}"
        for vip in leaf.tree.config.findall("virtualip/vip")
        if vip.findtext("mode") == "carp"
    }


PEER = Model(
    "Wireguard.Client",
    "//OPNsense/wireguard/client",
    {
        "clients": Section(
            {
                "client": Table(
                    {
                        "enabled": Boolean(default="1", required=True),
                        "name": _NAME,
                        "pubkey": Base64(
                            required=True,
                            constraints={
                                "one": Unique(
                                    "Public keys should be unique.", ("serveraddress", "serverport")
                                )
                            },
                        ),
                        "psk": Base64(),
                        "tunneladdress": Network(mask_required=True, required=True, as_list=True),
                        "serveraddress": Hostname(constraints={"one": "pubkey.one"}),
                        "serverport": Port(constraints={"one": "pubkey.one"}),
                        "endpoint": IpPort(
                            hostname=True,
                            message="Please specify a valid host:port combination.",
                            volatile=True,
                        ),
                        "keepalive": Integer(
                            1, 65535, message="Please specify a value between 1 and 65535."
                        ),
                        "servers": Relation(
                            model="Wireguard.Server",
                            items="servers.server",
                            display=("name",),
                            multiple=True,
                            volatile=True,
                        ),
                    },
                    after_loading=_used_by,
                ),
            }
        ),
    },
    version="1.0.0",
    title="WireGuard peer configuration",
)

INSTANCE = Model(
    "Wireguard.Server",
    "//OPNsense/wireguard/server",
    {
        "servers": Section(
            {
                "server": Table(
                    {
                        "enabled": Boolean(default="1", required=True),
                        "name": _NAME,
                        "instance": AutoNumber(0, required=True),
                        "pubkey": Base64(),
                        "privkey": Base64(required=True, message="A private key is required."),
                        "port": Port(),
                        "mtu": Integer(1, 9300),
                        "dns": Network(
                            as_list=True,
                            mask_allowed=False,
                            wildcard=False,
                            message="Please use valid IPv4 or IPv6 addresses.",
                        ),
                        "tunneladdress": Network(as_list=True),
                        "disableroutes": Boolean(
                            required=True,
                            constraints={
                                "one": Depend(
                                    "You have to enable Disable Routes option.", ("gateway",)
                                )
                            },
                        ),
                        "gateway": Network(),
                        "carp_depend_on": Listed(make=_carp),
                        "peers": Relation(
                            model="Wireguard.Client",
                            items="clients.client",
                            display=("name",),
                            multiple=True,
                            message="Choose a peer.",
                        ),
                        "debug": Boolean(required=True),
                        "cnfFilename": Text(volatile=True),
                        "statFilename": Text(volatile=True),
                        "interface": Text(volatile=True),
                        "endpoint": Text(),
                        "peer_dns": Text(),
                    },
                    after_loading=_devices,
                ),
            }
        ),
    },
    version="1.0.1",
    title="WireGuard instance configuration",
)

WIREGUARD = Model(
    "Wireguard.General",
    "//OPNsense/wireguard/general",
    {
        "enabled": Boolean(required=True),
    },
    version="0.0.1",
    title="WireGuard configuration",
)
