"""The habits of TrueNAS's middleware, by release."""

import json

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.lab.releases import KNOWN
from homelab_lib.twin.built import built
from homelab_lib.twin.fidelity import Fidelity, Shelf, rests_on
from homelab_lib.twin.machine.appliance import release_of
from homelab_lib.twin.truenas.grounds import GROUNDS
from homelab_lib.twin.truenas.midclt import truenas
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.rpc import METHODS

SHARE = '{"path":"/mnt/tank/media","networks":["10.0.30.0/24"]}'


@pytest.fixture
def nas():
    return built(load_lab(), before_phase=2).machines["truenas"]


def midclt(nas: TrueNas, *words: str):
    import shlex

    return nas.run(shlex.join(("midclt", "call", *words)))


def as_release(nas: TrueNas, version: str) -> TrueNas:
    nas.version = version
    return nas


def test_truth_values_are_printed_as_python_does(nas):
    assert midclt(nas, "system.ready").out == b"True\n"
    assert midclt(nas, "system.version").out == b"TrueNAS-25.10.1\n"


def test_what_is_exported_is_asked_of_the_machine_itself_or_by_a_name(nas):
    mine = nas.run("showmount --no-headers -e localhost").finished()
    assert "/mnt/tank/" in mine.out.decode()
    node = nas.world.machines["proxmox"]
    by_name = node.run("showmount --no-headers -e nobody.invalid").finished()
    assert (by_name.status, by_name.err) == (1, b"clnt_create: RPC: Unknown host\n")
    assert node.run("showmount --no-headers -e 10.0.60.1").finished().out == mine.out
    nas.services["nfs"].running = False
    stopped = nas.run("showmount -e localhost").finished()
    assert (stopped.status, b"refused" in stopped.err) == (1, True)


def test_a_job_prints_its_number_and_goes_on(nas):
    number = (
        midclt(nas, "service.control", "START", "cifs", '{"silent":false}').out.decode().strip()
    )
    job = json.loads(midclt(nas, "core.get_jobs", f'[["id","=",{number}]]').out)[0]
    assert job["state"] == "RUNNING"
    nas.world.clock.sleep(60)
    job = json.loads(midclt(nas, "core.get_jobs", f'[["id","=",{number}]]').out)[0]
    assert (job["state"], job["result"]) == ("SUCCESS", True)


def test_service_control_came_with_25_10(nas):
    old = as_release(nas, "25.04.2")
    assert midclt(old, "service.control", "START", "nfs").status == 1
    assert midclt(old, "service.start", "nfs", '{"silent":false}').out == b"True\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("pool.dataset.create", '{"name":"tank"}'), "You need a full name"),
        (("pool.dataset.create", '{"name":"nope/x"}'), "zpool (nope) does not exist"),
        (("pool.dataset.create", '{"name":"tank/x","sharetype":"NFS"}'), "Extra inputs are not"),
        (("pool.dataset.create", '{"name":"tank/media"}'), "exists"),
        (("sharing.nfs.create", SHARE), "already exports"),
        (("sharing.nfs.create", '{"path":"/mnt/tank/none","networks":[]}'), "not found"),
        (("sharing.nfs.create", '{"path":"/mnt/tank/family","maproot_user":"x"}'), "User not"),
        (("no.such.method",), "Method does not exist"),
    ],
)  # fmt: skip
def test_what_it_refuses_and_how(nas, words, says):
    reply = midclt(nas, *words)
    assert reply.status == 1
    assert says in reply.err.decode()


def test_a_service_that_does_not_start_says_so_only_when_asked(nas):
    nas.config["nfs"]["bindip"] = ["10.0.99.1"]
    nas.services["nfs"].running = False
    old = as_release(nas, "25.04.2")
    assert midclt(old, "service.start", "nfs").out == b"False\n"
    loud = midclt(old, "service.start", "nfs", '{"silent":false}')
    assert loud.status == 1
    assert b"cannot bind" in loud.err


@pytest.mark.parametrize(
    ("client", "as_root"), [("10.0.30.21", True), ("10.0.10.50", None), ("10.0.99.1", None)]
)
def test_an_export_is_for_its_networks(nas, client, as_root):
    midclt(nas, "pool.dataset.create", '{"name":"tank/k3s","share_type":"NFS"}')
    document = {"path": "/mnt/tank/k3s", "networks": ["10.0.30.0/24"],
                "maproot_user": "root", "maproot_group": "root"}  # fmt: skip
    midclt(nas, "sharing.nfs.create", json.dumps(document))
    export = nas.export_for("/mnt/tank/k3s", client)
    assert (export.writes_as_root if export else None) == as_root


def test_without_maproot_a_clients_root_may_not_write(nas):
    export = nas.export_for("/mnt/tank/media", "10.0.30.21")
    assert export is not None
    assert not export.writes_as_root


def test_a_restart_forgets_jobs_and_keeps_data(nas):
    midclt(nas, "pool.dataset.create", '{"name":"tank/k3s"}')
    midclt(nas, "service.control", "START", "snmp")
    nas.reboot()
    nas.world.clock.sleep(120)
    assert midclt(nas, "core.get_jobs").out == b"[]\n"
    assert "tank/k3s" in nas.datasets
    assert nas.services["nfs"].running
    assert not nas.services["snmp"].running, "it was not enabled"


@pytest.mark.parametrize("series", [each.name for each in KNOWN if each.product == "truenas"])
def test_each_call_says_what_it_rests_on(series):
    """A method that a series has, has grounds there; one that it has not, has none."""
    shelf = Shelf("truenas", GROUNDS, lambda machine: series)
    release = (*release_of(series), 9)
    there = {
        name
        for name, methods in METHODS.items()
        for each in methods
        if each.since <= release and (each.until is None or release < each.until)
    }
    assert "midclt" in truenas.bodies
    grounded = {
        name
        for name in METHODS
        if rests_on([shelf], None, f"midclt call {name}") != Fidelity.GUESSED
    }
    assert grounded == there
