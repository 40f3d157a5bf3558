"""A slip of the unit is found where it is written, with what may have been meant."""

import copy
from typing import Literal, get_origin

import pytest
import yaml

from homelab_lib import paths
from homelab_lib.errors import HomelabError
from homelab_lib.lab import load_lab
from homelab_lib.lab.base import Record
from homelab_lib.lab.quantities import (
    CableLength,
    DiskSize,
    Endurance,
    Energy,
    FailureRate,
    LinkSpeed,
    MemoryRate,
    MemorySize,
    PartLength,
    PathRate,
    Plausible,
    PowerDraw,
    PowerRating,
    RecordSize,
    SupplyPower,
    SwapSize,
    TransferRate,
    VolumeSize,
    WeightsSize,
)

MINIPC = paths.data() / "examples" / "minipc"


def plausible(kind):
    return next(each.func for each in kind.__metadata__[::-1] if hasattr(each, "func"))


@pytest.mark.parametrize(
    ("kind", "written", "says"),
    [
        (DiskSize, 14, "did you mean 14 GB or 14 TB?"),
        (DiskSize, 14e18, "a disk has 100 MB to 1000 TB, not 1.4e+07 TB"),
        (DiskSize, 14e6, "a disk has 100 MB to 1000 TB, not 14 MB; did you mean 14 GB or 14 TB?"),
        (PowerDraw, 65e6, "a part has 1 mW to 3 kW, not 65000 kW; did you mean 65000 mW?"),
        (MemorySize, 16, "did you mean 16 MiB or 16 GiB or 16 TiB?"),
        (MemorySize, 672, "did you mean 672 MiB or 672 GiB?"),
        (VolumeSize, 40, "did you mean 40 MiB or 40 GiB or 40 TiB?"),
        (LinkSpeed, 250, "did you mean 250 kb/s or 250 Mb/s or 250 Gb/s?"),
        (LinkSpeed, 0, "a link has 100 kb/s to 2000 Gb/s, not 0"),
        (MemoryRate, 672, "did you mean 672 GB/s?"),
        (PathRate, 4, "a path has 10 kB/s to 10000 GB/s, not 4; did you mean 4 MB/s or 4 GB/s?"),
        (PowerDraw, 65_000, "a part has 1 mW to 3 kW, not 65000; did you mean 65000 mW?"),
        (PowerRating, 2, "a rating has 5 W to 50 kW, not 2; did you mean 2 kW?"),
        (SupplyPower, 0.75, "did you mean 0.75 kW?"),
        (Energy, 0.432, "did you mean 0.432 kWh?"),
        (PartLength, 30.5, "a part has 5 cm to 1 m, not 30.5; did you mean 30.5 cm?"),
        (PartLength, 0.305, "did you mean 0.305 m?"),
        (CableLength, 0.002, "did you mean 0.002 km?"),
        (FailureRate, 1.0, "a disk has 0.001 % to 50 %, not 1; did you mean 1 %?"),
        (TransferRate, 6, "memory has 100 MT/s to 20 GT/s, not 6; did you mean 6 GT/s?"),
        (RecordSize, 128, "did you mean 128 KiB?"),
        (VolumeSize, 60, "did you mean 60 MiB or 60 GiB or 60 TiB?"),
        (Endurance, 600, "did you mean 600 TB?"),
        (WeightsSize, 4.9, "did you mean 4.9 MB or 4.9 GB or 4.9 TB?"),
    ],
)
def test_what_no_such_thing_has(kind, written, says):
    with pytest.raises(ValueError, match=r".") as caught:
        plausible(kind)(written)
    assert str(caught.value).endswith(says)


@pytest.mark.parametrize(
    ("kind", "written"),
    [(DiskSize, 120e9), (DiskSize, 30e12), (MemorySize, 2**29), (MemorySize, 2**42),
     (VolumeSize, 2**20), (LinkSpeed, 1e6), (LinkSpeed, 8e11), (PowerDraw, 0), (PowerDraw, 0.005),
     (PowerDraw, 575), (PowerRating, 27), (SwapSize, 0), (FailureRate, 0.0143), (CableLength, 0.3),
     (MemoryRate, 1.792e12), (TransferRate, 800), (PartLength, 340)],
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


UNITS = ("_bytes", "_bps", "_bytes_per_s", "_w", "_va", "_wh", "_mm", "_m", "_mtps", "_hz")


def records(kind=Record):
    for each in kind.__subclasses__():
        yield each
        yield from records(each)


def bound(annotation) -> bool:
    """Whether a bound stands somewhere in a type, or it is one of a few values anyway."""
    if get_origin(annotation) is Literal:
        return True
    inside = [*getattr(annotation, "__args__", ()), *getattr(annotation, "__metadata__", ())]
    return any(isinstance(getattr(each, "func", None), Plausible) or bound(each) for each in inside)


def test_every_quantity_of_a_lab_has_a_bound():
    asked = {}
    for record in records():
        for name, field in record.__pydantic_fields__.items():
            if name.endswith(UNITS):
                here = any(isinstance(getattr(m, "func", None), Plausible) for m in field.metadata)
                asked[f"{record.__name__}.{name}"] = here or bound(field.annotation)
    assert len(asked) > 60
    assert [name for name, is_bound in asked.items() if not is_bound] == []
