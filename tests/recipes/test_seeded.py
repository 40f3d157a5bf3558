"""A plan is what apply sends: these recipes on a twin that is seeded with what the machines say."""

import base64

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.lab.remote import CloudflareTunnel, WireGuard, WireGuardPeer
from homelab_lib.recipes import assembly, cloudflare, desktop, tailscale, wireguard
from recipes.bench import Bench

LAB = load_lab()
PEER = WireGuardPeer(
    name="phone",
    public_key=base64.b64encode(bytes([1]) * 32).decode(),
    addresses=("10.9.9.2/32",),
    preshared_key="env:WG_PSK",
)
TUNNEL = WireGuard(name="wg0", addresses=("10.9.9.1/24",), phase=1, peers={"phone": PEER})
CLOUD = CloudflareTunnel(name="home", runs_on="desktop", token="env:TUNNEL_TOKEN", phase=1)
WAYS = LAB.model_copy(
    update={
        "wireguard": {"desktop": {"wg0": TUNNEL}},
        "cloudflare_tunnels": {"home": CLOUD},
        "firewalls": {},
    }
)


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    for name in ("TAILSCALE_AUTH_KEY", "TUNNEL_TOKEN", "WG_PSK"):
        monkeypatch.setenv(name, base64.b64encode(name.encode() * 4)[:43].decode() + "=")


@pytest.mark.parametrize(
    "recipe", [assembly, desktop, tailscale, wireguard, cloudflare], ids=lambda r: r.__name__[20:]
)
def test_a_plan_is_what_is_sent_and_afterwards_there_is_none(recipe):
    bench = Bench(WAYS, recipe.steps(WAYS, 1), phase=2)
    bench.world.machines["desktop"].packages["cloudflared"] = "2025.11.1"
    planned = bench.likeness()
    assert planned.stops() == ("", "")
    assert bench.wire.sent == [], "a plan sends nothing"
    assert bench.stops() == ("", "")
    assert bench.wire.sent == planned.wire.sent
    again = bench.likeness()
    assert again.stops() == ("", "")
    assert again.wire.sent == []
