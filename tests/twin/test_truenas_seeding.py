"""A twin of a real TrueNAS: as it is, with whatever is broken in it."""

import json
import shlex
from copy import deepcopy

import pytest

from contract.small_nas import made, small_nas
from homelab_lib.control.truenas.dataset import ZfsDataset
from homelab_lib.transport.command import Result
from homelab_lib.twin.truenas.errors import ApiError
from homelab_lib.twin.truenas.seeding import seed_truenas

RELEASES = ("25.04.2", "25.10.5", "26.0.0-BETA.3")
READ = (
    ("pool.query",),
    ("pool.dataset.query",),
    ("disk.details",),
    ("disk.query",),
    ("sharing.nfs.query",),
    ("sharing.smb.query",),
    ("service.query",),
    ("pool.snapshottask.query",),
    ("pool.scrub.query",),
    ("cronjob.query",),
    ("staticroute.query",),
    ("nfs.config",),
    ("system.version",),
    ("interface.query",),
    ("interface.has_pending_changes",),
    ("network.configuration.config",),
)


def asking(nas, **instead):
    """Asks a NAS; some methods answer something else."""

    def ask(host, argv):
        method = argv[2] if argv[:2] == ("midclt", "call") else ""
        if method in instead:
            return 0, json.dumps(instead[method]), ""
        reply = nas.run(shlex.join(argv)).finished()
        return reply.status, reply.out.decode(), reply.err.decode()

    return ask


def seeded_from(ask, release="25.10.5"):
    twin = small_nas(release)  # what it held before counts no more
    seed_truenas(twin, ask)
    return twin


def used_for_a_while(release):
    nas = small_nas(release)
    made(nas, "pool.dataset.create", {"name": "tank/v", "type": "VOLUME", "volsize": 2**30})
    made(nas, "pool.dataset.update", "tank/m", {"quota": 2**40, "recordsize": "1M", "atime": "OFF"})
    made(nas, "pool.dataset.update", "tank/a", {"comments": "mine", "copies": 2})
    made(nas, "sharing.nfs.create", {"path": "/mnt/tank/a", "networks": ["10.0.30.0/24"]})
    made(nas, "sharing.smb.create", {"path": "/mnt/tank/m", "name": "media"})
    made(nas, "pool.snapshottask.create", {"dataset": "tank/a", "lifetime_value": 9})
    made(nas, "pool.scrub.create", {"pool": 1})
    made(nas, "cronjob.create", {"command": "true", "user": "root"})
    made(nas, "staticroute.create", {"destination": "10.0.40.0/24", "gateway": "10.0.30.1"})
    made(nas, "service.update", "nfs", {"enable": True})
    made(nas, "nfs.update", {"servers": 8})
    alias = {"type": "INET", "address": "10.0.60.1", "netmask": 30}
    made(nas, "interface.update", "enp2s0", {"aliases": [alias], "mtu": 9000})
    made(nas, "network.configuration.update", {"hostname": "attic", "nameserver2": "9.9.9.9"})
    return nas


@pytest.mark.parametrize("release", RELEASES)
def test_its_twin_answers_as_it_does(release):
    nas = used_for_a_while(release)
    twin = seeded_from(asking(nas), release="25.10.0")
    assert {call: made(twin, *call) for call in READ} == {call: made(nas, *call) for call in READ}


def pool_row(**changed):
    """A pool as a real one shows it, and what is otherwise in it."""
    [row] = made(small_nas("25.10.5"), "pool.query")
    return deepcopy(row) | changed


def leaf(disk, status="ONLINE", **more):
    return {
        "name": disk or "7",
        "type": "DISK",
        "status": status,
        "disk": disk,
        "children": [],
    } | more


def topology(*children, **more):
    vdev = {"name": "raidz1-0", "type": "RAIDZ1", "status": "DEGRADED", "disk": None}
    data = [vdev | {"children": list(children)}]
    return {"data": data, "log": [], "cache": [], "spare": [], "special": [], "dedup": []} | more


OLD = leaf(None, "UNAVAIL", unavail_disk={"serial": "OLD"})
REPLACING = leaf(None, type="REPLACING", name="replacing-0", children=[OLD, leaf("sda")])
SPARED = leaf(None, type="SPARE", name="spare-1", children=[leaf(None, "REMOVED"), leaf("sdb")])


