"""Quantities of things: a number that nothing of its kind has was meant in another unit."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from homelab_lib.lab.base import BitsPerSecond, Bytes, Fraction, Number, Positive, Size


@dataclass(frozen=True)
class Plausible:
    """Refuses what nothing of a kind has, and says what may have been meant.

    Parameters
    ----------
    what
        What has it: "a disk".
    low, high
        What such things have, with room to spare on both sides.
    units
        Units that may have been meant, by name, the smallest first; they also say the range.
    or_none
        Whether there may be nothing of it: 0.
    """

    what: str
    low: float
    high: float
    units: tuple[tuple[str, float], ...]
    or_none: bool = False

    def __call__(self, value: float) -> float:
        if self.low <= value <= self.high or (value == 0 and self.or_none):
            return value
        said = f"{value:g}"
        if "e" in said:  # it was written with a unit, or is far off anyway
            said = self._said(value)
        number = said.split()[0]
        meant = [
            f"{number} {unit}".rstrip()
            for unit, size in self.units
            if "e" not in number and self.low <= float(number) * size <= self.high
        ]
        hint = f"; did you mean {' or '.join(meant)}?" if meant and value else ""
        least, most = self._said(self.low), self._said(self.high)
        raise ValueError(f"{self.what} has {least} to {most}, not {said}{hint}")

    def _said(self, value: float) -> str:
        fitting = [each for each in self.units if each[1] <= value]
        unit, size = fitting[-1] if fitting else self.units[0]
        return f"{value / size:g} {unit}".rstrip()


_DECIMAL = (("B", 1.0), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12))
_BINARY = (("B", 1.0), ("KiB", 2.0**10), ("MiB", 2.0**20), ("GiB", 2.0**30), ("TiB", 2.0**40))
_RATES = (("B/s", 1.0), ("kB/s", 1e3), ("MB/s", 1e6), ("GB/s", 1e9))
_BITS = (("bit/s", 1.0), ("kb/s", 1e3), ("Mb/s", 1e6), ("Gb/s", 1e9))
_TRANSFERS = (("MT/s", 1.0), ("GT/s", 1e3))
_WATTS = (("mW", 1e-3), ("W", 1.0), ("kW", 1e3))
_ENERGIES = (("mWh", 1e-3), ("Wh", 1.0), ("kWh", 1e3))
_LENGTHS = (("mm", 1.0), ("cm", 10.0), ("m", 1000.0))
_RUNS = (("mm", 1e-3), ("cm", 1e-2), ("m", 1.0), ("km", 1e3))
_SHARES = (("%", 0.01), ("", 1.0))
_CLOCKS = (("Hz", 1.0), ("MHz", 1e6), ("GHz", 1e9))
_WEIGHTS = (("", 1.0), ("million", 1e6), ("billion", 1e9))

DiskSize = Annotated[Size, AfterValidator(Plausible("a disk", 1e8, 1e15, _DECIMAL))]
"""Bytes of a drive."""
MemorySize = Annotated[Size, AfterValidator(Plausible("memory", 2.0**24, 2.0**46, _BINARY))]
"""Bytes of memory: of a module, a machine, a card."""
VolumeSize = Annotated[Size, AfterValidator(Plausible("a volume", 2.0**20, 2.0**50, _BINARY))]
"""Bytes of a virtual disk, a quota, or what is expected somewhere."""
PoolSize = Annotated[Size, AfterValidator(Plausible("a pool", 1e8, 1e18, _DECIMAL))]
"""Bytes of all of a pool."""
SwapSize = Annotated[Bytes, AfterValidator(Plausible("swap", 2.0**20, 2.0**42, _BINARY, True))]
"""Bytes of swap; it may be none."""
RecordSize = Annotated[Size, AfterValidator(Plausible("a record", 512, 2.0**24, _BINARY))]
"""Bytes of a ZFS record."""
FileSize = Annotated[Size, AfterValidator(Plausible("a file", 512, 2.0**46, _BINARY))]
"""Bytes of a file that is fetched."""
WeightsSize = Annotated[Size, AfterValidator(Plausible("a model's file", 1e6, 2.0**46, _DECIMAL))]
"""Bytes of a language model's file."""
ReservedSize = Annotated[
    Bytes, AfterValidator(Plausible("what a driver reserves", 2.0**20, 2.0**34, _BINARY))
]
"""Bytes of a card's memory that its driver keeps."""
Endurance = Annotated[Size, AfterValidator(Plausible("an endurance", 1e12, 1e18, _DECIMAL))]
"""Bytes that may be written to a drive."""
LinkSpeed = Annotated[BitsPerSecond, AfterValidator(Plausible("a link", 1e5, 2e12, _BITS))]
"""Bits per second of a port, a cable, a line."""
SpeedLimit = Annotated[BitsPerSecond, AfterValidator(Plausible("a limit", 8e3, 2e12, _BITS))]
"""Bits per second that something may take."""
DiskRate = Annotated[Number, AfterValidator(Plausible("a disk", 1e6, 1e11, _RATES))]
"""Bytes per second of a drive."""
PathRate = Annotated[Number, AfterValidator(Plausible("a path", 1e4, 1e13, _RATES))]
"""Bytes per second that something needs of a bus or a line, or gets."""
MemoryRate = Annotated[Number, AfterValidator(Plausible("memory", 1e9, 1e14, _RATES))]
"""Bytes per second of a memory."""
TransferRate = Annotated[Positive, AfterValidator(Plausible("memory", 100, 20_000, _TRANSFERS))]
"""Transfers per second of memory, in millions."""
ClockRate = Annotated[Number, AfterValidator(Plausible("a clock", 1e7, 2e10, _CLOCKS))]
"""Hertz of a processor."""
ModelSize = Annotated[Number, AfterValidator(Plausible("a model", 1e6, 1e14, _WEIGHTS))]
"""Weights of a language model."""
PowerDraw = Annotated[Number, AfterValidator(Plausible("a part", 1e-3, 3000, _WATTS, True))]
"""Watts that a part draws."""
PowerRating = Annotated[Positive, AfterValidator(Plausible("a rating", 5, 50_000, _WATTS))]
"""Watts, or volt-amperes, that a supply or a UPS gives."""
SupplyPower = Annotated[Number, AfterValidator(Plausible("a supply", 5, 5000, _WATTS))]
"""Watts of the supply that something asks for."""
Energy = Annotated[Number, AfterValidator(Plausible("a battery", 1, 1e5, _ENERGIES))]
"""Watt-hours of a battery."""
PartLength = Annotated[Number, AfterValidator(Plausible("a part", 50, 1000, _LENGTHS))]
"""Millimetres of a card, a radiator, the room in a case."""
CableLength = Annotated[Number, AfterValidator(Plausible("a cable", 0.01, 100_000, _RUNS))]
"""Metres of a cable."""
FailureRate = Annotated[Fraction, AfterValidator(Plausible("a disk", 1e-5, 0.5, _SHARES, True))]
"""Share of such drives that fail in a year."""
