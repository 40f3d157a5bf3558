"""A plan is what apply sends: these recipes on a twin that is seeded with what the machines say."""

import base64

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.lab.remote import CloudflareTunnel, WireGuard, WireGuardPeer
from homelab_lib.recipes.hardware import assembly, desktop
from homelab_lib.recipes.ways_in import cloudflare, tailscale, wireguard
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


def _named(recipe):
    return recipe.__name__.rpartition(".")[2]


def _bench(recipe):
    bench = Bench(WAYS, recipe.steps(WAYS, 1), phase=2)
    bench.world.machines["desktop"].packages["cloudflared"] = "2025.11.1"
    return bench


def _without_keys(bench):
    """The state of its machines, but for keys that are drawn."""
    found = bench.world.state()["machines"]
    for machine in found.values():
        for path in [each for each in machine["files"] if each.startswith("/etc/wireguard/wg0.")]:
            del machine["files"][path]
        for tunnel in machine["kept"].get("wireguard", {}).values():
            tunnel.pop("public")
    return found


@pytest.mark.parametrize(
    "recipe", [assembly, desktop, tailscale, wireguard, cloudflare], ids=_named
)
def test_a_plan_is_what_is_sent_and_afterwards_there_is_none(recipe):
    bench = _bench(recipe)
    planned = bench.likeness()
    assert planned.stops() == ("", "")
    assert bench.wire.sent == [], "a plan sends nothing"
    assert bench.stops() == ("", "")
    assert bench.wire.sent == planned.wire.sent
    again = bench.likeness()
    assert again.stops() == ("", "")
    assert again.wire.sent == []


@pytest.mark.parametrize("recipe", [desktop, tailscale, wireguard, cloudflare], ids=_named)
def test_cut_off_at_every_change_it_comes_to_the_same(recipe):
    whole, cut = (_bench(recipe) for _ in range(2))
    cut.ends_as(whole)
    assert _without_keys(cut) == _without_keys(whole)
    cut.wire.sent.clear()
    assert cut.stops() == ("", "")
    assert cut.wire.sent == []
