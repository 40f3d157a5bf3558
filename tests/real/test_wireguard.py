"""WireGuard for real: two network namespaces, wireguard-go or the kernel, and our commands."""

import os
import shutil
import subprocess
import time
from contextlib import contextmanager

import pytest

from homelab_lib.control.linux import wireguard as control
from homelab_lib.control.linux.wireguard import Peer, WireGuardKey, WireGuardTunnel
from homelab_lib.lab import load_lab
from homelab_lib.lab.remote import WireGuard
from homelab_lib.recipes.wireguard import Tunnel
from homelab_lib.transport.command import Result

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "wg-quick", "wireguard-go"))),
        reason="needs root, wireguard-tools and wireguard-go",
    ),
]
STRANGER = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
RUNS = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"}
KEYS = {"key": "nothing", "public": "nothing", "obstacle": ""}


class Box:
    """A machine with a network and an /etc/wireguard of its own; our commands run in its shell."""

    name = "box"

    def __init__(self):
        words = ("unshare", "--net", "--mount", "sh", "-c")
        script = "mount -t tmpfs t /etc/wireguard; mount -t tmpfs t /run; echo up; exec sleep 600"
        self.holder = subprocess.Popen([*words, script], stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "up\n"
        self.sh("ip link set dev lo up")

    @property
    def pid(self):
        return self.holder.pid

    def sh(self, line, check=True):
        words = ["nsenter", "-t", str(self.pid), "--net", "--mount", "sh", "-c", line]
        env = os.environ | {"WG_QUICK_USERSPACE_IMPLEMENTATION": "wireguard-go", "LC_ALL": "C"}
        done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=60)
        assert not check or done.returncode == 0, done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def read(self, *argv, ok=(0,), **options):
        return self.sh(" ".join(argv))

    def send(self, change):
        return self.sh(change.call.line)

    def up(self, text):
        self.sh(f"umask 077; printf '%s' '{text}' > /etc/wireguard/wg0.conf; wg-quick up wg0")

    def close(self):
        self.sh("wg-quick down wg0", check=False)
        self.holder.kill()
        self.holder.communicate()


@contextmanager
def boxes():
    """Two machines, joined by a wire."""
    here, there = Box(), Box()
    try:
        here.sh(f"ip link add name wire0 type veth peer name wire0 netns {there.pid}")
        here.sh("ip addr add 192.0.2.1/24 dev wire0; ip link set dev wire0 up")
        there.sh("ip addr add 192.0.2.2/24 dev wire0; ip link set dev wire0 up")
        yield here, there
    finally:
        here.close()
        there.close()


def configured(peers):
    """The configuration as the recipe writes it, and the resource."""
    named = {"addresses": ["10.9.9.1/24"], "phase": 1}
    tunnel = WireGuard.model_validate(named).model_copy(update={"name": "wg0"})
    text = Tunnel(load_lab(), "desktop", tunnel)._content(peers)
    return text, WireGuardTunnel("desktop", "wg0", ("10.9.9.1/24",), 51820, peers)


def answers(box, address):
    """Whether an address answers within a few tries: the first packets wait for the handshake."""
    for _ in range(10):
        if box.sh(f"ping -n -c 1 -W 1 {address}", check=False).exit_status == 0:
            return True
        time.sleep(0.2)
    return False


def seen(box, tunnel):
    return {
        "unit": RUNS,
        "port": box.sh("wg show wg0 listen-port").stdout.strip(),
        "addresses": list(tunnel.addresses),
        "peers": tunnel._peers(box),
    }


def test_a_peer_goes_and_nobody_else_is_dropped():
    with boxes() as (here, there):
        for box in (here, there):
            box.send(WireGuardKey("box", "wg0").diff(KEYS).changes[0])
        theirs = there.sh("cat /etc/wireguard/wg0.pub").stdout.strip()
        ours = here.sh("cat /etc/wireguard/wg0.pub").stdout.strip()
        assert here.sh("stat -c %a /etc/wireguard/wg0.key").stdout == "600\n"

        phone, other = Peer(theirs, ("10.9.9.2/32",)), Peer(STRANGER, ("10.9.9.3/32",), 25)
        text, both = configured((phone, other))
        here.up(text)
        there.up(
            "[Interface]\nAddress = 10.9.9.2/24\nPostUp = wg set %i private-key "
            f"/etc/wireguard/%i.key\n[Peer]\nPublicKey = {ours}\nAllowedIPs = 10.9.9.1/32\n"
            "Endpoint = 192.0.2.1:51820\n"
        )
        assert answers(there, "10.9.9.1")
        assert both.diff(seen(here, both)).clean, "it runs as it was written"
        assert control.handshakes(here, "wg0")[theirs] > 0
        assert control.handshakes(here, "wg0")[STRANGER] == 0

        text, alone = configured((phone,))
        here.sh(f"printf '%s' '{text}' > /etc/wireguard/wg0.conf")
        before = control.handshakes(here, "wg0")[theirs]
        [change] = alone.diff(seen(here, alone)).changes
        here.send(change)
        assert alone.diff(seen(here, alone)).clean
        assert here.sh("wg show wg0 public-key").stdout.strip() == ours, "its key is still there"
        assert control.handshakes(here, "wg0") == {theirs: before}, "and so is the phone's session"
        assert answers(there, "10.9.9.1")
        assert here.sh("ls /run").stdout.count("homelab-") == 0, "the key's copy is gone"


def test_a_key_that_is_there_stays():
    with boxes() as (here, _):
        change = WireGuardKey("box", "wg0").diff(KEYS).changes[0]
        here.send(change)
        first = here.sh("cat /etc/wireguard/wg0.key").stdout
        here.send(change)
        assert here.sh("cat /etc/wireguard/wg0.key").stdout == first
