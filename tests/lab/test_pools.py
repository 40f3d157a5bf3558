"""Pools as zpool makes them: names, layouts, vdevs; each is taken or refused at its line."""

import re
import shutil
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from homelab_lib import paths
from homelab_lib.audit.facts_storage import not_computed, pool_facts
from homelab_lib.audit.run import findings
from homelab_lib.errors import LabError
from homelab_lib.lab import load_lab
from homelab_lib.lab.base import DatasetName, PoolName, StorageId
from homelab_lib.lab.changes import changed
from homelab_lib.lab.pools import draid
from homelab_lib.views import tables
from homelab_lib.wiring.capacity import pool_capacity_of

MINIPC = paths.data() / "examples" / "minipc"


@pytest.fixture
def folder(tmp_path):
    """The small lab with eight more disks of two sizes, and no pool that claims anything."""
    shutil.copytree(MINIPC, tmp_path / "lab")
    file = tmp_path / "lab" / "lab.yaml"
    text = file.read_text()
    more = "".join(f"      d{i}: {{part: sata-hdd-4tb}}\n" for i in range(1, 9))
    more += "".join(f"      n{i}: {{part: nvme-500gb}}\n" for i in range(1, 5))
    text = text.replace("    ports:\n      lan1:", f"{more}    ports:\n      lan1:", 1)
    text = text.replace("      claimed_usable_bytes: 4 TB\n      claimed_failures: 1\n", "")
    file.write_text(text)
    return tmp_path / "lab"


TANK = "      layout: mirror\n      disks: [hdd1, hdd2]\n"


def described(folder, pool):
    """The small lab with another shape of its pool, and the line where that begins."""
    file = folder / "lab.yaml"
    text = file.read_text()
    assert TANK in text
    lines = "".join(f"      {line}\n" for line in pool.splitlines())
    file.write_text(text.replace(TANK, lines))
    return text[: text.index(TANK)].count("\n") + 1


TAKEN = {
    # case: (as it is written, layout and width and number of its vdevs, disks it survives)
    "mirrors in short": (
        "layout: mirror\ndisks: [d1, d2, d3, d4]\nvdevs: 2", ("mirror", 2, 2), 1),
    "equal mirrors in a list": (
        "vdevs:\n- {layout: mirror, disks: [d1, d2]}\n- {layout: mirror, disks: [d3, d4]}",
        ("mirror", 2, 2), 1),
    "a stripe of two": ("vdevs: [{disks: [d1, d2]}]", ("stripe", 1, 2), 0),
    "log, cache and spare beside raidz2": (
        "vdevs:\n- {layout: raidz2, disks: [d1, d2, d3, d4]}\n"
        "- {role: log, layout: mirror, disks: [n1, n2]}\n- {role: cache, disks: [n3]}\n"
        "- {role: spare, disks: [d5]}", ("raidz2", 4, 1), 2),
    "vdevs of different size": (
        "vdevs:\n- {layout: mirror, disks: [d1, d2]}\n- {layout: mirror, disks: [n1, n2]}",
        ("mirror", 2, 2), 1),
}  # fmt: skip

# What they hold is computed of all; of these not how they are lost.
NOT_COMPUTED = {
    "vdevs of different width": (
        "vdevs:\n- {layout: raidz1, disks: [d1, d2, d3]}\n"
        "- {layout: raidz1, disks: [d4, d5, d6, d7]}",
        "different layout or width", 1),
    "vdevs of different layout": (
        "vdevs:\n- {layout: raidz1, disks: [d1, d2, d3]}\n- {layout: mirror, disks: [d4, d5]}",
        "different layout or width", 1),
    "special vdev": (
        "vdevs:\n- {layout: raidz2, disks: [d1, d2, d3, d4]}\n"
        "- {role: special, layout: mirror, disks: [n1, n2]}", "special", 1),
    "dedup vdev without redundancy": (
        "vdevs:\n- {layout: raidz2, disks: [d1, d2, d3, d4]}\n- {role: dedup, disks: [n1]}",
        "dedup", 0),
    "dRAID": ("layout: draid2:4d:8c:1s\ndisks: [d1, d2, d3, d4, d5, d6, d7, d8]", "dRAID", 2),
    "dRAID, three of parity": ("layout: draid3\ndisks: [d1, d2, d3, d4, d5]", "dRAID", 3),
}  # fmt: skip


