"""A lab of odd things: 24 SAS disks as one dRAID, names with spaces, leases, three nodes with
storages of one name, a NAS in a virtual machine, appliances, systems that nobody drives."""

from pathlib import Path

import pytest

from homelab_lib.audit.run import findings
from homelab_lib.lab import load_lab
from homelab_lib.recipes import runbooks
from homelab_lib.session.rehearsed import before, rehearse

FILE = Path(__file__).parent / "labs" / "odd.yaml"


@pytest.fixture(scope="module")
def lab():
    return load_lab(FILE)


def test_nothing_stops_it(lab):
    assert [found for found in findings(lab) if found.severity == "stops"] == []


def test_all_of_it_is_made_and_made_once(lab, monkeypatch):
    monkeypatch.setenv("NUT", "made-up-012345")
    books = runbooks(lab)
    assert [each.name for each in books] == ["phase1", "phase1_proxmox", "phase2", "phase3"]
    target = before(lab, None)
    try:
        machines = target.world.machines
        vault, tnas = machines["vault"], machines["tnas"]
        assert len(vault.pools["media"].disks) == 24 + 4
        assert {"media/Family Photos", "media/My Lun"} <= set(vault.datasets)
        assert set(tnas.datasets) == {"flash", "flash/Time Machine"}
        nodes = (machines[name] for name in ("pve1", "pve2", "pve3"))
        assert [set(node.vms) | set(node.containers) for node in nodes] == [
            {101, 112}, {102, 110, 120}, {103, 111}
        ]  # fmt: skip
        made = target.world.state()
        for each in books:
            rehearse(lab, each, target)
        assert target.world.state() == made
    finally:
        target.close()
