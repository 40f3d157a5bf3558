"""Linux containers, made over SSH on a node that isn't there."""

import json
from pathlib import Path

import pytest
import yaml

from homelab_lib.errors import LabError
from homelab_lib.lab import load_lab
from homelab_lib.runbook.proof import check
from homelab_lib.twin.proxmox.container import Container
from standing import differences
from standing import standing as serve_standing

LAB = Path(__file__).parent / "labs" / "proxmox.yaml"
TEMPLATE = "debian-13-standard_13.1-2_amd64.tar.zst"
CHANGES = r"^(sudo -n -- )?(systemd-run .*pct|pct|pvesh set)"
USUAL = {("cut-after", 1)}
"""Where it is cut off at every change; CI has the other points."""


def with_containers():
    """The lab with two containers, as its file would say it."""
    document = yaml.safe_load(LAB.read_text())
    del document["hosts"]["hyper"]["phase"]
    for room in ("pools", "storages"):
        for each in document[room]["hyper"].values():
            each.pop("phase", None)
    document["storages"]["hyper"]["local"]["content"].append("vztmpl")
    document["images"] = {
        "debian": {
            "kind": "template",
            "url": f"http://download.proxmox.com/images/system/{TEMPLATE}",
            "filename": TEMPLATE,
            "sha256": "ab" * 32,
            "release": "Debian 13",
        }
    }
    one = {
        "host": "hyper",
        "template": "debian",
        "vcpu": 2,
        "memory_bytes": "1 GiB",
        "disk_bytes": "8 GiB",
        "storage": "local-zfs",
        "vlan": 30,
        "phase": 1,
    }
    document["containers"] = {
        "dns": one | {"vmid": 301, "address": "10.0.30.40/24", "gateway": "10.0.30.1",
                      "nameserver": "10.0.30.1"},
        "files": one | {"vmid": 302, "address": "10.0.30.41/24",
                        "mac": "BC:24:11:00:00:02",
                        "mounts": {"mp0": {"path": "/srv", "storage": "fastmirror",
                                           "size_bytes": "20 GiB"}}},
    }  # fmt: skip
    return document


