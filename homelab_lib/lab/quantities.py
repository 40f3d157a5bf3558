"""Quantities of things: a number that nothing of its kind has was meant in another unit."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from pydantic import AfterValidator, Strict

from homelab_lib.lab.base import BitsPerSecond, Size


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
    """

    what: str
    low: float
    high: float
    units: tuple[tuple[str, float], ...]

    def __call__(self, value: float) -> float:
        if self.low <= value <= self.high:
            return value
        meant = [
            f"{value:g} {unit}"
            for unit, size in self.units
            if self.low <= value * size <= self.high
        ]
        hint = f"; did you mean {' or '.join(meant)}?" if meant and value else ""
        least, most = self._said(self.low), self._said(self.high)
        raise ValueError(f"{self.what} has {least} to {most}, not {value:g}{hint}")

    def _said(self, value: float) -> str:
        unit, size = max((u for u in self.units if u[1] <= value), key=lambda u: u[1])
        return f"{value / size:g} {unit}"


_DECIMAL = (("B", 1.0), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12))
_BINARY = (("B", 1.0), ("MiB", 2.0**20), ("GiB", 2.0**30), ("TiB", 2.0**40))
_RATES = (("B/s", 1.0), ("MB/s", 1e6), ("GB/s", 1e9))
_BITS = (("bit/s", 1.0), ("kb/s", 1e3), ("Mb/s", 1e6), ("Gb/s", 1e9))
_CLOCKS = (("Hz", 1.0), ("MHz", 1e6), ("GHz", 1e9))
_WEIGHTS = (("", 1.0), ("million", 1e6), ("billion", 1e9))

DiskSize = Annotated[Size, AfterValidator(Plausible("a disk", 1e8, 1e15, _DECIMAL))]
"""Bytes of a drive."""
MemorySize = Annotated[Size, AfterValidator(Plausible("memory", 2.0**24, 2.0**46, _BINARY))]
"""Bytes of memory: of a module, a machine, a card."""
VolumeSize = Annotated[Size, AfterValidator(Plausible("a volume", 2.0**20, 2.0**50, _BINARY))]
"""Bytes of a virtual disk or a quota."""
LinkSpeed = Annotated[BitsPerSecond, AfterValidator(Plausible("a link", 1e5, 2e12, _BITS))]
"""Bits per second of a port, a cable, a line."""
DiskRate = Annotated[float, Strict(), Ge(0), AfterValidator(Plausible("a disk", 1e6, 1e11, _RATES))]
"""Bytes per second of a drive."""
MemoryRate = Annotated[
    float, Strict(), Ge(0), AfterValidator(Plausible("memory", 1e9, 1e14, _RATES))
]
"""Bytes per second of a memory."""
ClockRate = Annotated[
    float, Strict(), Ge(0), AfterValidator(Plausible("a clock", 1e7, 2e10, _CLOCKS))
]
"""Hertz of a processor."""
ModelSize = Annotated[
    float, Strict(), Ge(0), AfterValidator(Plausible("a model", 1e6, 1e14, _WEIGHTS))
]
"""Weights of a language model."""
