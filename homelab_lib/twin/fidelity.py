"""What a twin's answers rest on, for each call that it knows and each release of a product.

A rehearsal is worth what checks it from outside, so each room says of each of its calls what has
checked it. Whatever no room speaks of is guessed.
"""

import shlex
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from homelab_lib.errors import HomelabError
from homelab_lib.lab.releases import Series, series_of
from homelab_lib.twin.machine.called import called


class Fidelity(StrEnum):
    """What a call's answer rests on, the firmest first."""

    RECORDED = "recorded"  # a real one said so, or a real program ran beside ours
    VALIDATOR = "validator"  # the appliance's own code judged it
    SOURCE = "source"  # read there
    DOCUMENTATION = "documentation"
    GUESSED = "guessed"


_WEAKNESS = {rests: place for place, rests in enumerate(Fidelity)}


def weakest(all_of: Sequence[Fidelity]) -> Fidelity:
    """What something rests on that rests on all of these."""
    return max(all_of, key=_WEAKNESS.__getitem__, default=Fidelity.GUESSED)


@dataclass(frozen=True)
class Grounds:
    """What one call rests on.

    Parameters
    ----------
    call
        The words it begins with: ``midclt call pool.create``, ``pvesh create
        /nodes/{node}/qemu``, ``POST /api/kea/dhcpv4/add_subnet``, ``stat``. ``{node}`` stands for
        one part of a path. Options and values may stand between the words.
    rests
        On what.
    source
        Where that is found.
    releases
        The series it holds for; empty for all.
    does
        On what rests what the twin then does, where that is something else: a validator judges
        what a call is given, and says nothing of what comes of it. None: on the same.
    """

    call: str
    rests: Fidelity
    source: str
    releases: tuple[str, ...] = ()
    does: Fidelity | None = None

    def fits(self, words: Sequence[str]) -> int:
        """How firmly `words` begin with this call: where its last word stands; 0 for not at all."""
        wanted = self.call.split()
        if not words or not wanted or not _same(wanted[0], words[0]):
            return 0
        place = 1
        for word in wanted[1:]:
            while place < len(words) and not _same(word, words[place]):
                place += 1
            if place == len(words):
                return 0
            place += 1
        return place


def _same(wanted: str, word: str) -> bool:
    if "/" not in wanted:
        return wanted == word
    if wanted == word:
        return True
    parts = word.partition("?")[0].strip("/").split("/")
    pattern = wanted.strip("/").split("/")
    return len(parts) == len(pattern) and all(
        want == part or want.startswith("{") for want, part in zip(pattern, parts, strict=True)
    )


@dataclass(frozen=True)
class Shelf:
    """What a room knows.

    Parameters
    ----------
    product
        Whose calls: ``truenas``; empty for what every Unix has.
    grounds
        Of each call.
    version_on
        The product's version on a machine; empty where it is not there.
    """

    product: str
    grounds: tuple[Grounds, ...]
    version_on: Callable[[Any], str] = field(default=lambda machine: "")

    @cached_property
    def by_program(self) -> dict[str, list[Grounds]]:
        """The grounds by the first word of their calls."""
        found = defaultdict(list)
        for grounds in self.grounds:
            found[grounds.call.split()[0]].append(grounds)
        return dict(found)

    def series_on(self, machine: Any) -> Series | None:
        """The product's series on a machine; None where it is not there.

        Raises
        ------
        HomelabError
            The machine can't tell: what stands there can't be read.
        """
        try:
            version = self.version_on(machine)
        except OSError as error:
            raise HomelabError(
                f"{machine.name} can't tell which {self.product} it has: {error}",
                where=machine.name,
                fix="what can't be read is not taken for nothing; mend it there",
            ) from None
        return series_of(self.product, version) if self.product and version else None


def rests_on(shelves: Sequence[Shelf], machine: Any, line: str) -> Fidelity:
    """What the answer to a call rests on; of a script, its weakest command.

    Parameters
    ----------
    shelves
        What the rooms know.
    machine
        Who is called.
    line
        The call as a plan has it: words for a shell, or a request.
    """
    return weakest([_of_words(shelves, machine, words) for words in called(_words(line))])


def _of_words(shelves: Sequence[Shelf], machine: Any, words: Sequence[str]) -> Fidelity:
    best: tuple[int, int, bool] = (0, 0, False)
    found = Fidelity.GUESSED
    for shelf in shelves:
        candidates = shelf.by_program.get(words[0], ()) if words else ()
        series = shelf.series_on(machine) if candidates else None
        for grounds in candidates:
            place = grounds.fits(words)
            other = grounds.releases and (series is None or series.name not in grounds.releases)
            rank = (len(grounds.call.split()), -place, bool(grounds.releases))
            if place and not other and rank > best:
                best, found = rank, grounds.rests
    return found


def _words(line: str) -> list[str]:
    method, _, rest = line.partition(" ")
    if method.isupper() and rest.startswith("https://"):
        return [method, urlsplit(rest.split()[0]).path]
    return shlex.split(line)
