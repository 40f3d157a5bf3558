"""Three copies, on two media, one of them in another place: and none older than was promised.

Source: P. Krogh, *The DAM Book*, 2nd ed., O'Reilly 2009, chapter 6 (the 3-2-1 rule); US-CERT,
*Data Backup Options*, 2012.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab_lib.models.bounds import FINITE, POSITIVE, holds

COPIES, MEDIA, ELSEWHERE = 3, 2, 1
_HOUR_S = 3600.0
_SKEW_S = 300.0  # two machines' clocks; what is newer than that is dated wrongly


@dataclass(frozen=True)
@holds(age_s=FINITE, within_s=POSITIVE)
class Copy:
    """One copy of some data; the data themselves are one.

    Parameters
    ----------
    name
        What it is called.
    medium
        What it lies on: copies on one medium are lost together.
    offsite
        Whether it is in another place.
    age_s
        How old it is [s]; None where nobody knows, or there is none.
    within_s
        How old it may be [s].
    """

    name: str
    medium: str
    offsite: bool
    age_s: float | None
    within_s: float

    @property
    def counts(self) -> bool:
        """Whether it is there, and as new as was promised."""
        return self.age_s is not None and -_SKEW_S <= self.age_s <= self.within_s


@dataclass(frozen=True)
class Standing:
    """How some data are kept.

    Parameters
    ----------
    copies, media, elsewhere
        How many copies count, on how many media, how many of them in another place.
    late
        Those that are older than was promised, or not there.
    """

    copies: int
    media: int
    elsewhere: int
    late: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether 3-2-1 holds, and nothing is late."""
        return not self.late and not self.missing

    @property
    def missing(self) -> str:
        """What is missing to 3-2-1; empty for nothing."""
        have = (
            (self.copies, COPIES, "copies"),
            (self.media, MEDIA, "media"),
            (self.elsewhere, ELSEWHERE, "in another place"),
        )
        return ", ".join(f"{n} of {wanted} {what}" for n, wanted, what in have if n < wanted)


def standing(medium: str, copies: Sequence[Copy]) -> Standing:
    """How data are kept that lie on one medium and have these copies.

    Parameters
    ----------
    medium
        What they themselves lie on: the first copy of the rule.
    copies
        All others. Snapshots and the disks of a mirror are none: they are lost with the data.
    """
    good = [copy for copy in copies if copy.counts]
    media = {medium, *(copy.medium for copy in good)}
    late = tuple(copy.name for copy in copies if not copy.counts)
    return Standing(1 + len(good), len(media), sum(copy.offsite for copy in good), late)
