"""A lab's pool is reckoned as it is: any vdevs, to the byte, and its bytes add up to its labels."""

from pathlib import Path

import pytest

from homelab_lib.audit.facts_storage import pool_facts
from homelab_lib.audit.run import findings
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.lab.per_host import at
from homelab_lib.wiring.capacity import made_of, pool_capacity_of, steps

LAB = load_lab(Path(__file__).resolve().parents[2] / "data")
TANK = "pools.truenas.tank"
DISKS = at(LAB.pools, "truenas.tank").disks_for()
SMALL = [d for d in LAB.hosts["truenas"].disks if d not in DISKS]


def lab_with(*vdevs):
    """The shipped lab with these vdevs in its large pool, which is there already: TrueNAS makes
    none of vdevs of different kinds, and takes one over."""
    lists = [
        {"role": role, "layout": layout, "disks": list(disks)} for role, layout, disks in vdevs
    ]
    there = (f"{TANK}.phase", None)
    vdevs_of = ((f"{TANK}.layout", None), (f"{TANK}.disks", []), (f"{TANK}.vdevs", lists))
    return changed(LAB, there, *vdevs_of)


@pytest.mark.parametrize(
    "vdevs",
    [
        [("data", "raidz2", DISKS)],
        [("data", "mirror", DISKS[:2]), ("data", "mirror", DISKS[2:])],
        [("data", "raidz1", DISKS[:3]), ("spare", "stripe", DISKS[3:])],
        [("data", "draid1:2d:4c:1s", DISKS)],
        [("data", "stripe", DISKS)],
        [("data", "mirror", (DISKS[0], SMALL[0])), ("data", "stripe", DISKS[1:2])],
    ],
)
def test_the_steps_add_up_to_the_labels(vdevs):
    lab = lab_with(*vdevs)
    pool = at(lab.pools, "truenas.tank")
    found = pool_capacity_of(lab, pool)
    shown = steps(made_of(lab, pool), found)
    assert sum(shown.values()) == found.raw_bytes
    assert min(shown.values()) >= 0


def test_a_special_mirror_does_not_make_the_pool_as_small_as_itself():
    plain = lab_with(("data", "raidz2", DISKS))
    special = lab_with(("data", "raidz2", DISKS), ("special", "stripe", SMALL[:1]))
    holds = [
        pool_capacity_of(lab, at(lab.pools, "truenas.tank")).usable_bytes
        for lab in (plain, special)
    ]
    assert holds[0] == holds[1] > 26 * 10**12


def test_what_a_mixed_pool_holds_is_judged_like_any_other():
    lab = lab_with(("data", "mirror", DISKS[:2]), ("data", "raidz1", DISKS[2:]))
    lab = changed(lab, (f"{TANK}.claimed_usable_bytes", 40 * 10**12))
    assert "truenas.tank" not in pool_facts(lab)
    told = [f for f in findings(lab) if f.rule == "capacity-before-overhead" and TANK in f.subject]
    usable = pool_capacity_of(lab, at(lab.pools, "truenas.tank")).usable_bytes
    assert [finding.number for finding in told] == [usable]
