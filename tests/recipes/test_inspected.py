"""What gets through inspection: said to be a model's word only, or measured beside it."""

import pytest

from homelab_lib.control.linux.iperf import through
from homelab_lib.errors import NotUnderstood
from homelab_lib.transport.command import Result
from homelab_lib.transport.reads import reads_only
from recipes.firewall_box import Box

STEPS = ("vlans", "interfaces", "rules", "inspection")


@pytest.fixture(scope="module")
def box():
    """A firewall that inspects; what a test changes at the machines beside it, it puts back."""
    box = Box("26.7")
    try:
        box.run(*STEPS)
        yield box
    finally:
        box.target.close()


def test_nobody_serves_so_nothing_is_measured(box, monkeypatch):
    packages = box.target.world.machines["desktop"].packages
    monkeypatch.delitem(packages, "iperf3", raising=False)
    (outcome,) = box.run("inspection")
    says = [check.says for check in outcome.checks if "is measured" in check.title]
    assert "not measured, desktop has no iperf3" in says[0]
    assert "run  iperf3 --server --one-off  on proxmox" in says[0]
    assert outcome.measurements == []
    monkeypatch.setitem(packages, "iperf3", "3.18-2")
    (outcome,) = box.run("inspection")
    says = [check.says for check in outcome.checks if "is measured" in check.title]
    assert "unable to connect to server" in says[0]
    assert "Connection refused" in says[0]


def test_measured_beside_what_the_model_allows(box, monkeypatch):
    machines = box.target.world.machines
    monkeypatch.setitem(machines["desktop"].packages, "iperf3", "3.18-2")
    monkeypatch.setitem(machines["proxmox"].listeners, 5201, lambda: True)
    (outcome,) = box.run("inspection")
    (row,) = outcome.measurements
    assert row.name == "desktop to proxmox through firewall"
    assert row.value == pytest.approx(2.5e9 * 0.941, rel=0.01), "the desktop's cable is the limit"
    assert row.predicted == pytest.approx(row.value, rel=0.01)


class Said:
    """A host that answers so."""

    name = "desktop"

    def __init__(self, status, text):
        self.result = Result(status, text, "")

    def read(self, *words, **options):
        return self.result


def test_what_iperf3_says_is_understood_or_refused():
    got = '{"end": {"sum_received": {"bits_per_second": 941e6}}}'
    assert through(Said(0, got), "10.0.30.10").bps == 941e6
    failed = '{"start": {}, "end": {}, "error": "unable to connect to server"}'
    assert through(Said(1, failed), "10.0.30.10").why == "desktop says: unable to connect to server"
    with pytest.raises(NotUnderstood):
        through(Said(0, "iperf3: no --json"), "10.0.30.10")


@pytest.mark.parametrize(
    "words",
    ["--server", "--client 10.0.0.1", "--client 10.0.0.1 --time 3600", "--client a --time 5 -D"],
)
def test_only_a_client_that_ends_is_a_look(words):
    assert not reads_only(["iperf3", *words.split()])
    assert reads_only(["iperf3", "--client", "10.0.30.10", "--time", "5"])
