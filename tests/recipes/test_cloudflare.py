"""A tunnel to Cloudflare: its token, its rules, who is let in, and whether it is connected."""

import pytest

from homelab_lib.errors import BadParameter
from homelab_lib.lab import load_lab
from homelab_lib.lab.remote import CloudflareTunnel
from homelab_lib.recipes.ways_in import cloudflare
from homelab_lib.twin.machine.program import Reply
from recipes.bench import Bench

LAB = load_lab()
TOKEN = "eyJhIjoiZXhhbXBsZSIsInQiOiJub3QgYSByZWFsIHRva2VuIn0"
CHAT = {
    "name": "chat",
    "hostname": "chat.example.org",
    "service": "http://10.0.30.21:80",
    "who": "the family's addresses",
}


def lab_with(ingress, runs_on="desktop"):
    tunnel = CloudflareTunnel.model_validate(
        {"runs_on": runs_on, "token": "env:TUNNEL_TOKEN", "phase": 1, "ingress": ingress}
    ).model_copy(update={"name": "home"})
    return LAB.model_copy(update={"cloudflare_tunnels": {"home": tunnel}})


@pytest.fixture(autouse=True)
def token(monkeypatch):
    monkeypatch.setenv("TUNNEL_TOKEN", TOKEN)


def bench_of(lab):
    bench = Bench(lab, cloudflare.steps(lab, 1), phase=2)
    bench.world.machines["desktop"].packages["cloudflared"] = "2025.11.1"
    return bench


def test_made_once_and_connected():
    bench = bench_of(lab_with([CHAT]))
    assert bench.stops() == ("", "")
    desk = bench.world.machines["desktop"]
    assert desk.files.entry("/etc/cloudflared/home.token").mode == 0o600
    assert desk.units["cloudflared-home"].active == "active"
    assert not any(TOKEN in line for line in bench.wire.sent)
    assert "http_status:404" in desk.files.text("/etc/cloudflared/home.yml")
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []
    desk.reboot()
    bench.world.clock.sleep(60)
    assert bench.stops() == ("", "")
    assert bench.wire.sent == [], "it starts with the machine, with its files as they are"


def test_another_rule_restarts_it_and_nothing_else_does():
    bench = bench_of(lab_with([CHAT]))
    assert bench.stops() == ("", "")
    more = CHAT | {"name": "git", "hostname": "git.example.org"}
    bench.steps = tuple(cloudflare.steps(lab_with([CHAT, more]), 1))
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent[-1] == "desktop: systemctl restart cloudflared-home"
    assert len(bench.wire.sent) == 2


def test_a_name_without_a_policy_is_for_everybody_and_that_is_said():
    where, said = bench_of(lab_with([CHAT | {"who": ""}])).stops()
    assert where == "cloudflare"
    assert "chat.example.org is for somebody: http://10.0.30.21:80 would be open to every" in said


def test_rules_that_cloudflared_refuses():
    where, said = bench_of(lab_with([CHAT])).stops()
    assert (where, said) == ("", "")
    bench = bench_of(lab_with([CHAT]))
    bench.world.machines["desktop"].instead.append(
        lambda call, run: None if "validate" not in call.argv else _refused()
    )
    where, said = bench.stops()
    assert where == "cloudflare"
    assert "must match all URLs" in said


def _refused():
    why = "The last ingress rule must match all URLs (i.e. it should not have a hostname)"
    return Reply(1, stderr=f"Validation failed: {why}\n")


def test_whether_a_name_asks_who_one_is_is_seen_from_outside():
    bench = bench_of(lab_with([CHAT]))
    assert bench.stops() == ("", "")
    manual = bench.steps[-1].manual
    assert "chat.example.org → http://10.0.30.21:80" in manual.ask
    assert "chat.example.org: the family's addresses" in manual.ask
    told = manual.verify(bench.engine().context)
    assert (told.holds, "does not answer yet: chat.example.org" in told.says) == (False, True)


def test_on_an_appliance_it_is_refused():
    with pytest.raises(BadParameter, match="which is truenas"):
        list(cloudflare.steps(lab_with([CHAT], runs_on="truenas"), 1))
