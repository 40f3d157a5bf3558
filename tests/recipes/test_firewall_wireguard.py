"""WireGuard on an OPNsense: peers and instances by its API, keys that nobody reads, one apply."""

import base64

import pytest

from homelab_lib.errors import BadParameter
from homelab_lib.lab import load_lab
from homelab_lib.lab.firewall import FilterRule
from homelab_lib.lab.remote import InternetAccess, WireGuard
from homelab_lib.recipes.firewall import wireguard
from recipes.bench import Bench

LAB = load_lab()
PHONE, LAPTOP = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
PRIVATE = base64.b64encode(bytes(range(32))).decode()
PSK = base64.b64encode(b"between you and me, phone number").decode()
RULE = FilterRule(
    name="vpn", action="pass", interfaces=("sfp1",), protocol="UDP", source="any",
    destination="self", destination_port=51820, reason="WireGuard"
)  # fmt: skip
LINE = InternetAccess(name="line", port="firewall.sfp1")


def lab_with(peers, rules=(RULE,), **more):
    given = {"addresses": ["10.9.9.1/24"], "phase": 1, "peers": peers,
             "private_key": "env:WG_KEY"} | more  # fmt: skip
    found = WireGuard.model_validate(given).model_copy(update={"name": "wg0"})
    named = {n: p.model_copy(update={"name": n}) for n, p in found.peers.items()}
    tunnel = found.model_copy(update={"peers": named})
    wall = LAB.firewalls["firewall"].model_copy(update={"filter_rules": rules})
    return LAB.model_copy(
        update={
            "wireguard": {"firewall": {"wg0": tunnel}},
            "firewalls": {"firewall": wall},
            "internet": {"line": LINE},
        }
    )


PEERS = {
    "phone": {"public_key": PHONE, "addresses": ["10.9.9.2/32"], "preshared_key": "env:WG_PSK"},
    "laptop": {"public_key": LAPTOP, "addresses": ["10.9.9.3/32"], "keepalive_s": 25},
}


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    for name, value in (
        ("OPNSENSE_API_KEY", "a-key-of-the-test"),
        ("OPNSENSE_API_SECRET", "a-secret-of-the-test"),
        ("WG_KEY", PRIVATE),
        ("WG_PSK", PSK),
    ):
        monkeypatch.setenv(name, value)


def bench_of(lab):
    return Bench(lab, wireguard.steps(lab, 1), phase=2)


def kept(bench, path):
    root = bench.world.machines["firewall"].config.load()
    return root.findall(f"OPNsense/wireguard/{path}")


def test_made_once_and_left_alone():
    bench = bench_of(lab_with(PEERS))
    assert bench.stops() == ("", "")
    [instance] = kept(bench, "server/servers/server")
    assert instance.findtext("privkey") == PRIVATE
    assert instance.findtext("tunneladdress") == "10.9.9.1/24"
    assert len(instance.findtext("peers").split(",")) == 2
    psks = {
        each.findtext("name"): each.findtext("psk") for each in kept(bench, "client/clients/client")
    }
    assert psks == {"phone": PSK, "laptop": None} or psks == {"phone": PSK, "laptop": ""}
    assert not any(secret in line for line in bench.wire.sent for secret in (PRIVATE, PSK))
    assert sum("wireguard/service/reconfigure" in line for line in bench.wire.sent) == 1
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []
    assert bench.step("wireguard-firewall", "verify").status == "already"


def test_one_more_peer_is_added_to_the_instance():
    bench = bench_of(lab_with({"laptop": PEERS["laptop"]}))
    assert bench.stops() == ("", "")
    bench.steps = bench_of(lab_with(PEERS)).steps
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    [instance] = kept(bench, "server/servers/server")
    assert len(instance.findtext("peers").split(",")) == 2
    assert instance.findtext("privkey") == PRIVATE


def from_within(monkeypatch):
    come = property(lambda self: "10.9.9.3 50000 10.9.9.1 22")
    monkeypatch.setattr("homelab_lib.twin.opnsense.way_in.WayIn.connection", come)


def test_the_tunnel_by_which_we_come_is_not_changed_from_there(monkeypatch):
    bench = bench_of(lab_with({"laptop": PEERS["laptop"]}))
    assert bench.stops() == ("", "")
    from_within(monkeypatch)
    assert bench.stops() == ("", ""), "what is as described is no change"
    bench.steps = bench_of(lab_with(PEERS)).steps
    bench.wire.sent.clear()
    where, said = bench.stops()
    assert where == "wireguard-firewall"
    assert "we come to firewall from 10.9.9.3, through wg0 itself" in said
    assert bench.wire.sent == []


def test_what_a_run_has_written_is_not_put_in_force_from_within(monkeypatch):
    bench = bench_of(lab_with(PEERS))
    assert bench.stops() == ("", "")
    box = bench.world.machines["firewall"]
    assert box.run("cp /conf/config.xml /conf/homelab-homelab-wireguard.xml").finished().status == 0
    from_within(monkeypatch)
    bench.wire.sent.clear()
    assert "through wg0 itself" in bench.stops()[1]
    assert bench.wire.sent == []


def test_a_phone_is_told_what_to_type_and_shows_its_key():
    bench = bench_of(lab_with({"phone": {"addresses": ["10.9.9.2/32"]}}))
    assert bench.stops() == ("", "")
    manual = bench.steps[-1].manual
    assert "wireguard.firewall.wg0.peers.phone.public_key" in manual.ask
    told = manual.verify(bench.engine().context)
    assert (told.holds, told.says) == (False, "no public key written down: phone")
    shown = next(c for c in bench.step("wireguard-firewall").checks if "public key" in c.title)
    assert len(base64.b64decode(shown.says)) == 32


def test_a_firewall_that_lets_nobody_in_by_its_port():
    where, said = bench_of(lab_with(PEERS, rules=())).stops()
    assert where == "wireguard-firewall"
    assert "udp/51820 from outside comes to firewall: no port forward or rule" in said


def test_what_is_no_key_is_told_by_its_name(monkeypatch):
    monkeypatch.setenv("WG_KEY", "not a key")
    where, said = bench_of(lab_with(PEERS)).stops()
    assert where == "wireguard-firewall"
    assert "is no private key of WireGuard" in said
    assert "not a key" not in said


def test_a_key_is_wanted_beforehand():
    with pytest.raises(BadParameter, match="has no private key"):
        list(wireguard.steps(lab_with(PEERS, private_key=None), 1))
