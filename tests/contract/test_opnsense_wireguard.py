"""What is sent for WireGuard is what each release's own models take, its secrets too."""

import base64
import json

import pytest

from contract.opnsense_schema import RELEASES, Schema
from homelab_lib.control.opnsense.api import Api
from homelab_lib.control.opnsense.families import WIREGUARD_INSTANCE, WIREGUARD_PEER
from homelab_lib.control.opnsense.wireguard import KeyedRow
from homelab_lib.secret import Secret

pytestmark = pytest.mark.contract

KEY = base64.b64encode(bytes(range(32))).decode()
API = Api("firewall", *(Secret(name, lambda: "nobody asks") for name in ("key", "secret")))
PEER = KeyedRow(
    API,
    "attic",
    WIREGUARD_PEER,
    {"name": "phone"},
    {
        "enabled": "1",
        "pubkey": KEY,
        "tunneladdress": "10.9.9.2/32,10.7.0.0/24",
        "serveraddress": "vpn.example.org",
        "serverport": "51820",
        "keepalive": "25",
    },
    "phone",
    secrets={"psk": Secret("psk", lambda: KEY)},
)
INSTANCE = KeyedRow(
    API,
    "attic",
    WIREGUARD_INSTANCE,
    {"name": "wg0"},
    {
        "enabled": "1",
        "pubkey": KEY,
        "port": "51820",
        "mtu": "1420",
        "tunneladdress": "10.9.9.1/24",
        "peers": "phone",
    },
    "wg0",
    {"phone": PEER.uuid},
    secrets={"privkey": Secret("private", lambda: KEY)},
)


@pytest.mark.parametrize("series", RELEASES, ids="{0[0]}.{0[1]}".format)
@pytest.mark.parametrize("row", [PEER, INSTANCE], ids=["peer", "instance"])
def test_what_is_sent_is_known(series, row):
    [change] = row.diff([]).changes
    assert KEY not in change.call.line
    body = json.loads(change.call.payload.reveal())
    assert KEY in json.dumps(body)
    assert list(Schema(series).wrong("POST", change.call.path, body)) == []