@pytest.mark.parametrize("case", TAKEN)
def test_a_shape_that_is_computed(folder, case):
    written, shape, failures = TAKEN[case]
    described(folder, written)
    lab = load_lab(folder)
    pool = lab.pools["mini"]["tank"]
    assert (pool.shape, pool.failures) == (shape, failures)
    facts = pool_facts(lab)["mini.tank"]
    assert (facts.layout, facts.width, facts.vdevs) == shape
    assert changed(lab).pools == lab.pools
    assert facts.capacity().usable_bytes > 10**12
    assert not [each for each in findings(lab) if "broke" in each.says]


def test_both_ways_to_write_a_pool_hold_the_same(folder):
    short, listed = (TAKEN[case][0] for case in ("mirrors in short", "equal mirrors in a list"))
    other = shutil.copytree(folder, folder.parent / "other")
    described(folder, short)
    described(other, listed)
    one, two = (pool_facts(load_lab(place))["mini.tank"] for place in (folder, other))
    assert one == two


@pytest.mark.parametrize("case", NOT_COMPUTED)
def test_how_a_pool_is_lost_is_said_to_be_unknown_where_it_is(folder, case):
    written, why, failures = NOT_COMPUTED[case]
    described(folder, written)
    lab = load_lab(folder)
    pool = lab.pools["mini"]["tank"]
    assert pool.failures == failures
    assert why in not_computed(lab, pool)
    assert "mini.tank" not in pool_facts(lab)
    told = [each for each in findings(lab) if each.subject == "pools.mini.tank"]
    assert [each.rule for each in told] == ["pool-not-computed"]
    usable = pool_capacity_of(lab, pool).usable_bytes
    assert f"{usable / 1e12:.2f} TB" in tables.pools(lab).loc["tank"]["usable (predicted)"]


