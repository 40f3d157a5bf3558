"""WireGuard between machines, by the configuration that our recipe writes and our resources change.

By the kernel where it has it, else by wireguard-go: wg-quick takes what there is.
"""

import base64
from types import SimpleNamespace

import pytest

from homelab_lib.control.linux import File
from homelab_lib.control.linux.wireguard import (
    WireGuardKey,
    WireGuardTunnel,
    handshakes,
    public_key,
)
from homelab_lib.lab import load_lab
from homelab_lib.lab.remote import WireGuard
from homelab_lib.recipes.ways_in.peers import typed_in
from homelab_lib.recipes.ways_in.wireguard import Tunnel
from homelab_lib.secret import Secret
from real.box import box
from real.wires import why_no_namespaces

MISSING = why_no_namespaces("wg", "wg-quick", "ping")
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(MISSING), reason=MISSING or "-")]
ENDPOINT, NAS = "192.0.2.1", "10.0.30.5"
SHARED = base64.b64encode(b"known to the laptop and to us...").decode()
LAB = load_lab()


@pytest.fixture(scope="module")
def machines():
    """A server in the house, which is the way to all of it, and two who are outside."""
    folder = "/etc/wireguard"
    with box(folder) as server, box(folder) as phone, box(folder) as laptop:
        server.run("ip", "link", "add", "br0", "type", "bridge")
        for number, each in enumerate((phone, laptop)):
            server.cable(each, f"out{number}")
            server.run("ip", "link", "set", f"out{number}", "master", "br0")
            each.run("ip", "addr", "add", f"192.0.2.{number + 2}/24", "dev", "eth0")
        server.run("ip", "addr", "add", f"{ENDPOINT}/24", "dev", "br0")
        server.run("ip", "link", "set", "br0", "up")
        server.run("ip", "addr", "add", f"{NAS}/32", "dev", "lo")
        yield SimpleNamespace(server=server, phone=phone, laptop=laptop)


def new_key(machine):
    """As a person makes one there; its public half."""
    machine.run("sh", "-c", "umask 077; wg genkey > /etc/wireguard/private")
    key = machine.run("cat", "/etc/wireguard/private").stdout
    return machine.run("wg", "pubkey", given=key).stdout.strip()


def tunnel(peers):
    """The recipe's, for these peers, on the machine that the lab calls desktop."""
    described = WireGuard.model_validate(
        {"addresses": ["10.9.9.1/24"], "phase": 1, "endpoint": ENDPOINT, "peers": peers}
    )
    named = {name: peer.model_copy(update={"name": name}) for name, peer in described.peers.items()}
    return Tunnel(LAB, "desktop", described.model_copy(update={"name": "wg0", "peers": named}))


def made(there, server):
    """Carry out what the recipe wants of WireGuard itself; what its tunnel still has to send."""
    context = SimpleNamespace(secret=lambda reference: Secret(reference, lambda: SHARED))
    for wanted in there.ensure(context):
        if isinstance(wanted, File):
            content = wanted.content
            server.has(wanted.path, content.reveal() if isinstance(content, Secret) else content)
        elif isinstance(wanted, WireGuardKey):
            sent(server, wanted)
        elif isinstance(wanted, WireGuardTunnel):
            if "wg0" not in server.run("wg", "show", "interfaces").stdout:
                server.run("wg-quick", "up", "wg0")  # which is what its unit runs
            sent(server, wanted)
            assert wanted.diff(wanted.observe(server)).clean


def sent(server, resource):
    for each in resource.diff(resource.observe(server)).changes:
        server.run(*each.call.argv)


def come_in(machine, there, name, server_key, shared=""):
    """What a person types in on a phone: what our step shows, and the two keys."""
    lines = typed_in(LAB, there.tunnel, there.tunnel.peers[name])
    private = machine.run("cat", "/etc/wireguard/private").stdout.strip()
    typed = [f"PublicKey = {server_key}" if "PublicKey" in line else line for line in lines]
    typed.insert(1, f"PrivateKey = {private}")
    typed += [f"PresharedKey = {shared}"] * bool(shared)
    machine.has("/etc/wireguard/wg0.conf", "\n".join(typed) + "\n")
    machine.run("sh", "-c", "wg show wg0 >/dev/null 2>&1 && wg-quick down wg0; wg-quick up wg0")


def reaches(machine, *more):
    pinged = machine.run("ping", "-n", "-q", "-c", "1", "-W", "1", *more, NAS, ok=None)
    return pinged.exit_status == 0


def test_who_is_let_in_and_who_is_not(machines):
    server, phone, laptop = machines.server, machines.phone, machines.laptop
    keys = {"phone": new_key(phone), "laptop": new_key(laptop)}
    peers = {
        "phone": {"public_key": keys["phone"], "addresses": ["10.9.9.2/32"]},
        "laptop": {
            "public_key": keys["laptop"],
            "addresses": ["10.9.9.3/32"],
            "preshared_key": "env:LAPTOP",
        },
    }
    both = tunnel(peers)
    made(both, server)
    ours = public_key(server, "wg0")
    assert server.run("stat", "-c", "%a", "/etc/wireguard/wg0.key").stdout == "600\n"
    assert handshakes(server, "wg0") == dict.fromkeys(keys.values(), 0)

    come_in(phone, both, "phone", ours)
    come_in(laptop, both, "laptop", ours)
    assert reaches(phone)
    assert not reaches(laptop), "it does not know the key that both have besides"
    assert [bool(when) for when in handshakes(server, "wg0").values()].count(True) == 1
    come_in(laptop, both, "laptop", ours, SHARED)
    assert reaches(laptop)
    assert all(handshakes(server, "wg0").values())

    # An address that is not its own: it is let in, and what it sends there is dropped.
    phone.run("ip", "addr", "add", "10.9.9.77/32", "dev", "wg0")
    assert not reaches(phone, "-I", "10.9.9.77")
    assert reaches(phone)

    # A stranger with a configuration like the phone's.
    mine = phone.run("cat", "/etc/wireguard/private").stdout
    new_key(phone)
    come_in(phone, both, "phone", ours)
    assert not reaches(phone)
    phone.has("/etc/wireguard/private", mine)
    come_in(phone, both, "phone", ours)
    assert reaches(phone)

    # The phone is lost: it is let in no more, and the laptop notices nothing.
    since = handshakes(server, "wg0")[keys["laptop"]]
    made(tunnel({"laptop": peers["laptop"]}), server)
    assert handshakes(server, "wg0") == {keys["laptop"]: since}
    assert reaches(laptop)
    assert not reaches(phone)
    assert (
        public_key(server, "wg0")
        == ours
        == server.run("wg", "show", "wg0", "public-key").stdout.strip()
    )
    assert "homelab-" not in server.run("ls", "/run").stdout, "the key's copy is gone"


def test_a_key_that_is_there_stays(machines):
    """Sent once more, as after a link that dropped."""
    make = WireGuardKey("desktop", "wg9")
    [first] = make.diff(make.observe(machines.server)).changes
    keys = []
    for _ in range(2):
        machines.server.run(*first.call.argv)
        keys.append(machines.server.run("cat", "/etc/wireguard/wg9.key").stdout)
    assert keys[0] == keys[1]
    assert make.diff(make.observe(machines.server)).clean
