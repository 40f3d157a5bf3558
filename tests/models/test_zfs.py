"""Pool capacity, to the byte."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.models import zfs, zfs_layout
from models.measured import rows

TB = 10**12


@pytest.mark.parametrize("case", rows("zfs_capacity"), ids=lambda case: case["id"])
def test_measured_pools_to_the_byte(case):
    found = zfs.pool_capacity(
        case["layout"],
        case["width"],
        case["disk_bytes"],
        vdevs=case["vdevs"],
        ashift=case["ashift"],
        openzfs=tuple(int(part) for part in case["openzfs"].split(".")),
        whole_disk=case["whole_disk"],
        logical_block=case["logical_block"],
    )
    assert (found.size_bytes, found.usable_bytes) == (case["size_bytes"], case["usable_bytes"])


def test_a_thick_zvol_reserves_what_was_measured():
    assert zfs_layout.zvol_refreservation_bytes(2**30, 8192, "raidz2", 4) == 1_597_457_873


def test_the_deflate_ratio_is_truncated():
    assert zfs_layout.deflate_ratio(zfs_layout.parse_layout("raidz2", 4), 4) == 248


layouts = st.one_of(
    st.tuples(st.just("stripe"), st.integers(1, 8)),
    st.tuples(st.just("mirror"), st.integers(2, 4)),
    st.tuples(st.just("raidz1"), st.integers(2, 12)),
    st.tuples(st.just("raidz2"), st.integers(3, 12)),
    st.tuples(st.just("raidz3"), st.integers(4, 12)),
    st.tuples(st.sampled_from(["draid1:2d:1s", "draid2:4d:1s"]), st.integers(8, 16)),
)


@given(layouts, st.integers(TB // 10, 24 * TB), st.integers(1, 4))
def test_less_is_usable_than_the_data_disks_hold(layout, disk_bytes, vdevs):
    kind, width = layout
    found = zfs.pool_capacity(kind, width, disk_bytes, vdevs=vdevs)
    shape = zfs_layout.parse_layout(kind, width)
    data_disks = width - shape.spares - shape.parity
    if shape.kind == "draid":
        data_disks = (width - shape.spares) * shape.data / (shape.data + shape.parity)
    assert 0 < found.usable_bytes <= vdevs * data_disks * disk_bytes
    assert found.usable_bytes == found.deflated_bytes - found.slop_bytes
    assert found.size_bytes <= found.raw_bytes


@given(layouts, st.integers(TB // 10, 20 * TB), st.integers(1, TB))
def test_a_larger_disk_never_holds_less_than_a_metaslab_less(layout, disk_bytes, more):
    # A larger disk may fall into larger metaslabs and lose up to one of them: real, and bounded.
    kind, width = layout
    small = zfs.pool_capacity(kind, width, disk_bytes)
    large = zfs.pool_capacity(kind, width, disk_bytes + more)
    assert large.size_bytes >= small.size_bytes - 16 * zfs_layout.GIB * width


@given(st.integers(3, 12), st.integers(TB, 20 * TB))
def test_more_parity_never_holds_more(width, disk_bytes):
    kinds = [f"raidz{parity}" for parity in (1, 2, 3) if width > parity]
    usable = [zfs.pool_capacity(kind, width, disk_bytes).usable_bytes for kind in kinds]
    assert usable == sorted(usable, reverse=True)


@given(layouts, st.lists(st.integers(TB // 10, 20 * TB), min_size=1, max_size=5))
def test_an_array_gives_what_its_elements_give(layout, sizes):
    kind, width = layout
    many = zfs.pool_capacity(kind, width, np.array(sizes))
    each = [zfs.pool_capacity(kind, width, size) for size in sizes]
    assert list(many.usable_bytes) == [one.usable_bytes for one in each]
    assert list(many.size_bytes) == [one.size_bytes for one in each]


@given(st.integers(9, 20), st.integers(3, 12))
def test_a_block_takes_at_least_itself_and_its_parity(power, width):
    block = 1 << power
    shape = zfs_layout.parse_layout("raidz2", width)
    taken = zfs_layout.allocated_bytes(block, shape, width)
    assert taken >= block + 2 * 4096
    assert taken % (3 * 4096) == 0


def test_small_blocks_on_raidz_waste_what_mirrors_don_t():
    assert zfs_layout.space_efficiency(4096, "raidz2", 4) == pytest.approx(0.688, abs=1e-3)
    assert zfs_layout.space_efficiency(4096, "mirror", 2) == 1


def test_an_expanded_raidz_shows_the_old_ratio_for_ever():
    now = zfs_layout.space_efficiency(2**20, "raidz1", 5, first_width=3)
    assert now > zfs_layout.space_efficiency(2**20, "raidz1", 5)


def test_an_expanded_raidz_shows_less_than_one_made_so_wide():
    disk = 14_000_519_643_136
    before = zfs.pool_capacity("raidz2", 4, disk)
    grown = zfs.pool_capacity("raidz2", 5, disk, first_width=4)
    fresh = zfs.pool_capacity("raidz2", 5, disk)
    assert before.usable_bytes < grown.usable_bytes < fresh.usable_bytes
    assert grown.size_bytes >= fresh.size_bytes * 0.999
    assert zfs.pool_capacity("raidz2", 4, disk, first_width=4) == before


@pytest.mark.parametrize(
    "given",
    [
        {"layout": "mirror", "width": 3, "first_width": 2},
        {"layout": "raidz2", "width": 4, "first_width": 5},
        {"layout": "raidz2", "width": 5, "first_width": 4, "openzfs": (2, 2, 0)},
    ],
)
def test_only_a_raidz_grows_and_only_since_2_3(given):
    with pytest.raises(ValueError, match="a raidz grows"):
        zfs.pool_capacity(disk_bytes=10**13, **given)


@pytest.mark.parametrize("first_width", [-3, 0, 1, 2])
def test_what_a_raidz_grew_from_was_a_raidz(first_width):
    says = "a raidz2 vdev has 3 to 255 disks" if first_width > 0 else "first_width is"
    with pytest.raises(ValueError, match=says):
        zfs.pool_capacity("raidz2", 6, 10**13, first_width=first_width)
    with pytest.raises(ValueError, match=says):
        zfs_layout.space_efficiency(2**20, "raidz2", 6, first_width=first_width)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"layout": "raid5"}, "layout is 'raid5'"),
        ({"width": 2}, "width is 2"),
        ({"vdevs": 0}, "vdevs is 0"),
        ({"ashift": 8}, "ashift is 8"),
        ({"disk_bytes": 1000}, "disk_bytes is 1000"),
        ({"logical_block": 520}, "logical_block is 520"),
    ],
)
def test_impossible_input_names_itself(change, says):
    given_ = {"layout": "raidz2", "width": 4, "disk_bytes": 14 * TB} | change
    with pytest.raises(ValueError, match=says):
        zfs.pool_capacity(**given_)