@pytest.fixture
def described(tmp_path):
    """That lab as a folder of its own; some of it changed."""

    def describe(edit=lambda document: None):
        document = with_containers()
        edit(document)
        folder = tmp_path / "described"
        folder.mkdir()
        (folder / "lab.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        return str(folder)

    return describe


@pytest.fixture
def standing(described, tmp_path, monkeypatch):
    there = serve_standing(tmp_path / "lab", monkeypatch, path=described(), runbook="phase1")
    with there as lab:
        yield lab


def node(standing):
    return standing.world.machines["hyper"]


def test_they_are_made_once_and_run(standing):
    digest = standing.planned()
    ran = standing.run("apply", digest)
    assert ran.error is None
    assert list(check(ran.record)) == []
    dns, files = node(standing).containers[301], node(standing).containers[302]
    assert dns.config["net0"].startswith("name=eth0,bridge=vmbr0,gw=10.0.30.1,hwaddr=BC:24:11:")
    assert "tag" not in dns.config["net0"], "its bridge's port has this VLAN untagged"
    assert dns.config["rootfs"] == "local-zfs:subvol-301-disk-0,size=8G"
    assert files.config["mp0"] == "fastmirror:subvol-302-disk-0,mp=/srv,size=20G"
    assert "HWADDR=BC:24:11:00:00:02" in files.config["net0"].upper()
    again = standing.run("apply", digest)
    assert (again.error, again.sent) == (None, 0)
    assert standing.run("verify").error is None


def test_one_of_somebody_else_is_left_alone(standing):
    theirs = {"hostname": "theirs", "rootfs": "local-zfs:subvol-301-disk-0,size=8G"}
    node(standing).containers[301] = Container(301, theirs, running=True)
    ran = standing.run("plan")
    assert "VMID 301 is taken by 'theirs'" in str(ran.error)
    assert node(standing).containers[301].config == theirs


@pytest.mark.slow
def test_one_that_differs_is_told_and_a_small_disk_grows(standing):
    assert standing.run("apply", standing.planned()).error is None
    files = node(standing).containers[302]
    files.config["mp0"] = files.config["mp0"].replace("20G", "10G")
    node(standing).stores["fastmirror"].volumes["subvol-302-disk-0"] = 10 * 2**30
    ran = standing.run("apply", standing.planned())
    assert (ran.error, ran.sent) == (None, 1)
    assert "size=20G" in files.config["mp0"]
    files.config["memory"] = "256"
    assert "memory is 256, and should be '1024'" in str(standing.run("plan").error)


@pytest.mark.parametrize(
    ("kind", "nth"),
    [
        pytest.param(kind, nth, marks=() if (kind, nth) in USUAL else pytest.mark.sample)
        for kind in ("cut-before", "cut-after", "reboot")
        for nth in (1, 3)
    ],
)
@pytest.mark.slow
def test_whatever_is_cut_off_the_same_command_finishes_it(standing, tmp_path, kind, nth):
    digest = standing.planned()
    standing.world.faults.arm(kind, CHANGES, nth=nth)
    standing.until_done(digest)
    found = {vmid: each.running for vmid, each in node(standing).containers.items()}
    assert found == {301: True, 302: True}
    assert standing.run("verify").error is None


@pytest.mark.sample
def test_one_that_was_broken_off_is_named_and_cleared_away(standing):
    """The lock of its making is there, and a locked one is not destroyed by force."""
    digest = standing.planned()
    standing.world.faults.arm("reboot", r"pct create", nth=1)
    assert standing.run("apply", digest).error is not None
    left = node(standing).containers
    assert [each.config for each in left.values()] == [{"lock": "create"}] * len(left)
    assert left
    vmid = next(iter(left))
    refused = node(standing).run(f"pct destroy {vmid} --force 1").finished()
    assert "CT is locked (create)" in refused.err.decode()
    standing.until_done(digest)
    assert standing.run("verify").error is None


@pytest.fixture
def cut_in_its_setting_up(standing):
    """Container 301, and its neighbour, when the node restarted after they were unpacked."""
    hyper, strike, struck = node(standing), standing.world.faults.strike, []

    def watch(machine, line):
        if "pct create 301" in line and not struck:
            struck.append(line)
            standing.world.after(21.0, hyper.reboot)
        return strike(machine, line)

    standing.world.faults.strike = watch
    digest = standing.planned()
    assert standing.run("apply", digest).error is not None
    assert "lock" not in hyper.containers[301].config, "it looks whole"
    assert hyper.tasks.listed("all", "301")[0]["status"] == "unexpected status"
    return digest


@pytest.mark.slow
def test_one_whose_setting_up_was_cut_off_is_made_anew(standing, cut_in_its_setting_up):
    """Its whole configuration is written before it is set up, and it starts with the node."""
    ran = standing.run("apply", cut_in_its_setting_up)
    assert 'allow_destroy=["container 301 (dns)"' in str(ran.error)
    standing.until_done(cut_in_its_setting_up)
    assert node(standing).tasks.listed("all", "301")[-1]["type"] == "vzcreate"
    assert standing.run("verify").error is None


@pytest.mark.slow
def test_one_that_was_cut_off_under_another_approval_is_left_alone(standing, cut_in_its_setting_up):
    before = dict(node(standing).containers[301].config)
    ran = standing.run("plan")
    assert "VMID 301 is not whole: vzcreate did not come to its end (unexpected status)" in str(
        ran.error
    )
    assert node(standing).containers[301].config == before
    # Its owner restores it from a backup: then that counts.
    node(standing).tasks.end(node(standing).tasks.begin("vzrestore", "301"))
    assert standing.run("plan").error is None


def test_what_no_node_takes_stops_before_anything_is_sent(described):
    def onto_files(document):
        document["containers"]["dns"]["storage"] = "local"

    with pytest.raises(LabError) as caught:
        load_lab(described(onto_files))
    assert "storage 'local' may not hold containers" in str(caught.value)


def test_a_plan_shows_what_is_made(standing):
    ran = standing.run("plan")
    plan = json.loads((ran.record / "plan.json").read_text())
    calls = [change["call"] for change in plan["changes"]]
    assert any(f"pct create 301 local:vztmpl/{TEMPLATE} --hostname dns" in call for call in calls)
    assert {change["rests"] for change in plan["changes"]} == {"source"}
    assert differences(standing.world.state(), standing.world.state()) == []
