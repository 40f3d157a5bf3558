"""Before phase N stands what the lab says that the phases before it make: all of it, and no more.

The appliances themselves are asked, by the commands that a person would type.
"""

import json
import shlex

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.lab.per_host import every
from homelab_lib.twin.built import built

LABS = ["", "data/examples/minipc"]
PHASES = [0, 1, 2, 3, 9]


def there(thing: object, phase: int) -> bool:
    return thing.phase is None or thing.phase < phase


def asked(machine, *words):
    reply = machine.run(shlex.join(words)).finished()
    assert reply.status == 0, reply.err
    return json.loads(reply.out)


@pytest.fixture(scope="module", params=[(lab, phase) for lab in LABS for phase in PHASES])
def standing(request):
    path, phase = request.param
    lab = load_lab(path or None)
    return lab, phase, built(lab, before_phase=phase)


def described(lab, phase, things, kind):
    """Those of the things that stand on a kind of host that the twin knows."""
    return {
        (thing.host, thing.name): thing
        for thing in every(things)
        if lab.hosts[thing.host].os.kind == kind and there(thing, phase)
    }


def test_pools_and_datasets(standing):
    lab, phase, world = standing
    pools = described(lab, phase, lab.pools, "truenas")
    datasets = described(lab, phase, lab.datasets, "truenas")
    for host in {h for h, o in lab.hosts.items() if o.os.kind == "truenas"}:
        nas = world.machines[host]
        rows = {row["name"]: row for row in asked(nas, "midclt", "call", "pool.query")}
        assert rows.keys() == {name for on, name in pools if on == host}
        for name, row in rows.items():
            used = [d["disk"] for v in row["topology"]["data"] for d in v["children"] or [v]]
            assert len(used) == len(lab.pools[host][name].disks)
        rows = {row["id"]: row for row in asked(nas, "midclt", "call", "pool.dataset.query")}
        wanted = {name for on, name in datasets if on == host}
        assert {name for name in rows if "/" in name} == wanted
        for name in wanted:
            dataset = lab.datasets[host][name]
            insensitive = rows[name]["casesensitivity"]["value"] == "INSENSITIVE"
            assert insensitive == (dataset.share_type == "SMB"), name
            if dataset.quota_bytes:
                assert rows[name]["quota"]["parsed"] == dataset.quota_bytes
            if dataset.recordsize_bytes:
                assert rows[name]["recordsize"]["parsed"] == dataset.recordsize_bytes


def test_shares(standing):
    lab, phase, world = standing
    exports = described(lab, phase, lab.nfs_shares, "truenas")
    folders = described(lab, phase, lab.smb_shares, "truenas")
    for host in {h for h, o in lab.hosts.items() if o.os.kind == "truenas"}:
        nas = world.machines[host]
        rows = asked(nas, "midclt", "call", "sharing.nfs.query")
        assert sorted(
            (row["path"], row["networks"], row["maproot_user"], row["enabled"]) for row in rows
        ) == sorted(
            (share.path, list(share.networks), share.maproot_user, True)
            for (on, _), share in exports.items()
            if on == host
        )
        rows = asked(nas, "midclt", "call", "sharing.smb.query")
        assert {(row["name"], row["path"]) for row in rows} == {
            (name, share.path) for (on, name), share in folders.items() if on == host
        }
        services = {row["service"]: row for row in asked(nas, "midclt", "call", "service.query")}
        for service, shares in (("nfs", exports), ("cifs", folders)):
            runs = any(on == host for on, _ in shares)
            state = services[service]
            assert (state["enable"], state["state"] == "RUNNING") == (runs, runs)


def test_storages(standing):
    lab, phase, world = standing
    storages = described(lab, phase, lab.storages, "proxmox")
    for host in {h for h, o in lab.hosts.items() if o.os.kind == "proxmox"}:
        node = world.machines[host]
        rows = asked(node, "pvesh", "get", "/storage", "--output-format", "json")
        assert {(row["storage"], row["type"]) for row in rows} == {
            (name, storage.kind) for (on, name), storage in storages.items() if on == host
        }


def test_machines_have_the_disks_that_are_described():
    lab = load_lab()
    machines = built(lab, before_phase=3).machines
    looked = 0
    for name, host in lab.hosts.items():
        if host.disks and host.os.kind != "opnsense":  # FreeBSD has no lsblk
            shown = asked(machines[name], "lsblk", "-J", "-b", "-d", "-o", "NAME,SIZE,ROTA")
            parts = [disk.part for disk in host.disks.values()]
            assert [(row["size"], row["rota"]) for row in shown["blockdevices"]] == [
                (part.capacity_bytes, part.media == "HDD") for part in parts
            ]
            looked += 1
    for name, vm in lab.vms.items():
        if name in machines and machines[name].up:
            [first, *_] = asked(machines[name], "lsblk", "-J", "-b")["blockdevices"]
            assert first["size"] == vm.disk_bytes
            looked += 1
    assert looked > 3
