"""Pools of any vdevs, and what becomes of them, to the byte as OpenZFS's own code has it."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.models.zfs import Vdev, capacity, pool_capacity
from models.measured import rows

TB = 10**12


@dataclass
class Grown:
    """A vdev of a measured pool, and what was done to it."""

    described: dict[str, Any]
    sizes: str

    def __post_init__(self) -> None:
        self.layout = self.described["layout"]
        self.disks = list(self.described[self.sizes])
        self.blocks = list(self.described.get("logical_block") or [512] * len(self.disks))
        self.first_width = len(self.disks)
        self.first = self.counted = min(self.vdev(()).partitions)

    def vdev(self, growth: tuple[int, ...]) -> Vdev:
        role = self.described["role"]
        return Vdev(
            self.layout,
            tuple(self.disks),
            role="data" if role == "normal" else role,
            ashift=self.described["ashift"],
            whole_disk=self.sizes == "disk_bytes",
            logical_block=tuple(self.blocks),
            first_width=self.first_width if self.layout.startswith("raidz") else None,
            first_bytes=growth[0] if growth else None,
        )

    def change(self, step: dict[str, Any]) -> None:
        size, block = step[self.sizes], step.get("logical_block", 512)
        if step["do"] == "replace":
            self.disks[step["child"]], self.blocks[step["child"]] = size, block
        else:
            self.disks.append(size)
            self.blocks.append(block)
            self.layout = "mirror" if self.layout == "stripe" else self.layout

    def now(self, autoexpand: bool) -> Vdev:
        """As it counts: larger disks do once all of them are larger and autoexpand is on."""
        found = min(self.vdev(()).partitions)
        self.counted = found if autoexpand else min(self.counted, found)
        smaller = self.vdev((self.first,))
        if found == self.counted:
            return smaller
        return Vdev(
            smaller.layout,
            (self.counted,) * len(self.disks),
            role=smaller.role,
            ashift=smaller.ashift,
            whole_disk=False,
            first_width=smaller.first_width,
            first_bytes=self.first,
        )


def pool(case: dict[str, Any], sizes: str) -> list[Vdev]:
    """The vdevs of a measured pool after all that was done to it."""
    vdevs: list[Grown | None] = [Grown(each, sizes) for each in case["vdevs"]]
    autoexpand = False
    for step in case.get("then", ()):
        if step["do"] == "autoexpand=on":
            autoexpand = True
        elif step["do"] == "add":
            vdevs.append(Grown(step["vdev"], sizes))
        elif step["do"] == "remove":
            vdevs[step["vdev"]] = None
        else:
            vdevs[step["vdev"]].change(step)
        found = [each.now(autoexpand) for each in vdevs if each]
    return found if case.get("then") else [each.now(False) for each in vdevs if each]


MEASURED = rows("zfs_vdevs")


@pytest.mark.parametrize("sizes", ["file_bytes", "disk_bytes"])
@pytest.mark.parametrize("kind", sorted({case["kind"] for case in MEASURED}))
def test_measured_pools_to_the_byte(kind, sizes):
    wrong = {}
    compared = 0
    for case in MEASURED:
        steps = [step.get("vdev", step) for step in case.get("then", ()) if step["do"] == "add"]
        steps += [step for step in case.get("then", ()) if step["do"] in ("attach", "replace")]
        if case["kind"] != kind or any(sizes not in each for each in [*case["vdevs"], *steps]):
            continue
        compared += 1
        release = tuple(int(part) for part in case["openzfs"].split("."))
        found = capacity(pool(case, sizes), openzfs=release)
        allocated = case["special_allocated_bytes"] if release >= (2, 3, 9) else 0
        measured = (case["size_bytes"], case["usable_bytes"] - allocated)
        if (found.size_bytes, found.usable_bytes) != measured:
            wrong[case["id"]] = (found, measured)
    assert wrong == {}
    assert compared


layouts = st.sampled_from(["mirror", "raidz1", "raidz2", "raidz3", "draid1:2d:1s", "draid2:4d:1s"])


@given(layouts, st.integers(8, 20), st.integers(TB // 10, 24 * TB), st.integers(1, 4))
def test_a_pool_of_equal_vdevs_is_that_many_times_one(layout, width, disk_bytes, vdevs):
    alike = pool_capacity(layout, width, disk_bytes, vdevs=vdevs)
    assert capacity([Vdev(layout, (disk_bytes,) * width)] * vdevs) == alike


@given(st.lists(st.integers(TB // 10, 24 * TB), min_size=4, max_size=8), layouts)
def test_a_vdev_counts_its_smallest_disk_only(sizes, layout):
    wide = (*sizes, *sizes)
    least = (min(sizes),) * len(wide)
    assert (
        capacity([Vdev(layout, wide)]).usable_bytes == capacity([Vdev(layout, least)]).usable_bytes
    )


@given(st.permutations([("mirror", 2, 4), ("raidz2", 6, 8), ("stripe", 1, 1), ("mirror", 3, 16)]))
def test_the_order_of_vdevs_makes_no_difference(shapes):
    vdevs = [Vdev(layout, (size * TB,) * width) for layout, width, size in shapes]
    assert capacity(vdevs) == capacity(sorted(vdevs, key=repr))


@given(st.sampled_from(["log", "cache", "spare"]), st.integers(TB // 10, TB))
def test_a_log_a_cache_and_a_spare_hold_no_files(role, disk_bytes):
    data = Vdev("raidz2", (14 * TB,) * 4)
    assert capacity([data, Vdev("stripe", (disk_bytes,), role=role)]) == capacity([data])


def test_special_disks_take_nothing_from_the_others():
    data = Vdev("raidz2", (14_000_519_643_136,) * 4)
    special = Vdev("mirror", (480_103_981_056,) * 2, role="special")
    found = capacity([data, special])
    assert found.usable_bytes == capacity([data]).usable_bytes == 26_982_326_730_752
    assert found.size_bytes > capacity([data]).size_bytes


def test_two_mirrors_of_unlike_size_are_added_up():
    vdevs = [Vdev("mirror", (14_000_519_643_136,) * 2), Vdev("mirror", (1_000_204_886_016,) * 2)]
    assert capacity(vdevs).usable_bytes == 14_843_406_974_976


@pytest.mark.parametrize(
    ("vdevs", "says"),
    [
        ([], "none for data"),
        ([Vdev("mirror", (TB, TB), role="special")], "none for data"),
        ([Vdev("raidz2", (TB, TB))], "width is 2"),
        ([Vdev("mirror", (TB, 1000))], "64 MiB"),
        ([Vdev("mirror", (TB, TB), ashift=3)], "ashift is 3"),
        ([Vdev("mirror", (TB, TB), logical_block=520)], "logical_block is 520"),
        ([Vdev("mirror", ())], "width is 0"),
    ],
)
def test_a_pool_that_can_not_be_is_refused(vdevs, says):
    with pytest.raises(ValueError, match=says):
        capacity(vdevs)
