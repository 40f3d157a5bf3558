"""A slip of the unit is found where it is written, with what may have been meant."""

import copy

import pytest
import yaml

from homelab_lib import paths
from homelab_lib.errors import HomelabError
from homelab_lib.lab import load_lab
from homelab_lib.lab.quantities import DiskSize, LinkSpeed, MemorySize, VolumeSize

MINIPC = paths.data() / "examples" / "minipc"


def plausible(kind):
    return next(each.func for each in kind.__metadata__[::-1] if hasattr(each, "func"))


@pytest.mark.parametrize(
    ("kind", "written", "says"),
    [
        (DiskSize, 14, "did you mean 14 GB or 14 TB?"),
        (DiskSize, 14e18, "a disk has 100 MB to 1000 TB, not 1.4e+19"),
        (MemorySize, 16, "did you mean 16 MiB or 16 GiB or 16 TiB?"),
        (MemorySize, 672, "did you mean 672 MiB or 672 GiB?"),
        (VolumeSize, 40, "did you mean 40 MiB or 40 GiB or 40 TiB?"),
        (LinkSpeed, 250, "did you mean 250 kb/s or 250 Mb/s or 250 Gb/s?"),
        (LinkSpeed, 0, "a link has 100 kb/s to 2000 Gb/s, not 0"),
    ],
)
def test_what_no_such_thing_has(kind, written, says):
    with pytest.raises(ValueError, match=r".") as caught:
        plausible(kind)(written)
    assert str(caught.value).endswith(says)


@pytest.mark.parametrize(
    ("kind", "written"),
    [(DiskSize, 120e9), (DiskSize, 30e12), (MemorySize, 2**29), (MemorySize, 2**42),
     (VolumeSize, 2**20), (LinkSpeed, 1e6), (LinkSpeed, 8e11)],
)  # fmt: skip
def test_what_people_have(kind, written):
    assert plausible(kind)(written) == written


def test_a_slip_in_a_lab_is_told_with_its_line(tmp_path):
    document = {}
    for file in sorted(MINIPC.glob("*.yaml")):
        document |= yaml.safe_load(file.read_text()) or {}
    slipped = copy.deepcopy(document)
    name = next(iter(slipped["vms"]))
    slipped["vms"][name]["memory_bytes"] = 16
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump(slipped))
    with pytest.raises(HomelabError, match=r"lab\.yaml:\d+") as caught:
        load_lab(tmp_path)
    assert "did you mean 16 MiB or 16 GiB" in str(caught.value)