@pytest.mark.parametrize(
    ("found", "in_use"),
    [
        (topology(leaf(None, "UNAVAIL"), leaf("sdf"), leaf("sdg"), leaf("sdh")), ("sdf", "sdh")),
        (topology(REPLACING, leaf("sdf"), leaf("sdg"), leaf("sdh")), ("sda", "sdf")),
        (topology(SPARED, leaf("sdf"), spare=[leaf("sdb", "INUSE")]), ("sdb", "sdf")),
        (topology(leaf("sdf"), log=[leaf("sdc")], cache=[leaf("sdd")]), ("sdc", "sdd")),
    ],
)
def test_a_pool_with_failed_disks_is_that_pool(found, in_use):
    real = pool_row(status="DEGRADED", healthy=False, status_code=None, topology=found)
    twin = seeded_from(asking(small_nas("25.10.5"), **{"pool.query": [real]}))
    assert made(twin, "pool.query") == [real]
    for disk in in_use:
        document = {"name": "more", "topology": {"data": [{"type": "STRIPE", "disks": [disk]}]}}
        with pytest.raises(ApiError, match=f"already in use: {disk}"):
            made(twin, "pool.create", document)


OFFLINE = {
    **dict.fromkeys(("size", "allocated", "free", "freeing", "fragmentation", "scan", "expand")),
    **{"status": "OFFLINE", "healthy": False, "topology": None, "status_code": None},
}


class Host:
    """Reads from a NAS, as a resource does."""

    name = "nas"

    def __init__(self, nas):
        self.nas = nas

    def read(self, *argv, **options):
        reply = self.nas.run(shlex.join(argv)).finished()
        return Result(reply.status, reply.out.decode(), reply.err.decode())


def test_a_pool_out_of_reach_is_known_and_nothing_is_made_on_it():
    real = pool_row(**OFFLINE)
    answers = {"pool.query": [real], "pool.dataset.query": [], "sharing.nfs.query": []}
    twin = seeded_from(asking(small_nas("25.10.5"), **answers))
    assert made(twin, "pool.query") == [real]
    wanted = ZfsDataset("nas", "attic", "tank/k3s", "NFS")
    assert "pool tank is OFFLINE" in wanted.diff(wanted.observe(Host(twin))).conflict
    with pytest.raises(ApiError, match="does not exist"):
        made(twin, "pool.dataset.create", {"name": "tank/k3s"})


def test_a_volume_where_a_dataset_is_wanted_is_a_conflict():
    nas = small_nas("25.10.5")
    made(nas, "pool.dataset.create", {"name": "tank/zvol", "type": "VOLUME", "volsize": 2**30})
    twin = seeded_from(asking(nas))
    wanted = ZfsDataset("nas", "attic", "tank/zvol", "NFS")
    assert "is a volume" in wanted.diff(wanted.observe(Host(twin))).conflict
    with pytest.raises(ApiError, match="already exists"):
        made(twin, "pool.dataset.create", {"name": "tank/zvol"})


def test_a_thin_volume_takes_what_it_holds_and_a_thick_one_what_it_may():
    nas = small_nas("25.10.5")
    free = made(nas, "pool.dataset.query", [["id", "=", "tank"]])[0]["available"]["parsed"]
    for name, sparse in (("thin", True), ("thick", False)):
        document = {"name": f"tank/{name}", "type": "VOLUME", "volsize": 2**30, "sparse": sparse}
        made(nas, "pool.dataset.create", document)
    for each in (nas, seeded_from(asking(nas))):
        left = made(each, "pool.dataset.query", [["id", "=", "tank"]])[0]["available"]["parsed"]
        assert 2**30 <= free - left < 2**30 + 2**20


def test_a_usb_stick_stays_one():
    nas = small_nas("25.10.5")
    stick = {"name": "sdz", "devname": "sdz", "size": 30784094208, "model": "SanDisk_3.2Gen1",
             "rotationrate": None, "type": "HDD", "bus": "USB", "serial": "S42",
             "imported_zpool": None, "exported_zpool": None, "partitions": []}  # fmt: skip
    details = made(nas, "disk.details", {"type": "BOTH"})
    details["unused"].append(stick)
    twin = seeded_from(asking(nas, **{"disk.details": details}))
    [found] = made(twin, "disk.query", [["name", "=", "sdz"]])
    assert {key: found[key] for key in ("type", "rotationrate", "bus", "size")} == {
        key: stick[key] for key in ("type", "rotationrate", "bus", "size")
    }
