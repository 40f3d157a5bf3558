"""Whatever disks a node has: a pool is made of the disks that were named and of no other, and only
where nothing is on any of them."""

from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.control.proxmox.pool import ZfsPool

SERIALS = ("A1", "B2", "C3", "D4")
NOTHING = ("", [])

disks = st.lists(
    st.fixed_dictionaries(
        {
            "path": st.sampled_from(["/dev/nvme0n1", "/dev/nvme1n1", "/dev/sda", "/dev/sdb"]),
            "serial": st.sampled_from(SERIALS),
            "model": st.just("X"),
            "size_bytes": st.sampled_from([512 * 10**9, 511 * 10**9, 500 * 10**9, 2 * 10**12]),
            "used": st.sampled_from(["", "", "", "ZFS", "LVM", "mounted", "partitions"]),
            "labels": st.sampled_from([[], [], [], ["gpt"], ["zfs_member oldtank"], ["ext4"]]),
        }
    ),
    max_size=5,
    unique_by=lambda disk: disk["path"],
)
wanted = st.lists(st.sampled_from(SERIALS), min_size=2, max_size=3, unique=True)


@given(disks, wanted, st.sampled_from(["", "ONLINE", "DEGRADED", "FAULTED"]), wanted)
def test_nothing_is_taken_that_was_not_named_or_is_not_free(there, serials, health, members):
    pool = ZfsPool("host", "pve", "pool", "mirror", tuple(serials))
    mine = [disk for disk in there if disk["serial"] in serials]
    found = {"health": health, "members": sorted(members) if health else [], "disks": mine}
    diff = pool.diff(found)
    free = all((disk["used"], disk["labels"]) == NOTHING for disk in mine)
    if not (free and sorted(disk["serial"] for disk in mine) == sorted(serials)) or health:
        assert not diff.changes
    if health:
        assert diff.clean == (sorted(members) == sorted(serials) and health == "ONLINE")
    for change in diff.changes:
        words = change.call.argv
        taken = words[words.index("--devices") + 1].split(",")
        assert sorted(taken) == sorted(disk["path"] for disk in mine)
        assert not {"-f", "--force"} & set(words)
        assert not change.destroys, "what destroys nothing names nothing"
        sizes = [disk["size_bytes"] for disk in mine]
        assert min(sizes) >= 0.99 * max(sizes)
    assert diff.changes or diff.conflict or diff.clean
