"""WireGuard on a Linux machine: keys stay where they are, peers come and go, nobody is dropped."""

import base64
import dataclasses

import pytest

from homelab_lib.control.linux.wireguard import WireGuardTunnel
from homelab_lib.errors import BadParameter
from homelab_lib.lab import load_lab
from homelab_lib.lab.firewall import PortForward
from homelab_lib.lab.remote import WireGuard
from homelab_lib.recipes.ways_in import wireguard
from homelab_lib.transport.reads import reads_only
from recipes.bench import Bench

LAB = load_lab()
PHONE, LAPTOP = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
PSK = base64.b64encode(b"between you and me, phone number").decode()


def lab_with(peers, host="desktop", **more):
    tunnel = {"addresses": ["10.9.9.1/24"], "phase": 1, "endpoint": "home.example", "peers": peers}
    found = WireGuard.model_validate(tunnel | more).model_copy(update={"name": "wg0"})
    named = {n: p.model_copy(update={"name": n}) for n, p in found.peers.items()}
    found = found.model_copy(update={"peers": named})
    return LAB.model_copy(update={"wireguard": {host: {"wg0": found}}, "firewalls": {}})


TWO = {
    "phone": {"public_key": PHONE, "addresses": ["10.9.9.2/32"]},
    "laptop": {"public_key": LAPTOP, "addresses": ["10.9.9.3/32"], "keepalive_s": 25},
}


def bench_of(lab):
    return Bench(lab, wireguard.steps(lab, 1), phase=2)


def device(bench):
    return bench.world.machines["desktop"].kept["wireguard"]["wg0"]


def test_made_once_and_left_alone():
    bench = bench_of(lab_with(TWO))
    assert bench.stops() == ("", "")
    desk = bench.world.machines["desktop"]
    assert desk.files.entry("/etc/wireguard/wg0.key").mode == 0o600
    assert desk.files.entry("/etc/wireguard/wg0.conf").mode == 0o600
    assert device(bench)["public"] == desk.files.text("/etc/wireguard/wg0.pub").strip()
    key = desk.files.text("/etc/wireguard/wg0.key").strip()
    assert key not in desk.files.text("/etc/wireguard/wg0.conf")
    assert not any(key in line for line in bench.wire.sent)
    assert set(device(bench)["peers"]) == {PHONE, LAPTOP}
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []
    assert bench.step("wireguard", "verify").status == "already"


def test_a_peer_that_goes_drops_nobody_else():
    bench = bench_of(lab_with(TWO))
    assert bench.stops() == ("", "")
    public = device(bench)["public"]
    device(bench)["peers"][PHONE]["handshake"] = 1_700_000_000
    bench.steps = bench_of(lab_with({"phone": TWO["phone"]})).steps
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert set(device(bench)["peers"]) == {PHONE}
    assert device(bench)["peers"][PHONE]["handshake"] == 1_700_000_000
    assert device(bench)["public"] == public, "its own key is still there"
    assert not any("restart" in line for line in bench.wire.sent)


def test_another_address_needs_a_restart():
    bench = bench_of(lab_with(TWO))
    assert bench.stops() == ("", "")
    bench.steps = bench_of(lab_with(TWO, addresses=["10.9.9.254/24"])).steps
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert "desktop: systemctl restart wg-quick@wg0" in bench.wire.sent
    assert bench.world.machines["desktop"].interfaces[-1].cidr == "10.9.9.254/24"


def test_a_preshared_key_is_compared_and_never_shown(monkeypatch):
    monkeypatch.setenv("WG_PSK", PSK)
    peers = {"phone": TWO["phone"] | {"preshared_key": "env:WG_PSK"}}
    bench = bench_of(lab_with(peers))
    assert bench.stops() == ("", "")
    assert device(bench)["peers"][PHONE]["preshared"] == PSK
    assert not any(PSK in line for line in bench.wire.sent)
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []
    device(bench)["peers"][PHONE]["preshared"] = PSK.replace("b", "c")
    assert bench.stops() == ("", "")
    assert device(bench)["peers"][PHONE]["preshared"] == PSK


def test_a_phone_makes_its_own_key():
    bench = bench_of(lab_with({"phone": {"addresses": ["10.9.9.2/32"]}}))
    assert bench.stops() == ("", "")
    manual = bench.steps[-1].manual
    assert "wireguard.desktop.wg0.peers.phone.public_key" in manual.ask
    assert "Endpoint = home.example:51820" in manual.ask
    assert "AllowedIPs = 10.0.1.0/24" in manual.ask
    told = manual.verify(bench.engine().context)
    assert (told.holds, told.says) == (False, "no public key written down: phone")
    shown = next(c for c in bench.step("wireguard").checks if "public key" in c.title)
    assert len(base64.b64decode(shown.says)) == 32


def test_a_firewall_that_leads_nobody_there():
    lab = lab_with(TWO).model_copy(update={"firewalls": LAB.firewalls})
    where, said = bench_of(lab).stops()
    assert where == "wireguard"
    assert "udp/51820 from outside comes to desktop: no port forward" in said
    forward = PortForward(
        name="vpn",
        interfaces=("sfp1",),
        protocol="UDP",
        port=51820,
        to="desktop",
        reason="WireGuard",
    )
    wall = LAB.firewalls["firewall"].model_copy(update={"port_forwards": {"vpn": forward}})
    there = lab.model_copy(update={"firewalls": {"firewall": wall}})
    assert bench_of(there).stops() == ("", "")


def test_who_has_come_in_is_told_by_the_handshake():
    bench = bench_of(lab_with(TWO))
    assert bench.stops() == ("", "")
    verify = bench.steps[-1].manual.verify
    assert verify(bench.engine().context).says == "no handshake yet: phone, laptop"
    for peer in device(bench)["peers"].values():
        peer["handshake"] = 1_700_000_000
    assert verify(bench.engine().context).holds


def test_the_tunnel_by_which_we_come_is_not_changed_from_there():
    seen = {
        "unit": {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"},
        "port": "51820",
        "addresses": ["10.9.9.1/24"],
        "peers": {},
    }
    tunnel = WireGuardTunnel("box", "wg0", ("10.9.9.1/24",), 51821, ())
    assert len(tunnel.diff(seen).changes) == 1
    through = dataclasses.replace(tunnel, come_by="10.9.9.1")
    assert "from within the house" in through.diff(seen).conflict


def test_an_appliance_of_another_kind_is_refused():
    with pytest.raises(BadParameter, match="which runs truenas"):
        list(wireguard.steps(lab_with(TWO, host="truenas"), 1))


@pytest.mark.parametrize(
    ("line", "reads"),
    [
        ("wg show wg0 peers", True),
        ("wg show wg0 preshared-keys", True),
        ("wg show wg0 dump", False),
        ("wg show", False),
        ("wg showconf wg0", False),
        ("wg set wg0 listen-port 1", False),
    ],
)
def test_what_only_looks(line, reads):
    assert reads_only(line.split()) is reads


def test_a_file_that_does_not_name_the_key_takes_it_away():
    bench = bench_of(lab_with(TWO))
    assert bench.stops() == ("", "")
    desk = bench.world.machines["desktop"]
    desk.run("sudo -n -- sh -c 'wg-quick strip wg0 > /tmp/x; wg syncconf wg0 /tmp/x'")
    assert device(bench)["public"] == "", "as the real one does"
