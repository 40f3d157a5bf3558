"""Each thing that decays, alone: found by a look in words that name it and what mends it, and
nothing else is; mended, all is well again."""

import re
from dataclasses import dataclass
from random import Random

import pytest

from homelab_lib.errors import HomelabError
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes import looks
from homelab_lib.recipes.firewall import opnsense
from homelab_lib.recipes.kubernetes import looks as cluster_looks
from homelab_lib.runbook.step import Step
from homelab_lib.twin import decays
from homelab_lib.views.looks import findings
from recipes import cards_bench, in_production, test_backup, test_own_backup_server
from recipes.bench import Bench

LAB = load_lab()
_DAY_S = 86_400.0
_API = ("OPNSENSE_API_KEY", "OPNSENSE_API_SECRET")


@dataclass
class Place:
    """A twin on which something was made, and a look at that."""

    bench: Bench

    def found(self):
        """What a look finds amiss, as `House.look` tells it."""
        engine, told = self.bench.engine("verify"), []
        for step in self.bench.steps:
            try:
                engine.run_step(step.name)
            except HomelabError:  # one host that can't be looked at hides no other
                engine.outcomes[step.name].status = "drift"
            outcome = engine.outcomes[step.name]
            if outcome.status == "drift":
                told += [f"{step.name}: {text}" for _, text in findings(outcome)]
        return told

    def wait(self, days):
        self.bench.world.clock.sleep(days * _DAY_S)


def appliances():
    return Bench(LAB, looks.looks(LAB, {1, 2}), phase=3)


def gateway():
    outside = (step for step in looks.looks(LAB, {1}) if step.name == "outside")
    return Bench(LAB, (*opnsense.steps(LAB, 1), *outside), phase=1)


def production():
    lab = changed(LAB, ("services.open-webui.phase", None))
    bench = in_production.bench_of(lab, storage=True)
    bench.steps += tuple(cluster_looks.looks(lab, {2, 4}))
    return bench


def cards():
    bench = cards_bench.bench()
    bench.steps += tuple(s for s in cluster_looks.looks(bench.lab, {2, 3}) if s.name == "cards")
    return bench


def copies():
    return test_backup.bench_of()[0]


def datastores():
    return test_own_backup_server.bench_of(looks=[4])[0]


ROOMS = {
    appliances: ("apart-service-ends", "k3s-agent-killed", "k3s-agent-leaks", "nas-disk-fails",
                 "nas-pool-degraded", "opnsense-certificate-ends",
                 "pve-certificate-ends", "pve-disk-fails", "pve-stale-lock", "zpool-degraded"),
    gateway: ("ids-dies", "ips-holds-back"),
    production: ("certificate-not-renewed", "flux-gives-up", "flux-suspended"),
    cards: ("gpu-lost-by-reload", "nvidia-driver-split"),
    copies: ("restic-half-locked",),
    datastores: ("pbs-disk-rots",),
}  # fmt: skip
"""What each bench has that can decay."""
_MENDED_BY = re.compile(
    r"`[^`]+`|replace|restart|mend that|of their versions|start it anew|see its own pages"
)


def test_each_has_a_place_here():
    assert sorted(name for names in ROOMS.values() for name in names) == sorted(
        each.name for each in decays.known()
    )


_CHEAP = (appliances, copies, datastores)


@pytest.mark.parametrize("seed", range(6))
def test_what_a_seed_picks_is_found_together(seed, standing_appliances):
    place, world = standing_appliances, standing_appliances.bench.world
    chosen = [
        (d, name) for d, name in decays.drawn(world, seed, most=5) if d.name in ROOMS[appliances]
    ]
    mends = [decay.play(world.machines[name]) for decay, name in chosen]
    place.wait(Random(seed).uniform(15.0, 25.0))
    told = place.found()
    for mend in reversed(mends):
        mend()
    place.wait(0.1)
    for decay, name in chosen:
        assert any(re.search(decay.tells[0], line) for line in told), f"{decay.name} on {name}"
    tells = [pattern for decay, _ in chosen for pattern in decay.tells]
    assert [line for line in told if not any(re.search(p, line) for p in tells)] == []
    assert place.found() == []


@pytest.fixture(scope="module")
def standing_appliances():
    return Place(appliances())


@pytest.mark.parametrize(
    "make",
    [pytest.param(make, marks=() if make in _CHEAP else pytest.mark.sample) for make in ROOMS],
    ids=lambda make: make.__name__,
)
def test_each_is_found_by_name_with_what_mends_it_and_nothing_else_is(make, monkeypatch):
    for name, value in in_production.SECRETS.items():
        monkeypatch.setenv(name, value)
    for name in ("RESTIC_KEY", "RESTIC_ID", "RESTIC_SECRET", "RESTIC_LOGIN", "PBS_TOKEN", *_API):
        monkeypatch.setenv(name, "nobody's")
    place = Place(make())
    stops = place.bench.stops()
    assert stops == ("", ""), stops
    assert place.found() == []
    world, seen = place.bench.world, set()
    makes = {step.name for step in place.bench.steps if step.ensure is not Step("", "").ensure}
    for decay, name in decays.places(world):
        if decay.name not in ROOMS[make]:
            continue
        seen.add(decay.name)
        mend = decay.play(world.machines[name])
        place.wait(Random(f"{decay.name}/{name}").uniform(15.0, 25.0))
        told = place.found()
        first = [line for line in told if re.search(decay.tells[0], line)]
        assert first, f"{decay.name} on {name} was not found; found: {told}"
        strange = [line for line in told if not any(re.search(p, line) for p in decay.tells)]
        assert strange == [], f"{decay.name} on {name}"
        # What a runbook's step finds, that step mends, and health names it.
        bare = [line for line in first if line.partition(":")[0] not in makes]
        assert all(map(_MENDED_BY.search, bare)), f"nothing says what mends it: {bare}"
        mend()
        place.wait(8.0)  # what is done each week has been done
        again = place.bench.stops()
        assert again == ("", ""), again
        assert place.found() == [], f"{decay.name} on {name}: mended"
    assert seen == set(ROOMS[make]), "one fits nowhere"
