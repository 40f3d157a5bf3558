"""Random operations of disks and pools against what was published."""

import pytest

from homelab_lib.models.random_io import disk_iops, pool_iops


@pytest.mark.parametrize(
    ("rpm", "seek_s", "low", "high"),
    [
        (7200, 8.5e-3, 75, 100),  # "IOPS", Wikipedia: 7,200 rpm SATA
        (10_000, 4.5e-3, 125, 150),  # the same: 10,000 rpm SAS
        (15_000, 3.4e-3, 175, 210),  # the same: 15,000 rpm SAS
    ],
)
def test_a_disk_does_what_such_disks_do(rpm, seek_s, low, high):
    assert low <= disk_iops(rpm, seek_s=seek_s) <= high


@pytest.mark.parametrize(
    ("layout", "width", "vdevs", "reads", "writes"),
    [
        # OpenZFS, Workload Tuning: a raidz vdev has the random operations of one disk.
        ("raidz2", 8, 1, 100, 100),
        ("raidz2", 4, 2, 200, 200),
        ("mirror", 2, 4, 800, 400),
        ("stripe", 1, 3, 300, 300),
    ],
)
def test_a_pool_has_the_operations_of_its_vdevs(layout, width, vdevs, reads, writes):
    assert pool_iops(100, layout, width, vdevs) == (reads, writes)
