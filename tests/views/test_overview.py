"""What people see of a lab."""

from pathlib import Path

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.lab.per_host import every
from homelab_lib.views import tables
from homelab_lib.views.topology import topology

ROOT = Path(__file__).resolve().parents[2]
MINIPC = ROOT / "data" / "examples" / "minipc"


def test_the_readme_shows_the_lab_as_it_is():
    drawn = (ROOT / "notebooks" / "figures" / "topology.svg").read_text()
    assert topology(load_lab()).document == drawn, "run `make notebooks`"


@pytest.mark.parametrize("path", [None, MINIPC])
def test_a_drawing_has_every_machine_and_no_date(path):
    lab = load_lab(path)
    document = topology(lab).document
    for name in (*lab.hosts, *lab.switches, *lab.vms):
        assert f">{name}<" in document
    assert "<dc:date>" not in document
    assert topology(lab).document == document


def test_a_drawing_says_what_is_in_the_hosts_what_the_wires_carry_and_what_holds_them_down():
    document = topology(load_lab()).document
    for said in (
        "RTX 4070 Ti Super",
        "4 × HDD 14 TB",
        "VLAN 30: servers, 10.0.30.0/24",
        "VLAN 1; tagged 10, 20, 30, 40",
        "1 Gb/s, Cat6",
        "▼ 7.42 Gb/s: the slot",
    ):
        assert f">{said}" in document, said
    as_written = topology(load_lab(decisions=False)).document
    assert ">no link, DAC<" in as_written, "RJ45 is no plug of a DAC cable"


def names(table):
    return list(table.index) if len(table) else []


@pytest.mark.parametrize("path", [None, MINIPC])
def test_every_table_can_be_made_of_any_lab(path):
    lab = load_lab(path)
    assert list(tables.hosts(lab).index) == list(lab.hosts)
    assert len(tables.cables(lab)) == len(lab.cables)
    assert names(tables.networks(lab)) == list(lab.vlans)
    assert names(tables.pools(lab)) == [pool.name for pool in every(lab.pools)]
    assert set(lab.vms) <= set(names(tables.virtual_machines(lab)))
    assert len(tables.phases(lab)) == sum(len(phase.tasks) for phase in lab.phases)
    assert len(tables.decisions(lab)) == len(lab.decisions)


def test_the_usable_size_is_not_the_labels():
    row = tables.pools(load_lab()).loc["tank"]
    assert row["disks"] == "56 TB = 50.93 TiB"
    assert row["usable (predicted)"] == "26.98 TB = 24.54 TiB"
    assert row["the design says"] == "28 TB = 25.47 TiB"