REFUSED = {
    # case: (as it is written, lines further down, what must be said)
    "a mirror of one": ("layout: mirror\ndisks: [d1]", 1,
        "pools.mini.tank.disks: a mirror vdev needs 2 disks or more; here it has 1"),
    "raidz2 of two": ("vdevs:\n- {layout: raidz2, disks: [d1, d2]}", 1,
        "pools.mini.tank.vdevs.0.disks: a raidz2 vdev needs 3 disks or more; here it has 2"),
    "raidz3 of three, listed second": (
        "vdevs:\n- {layout: raidz3, disks: [d1, d2, d3, d4]}\n"
        "- {layout: raidz3, disks: [d5, d6, d7]}",
        2, "pools.mini.tank.vdevs.1.disks: a raidz3 vdev needs 4 disks or more"),
    "uneven": ("layout: mirror\ndisks: [d1, d2, d3]\nvdevs: 2", 2, "don't divide into 2"),
    "dRAID with another number of disks": ("layout: draid2:4d:24c:1s\ndisks: [d1, d2, d3]", 0,
        "draid2:4d:24c:1s says 24 disks, and 3 are listed"),
    "dRAID with too few": ("layout: draid2:4d:1s\ndisks: [d1, d2, d3, d4, d5, d6]", 0,
        "needs 7 disks or more (4 data, 2 parity, 1 spare); here it has 6"),
    "dRAID without data": ("layout: draid1:0d\ndisks: [d1, d2, d3]", 0, "draid1:0d needs"),
    "dRAID of nonsense": ("layout: draid4\ndisks: [d1, d2]", 0, "draid as zpool has it"),
    "an old word": ("layout: raid5\ndisks: [d1, d2, d3]", 0, "write stripe, mirror, raidz1"),
    "raidz as log": (
        "vdevs:\n- {layout: mirror, disks: [d1, d2]}\n"
        "- {role: log, layout: raidz1, disks: [n1, n2]}",
        2, "zpool takes no raidz1 as log; only stripe or mirror"),
    "a mirrored cache": (
        "vdevs:\n- {layout: mirror, disks: [d1, d2]}\n"
        "- {role: cache, layout: mirror, disks: [n1, n2]}",
        2, "zpool takes no mirror as cache"),
    "nothing that holds data": ("vdevs:\n- {role: log, disks: [n1]}", 0, "the role 'data'"),
    "both ways": ("layout: mirror\nvdevs:\n- {layout: mirror, disks: [d1, d2]}", 0,
        "pools.mini.tank.layout: each vdev of the list has its own"),
    "neither way": ("vdevs: 2", -1, "pools.mini.tank: 'layout' is missing"),
    "a disk in two vdevs": (
        "vdevs:\n- {layout: mirror, disks: [d1, d2]}\n- {role: spare, disks: [d1]}", 2,
        "the disk 'mini.d1' is used twice"),
    "no such disk": ("vdevs:\n- {layout: mirror, disks: [d1, d9]}", 1,
        "pools.mini.tank.vdevs.0.disks.1: there is no disk of mini 'd9'"),
    "no such role": ("vdevs:\n- {role: logs, disks: [d1]}", 1, "did you mean 'log'?"),
    "misspelt in a vdev": ("vdevs:\n- {layuot: mirror, disks: [d1, d2]}", 1,
        "'layuot' is no key here; did you mean 'layout'?"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_zpool_refuses_is_refused_at_its_line(folder, case):
    written, further, said = REFUSED[case]
    line = described(folder, written) + further
    with pytest.raises(LabError) as caught:
        load_lab(folder)
    found = [each for each in caught.value.problems if said in each]
    assert found, caught.value.problems
    assert found[0].startswith(f"{folder}/lab.yaml:{line}: ")
    assert "pydantic" not in str(caught.value)


# Names -------------------------------------------------------------------------------------------

_ZFS = string.ascii_letters + string.digits + "-_.: "


def zpool_takes(name):
    """pool_namecheck of OpenZFS 2.3's zfs_namecheck.c, and zpool_name_valid of libzfs_pool.c."""
    if len(name) >= 256 - 2 - 2 * len("$ORIGIN") or any(each not in _ZFS for each in name):
        return False
    if not name or name[0] not in string.ascii_letters or name in ("mirror", "raidz", "draid"):
        return False
    return not name.startswith(("mirror", "raidz", "draid", "spare")) and name != "log"


def zfs_takes(name):
    """entity_namecheck and dataset_nestcheck, for a dataset below a pool."""
    if len(name) >= 256 or not name or name[0] == "/" or name[-1] == "/":
        return False
    parts = name.split("/")
    if len(parts) < 2 or len(parts) > 50 or not zpool_takes(parts[0]):
        return False
    return all(p and p not in (".", "..") and not set(p) - set(_ZFS) for p in parts)


def taken(kind, name):
    try:
        TypeAdapter(kind).validate_python(name)
    except ValidationError:
        return False
    return True


_PIECES = st.sampled_from(
    ["tank", "Media_8TB", "mirror", "raidz1", "draid", "spare", "log", "logs", "a b", "9", ".",
     "..", "", "x@y", "x#y", "ä", "c0t0", "-", "A:b", "\n", "x" * 120]
)  # fmt: skip
_WORDS = st.text(alphabet=_ZFS + "/@#%ä\n", max_size=12)


@given(st.one_of(_WORDS, st.lists(_PIECES, min_size=1, max_size=3).map("".join)))
def test_a_pool_has_a_name_that_zpool_takes(name):
    assert taken(PoolName, name) == zpool_takes(name)


@given(
    st.one_of(_WORDS, st.lists(_PIECES, min_size=1, max_size=4).map("/".join)),
)
def test_a_dataset_has_a_name_that_zfs_takes(name):
    assert taken(DatasetName, name) == zfs_takes(name)


def test_a_dataset_is_no_deeper_and_no_longer_than_zfs_has_it():
    for depth in (49, 50, 51):
        name = "/".join(["t"] * depth)
        assert taken(DatasetName, name) == zfs_takes(name) == (depth <= 50)
    for length in (255, 256):
        name = "tank/" + "x" * (length - 5)
        assert taken(DatasetName, name) == zfs_takes(name) == (length == 255)


@given(st.text(alphabet=string.ascii_letters + string.digits + "-_. /:", max_size=8))
def test_a_storage_has_an_id_that_proxmox_takes(name):
    # PVE::JSONSchema, parse_storage_id: m/^[a-z][a-z0-9\-\_\.]*[a-z0-9]$/i
    right = re.fullmatch(r"[a-z][a-z0-9\-_.]*[a-z0-9]", name, re.IGNORECASE) is not None
    assert taken(StorageId, name) == right


@given(
    parity=st.integers(1, 3), data=st.integers(1, 16), children=st.integers(2, 255),
    spares=st.integers(0, 4), order=st.permutations(["d", "c", "s"]),
)  # fmt: skip
def test_a_draid_layout_reads_back(parity, data, children, spares, order):
    given_ = {"d": data, "c": children, "s": spares}
    found = draid(f"draid{parity}" + "".join(f":{given_[unit]}{unit}" for unit in order))
    assert (found.parity, found.data, found.children, found.spares) == (
        parity, data, children, spares,
    )  # fmt: skip


def test_the_disk_that_a_host_boots_from_is_no_pool_of_a_runbook():
    """One that its installer has made of it is."""
    with pytest.raises(LabError) as caught:
        changed(load_lab(MINIPC), ("pools.mini.rpool.phase", 1))
    assert "mini boots from nvme, and no runbook makes a pool" in "\n".join(caught.value.problems)
