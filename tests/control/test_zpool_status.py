"""What `zpool status -P -L` of OpenZFS 2.3 printed on a machine of which disks were pulled; of one
that is being replaced, and of a spare in use, by zpool_main.c."""

import pytest

from homelab_lib.control.linux.pools import read_status

HEAD = "  pool: tank\n state: ONLINE\nconfig:\n\n\tNAME           STATE     READ WRITE CKSUM\n"
END = "\nerrors: No known data errors\n"
ROLES = """\
tank           ONLINE       0     0     0
  mirror-0     ONLINE       0     0     0
    /dev/sda1  ONLINE       0     0     0
    /dev/sde1  ONLINE       0     0     0
  mirror-1     ONLINE       0     0     0
    /dev/sdb1  ONLINE       0     0     0
    /dev/sdc1  ONLINE       0     0     0
logs
  /dev/sdd1    ONLINE       0     0     0
cache
  /dev/sdf1    ONLINE       0     0     0
"""
DRAID = """\
tank                 ONLINE       0     0     0
  draid1:2d:4c:1s-0  ONLINE       0     0     0
    /dev/sdb1        ONLINE       0     0     0
    /dev/sdc1        ONLINE       0     0     0
    /dev/sdd1        ONLINE       0     0     0
    /dev/sdf1        ONLINE       0     0     0
spares
  /dev/sda1          AVAIL
  draid1-0-0         AVAIL
"""
PULLED = """\
tank                                                            DEGRADED     0     0     0
  raidz1-0                                                      DEGRADED     0     0     0
    /dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_MACHINE0001-part1  REMOVED      0     0     0
    /dev/sde1                                                   ONLINE       0     0     0
    /dev/sdb1                                                   ONLINE       0     0     0
spares
  /dev/sdf1                                                     AVAIL
"""
ALONE = """\
tink         ONLINE       0     0     0
  /dev/sde1  ONLINE       0     0     0
"""
REPLACING = """\
tank                         DEGRADED     0     0     0
  mirror-0                   DEGRADED     0     0     0
    replacing-0              DEGRADED     0     0     0
      1234567890123456789    UNAVAIL      0     0     0  was /dev/sda1
      /dev/sdd1              ONLINE       0     0     0
    /dev/sdb1                ONLINE       0     0     0
"""
SPARED = """\
tank             DEGRADED     0     0     0
  spare-0        DEGRADED     0     0     0
    /dev/sda1    FAULTED      0     0     0  too many errors
    /dev/sdd1    ONLINE       0     0     0
spares
  /dev/sdd1      INUSE     currently in use
"""
GONE = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_MACHINE0001-part1"


@pytest.mark.parametrize(
    ("table", "vdevs"),
    [
        (
            ROLES,
            [
                ("data", "MIRROR", ("/dev/sda1", "/dev/sde1")),
                ("data", "MIRROR", ("/dev/sdb1", "/dev/sdc1")),
                ("log", "STRIPE", ("/dev/sdd1",)),
                ("cache", "STRIPE", ("/dev/sdf1",)),
            ],
        ),
        (
            DRAID,
            [
                ("data", "DRAID1:2d:1s", ("/dev/sdb1", "/dev/sdc1", "/dev/sdd1", "/dev/sdf1")),
                ("spare", "STRIPE", ("/dev/sda1",)),
            ],
        ),
        (
            PULLED,
            [
                ("data", "RAIDZ1", (GONE, "/dev/sde1", "/dev/sdb1")),
                ("spare", "STRIPE", ("/dev/sdf1",)),
            ],
        ),
        (ALONE, [("data", "STRIPE", ("/dev/sde1",))]),
        (REPLACING, [("data", "MIRROR", ("/dev/sdd1", "/dev/sdb1"))]),
        (SPARED, [("data", "STRIPE", ("/dev/sda1",)), ("spare", "STRIPE", ("/dev/sdd1",))]),
    ],
    ids=["roles", "draid", "pulled", "alone", "replacing", "spared"],
)
def test_each_disk_stands_in_its_vdev(table, vdevs):
    found = read_status(HEAD + "".join(f"\t{row}\n" for row in table.splitlines()) + END)
    assert found is not None
    assert list(found.vdevs) == vdevs
