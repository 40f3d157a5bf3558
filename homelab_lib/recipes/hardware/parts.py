"""What a machine says it is built of, held against the lab and against what its parts predict."""

import re
from collections.abc import Iterator, Sequence

from homelab_lib.control.linux import hardware, pci
from homelab_lib.control.linux.disks import drives
from homelab_lib.control.linux.hardware import Module, Processor
from homelab_lib.control.linux.pci import Card
from homelab_lib.control.opnsense import hardware as freebsd
from homelab_lib.errors import Unreachable
from homelab_lib.lab import Lab
from homelab_lib.lab.devices import GpuPart
from homelab_lib.lab.host import Host
from homelab_lib.recipes.graphics import cards
from homelab_lib.runbook.resource import Host as ReadingHost
from homelab_lib.runbook.step import Check, Context, Measurement
from homelab_lib.units import format_ibytes

_SMALL_WINDOW_BYTES = 256 * 2**20  # what a card without Resizable BAR shows of its memory
_KERNEL_SHARE = 0.9  # of the memory fitted, at least; firmware and graphics keep some


class Parts:
    """A host's parts as it tells of them.

    Parameters
    ----------
    lab, host
        What is described.
    """

    def __init__(self, lab: Lab, host: Host) -> None:
        self.lab = lab
        self.host = host
        self.freebsd = host.os.kind in ("opnsense", "pfsense")

    def processor(self, ctx: Context) -> Check:
        """Whether it answers, and is the processor that the lab has."""
        title = f"{self.host.name} answers, with the processor of the lab"
        try:
            found = self._processor(ctx.host(self.host.name))
        except Unreachable as error:
            return Check(title, False, f"it does not answer yet: {error.what}")
        if self.host.cpu is None:
            return Check(title, True, found.title)
        wanted = self.host.cpu.title
        right = same_processor(wanted, found.title) and found.threads == self.host.threads
        says = f"{found.title}, {found.threads} threads"
        return Check(
            title, right, says if right else f"{says}; the lab has {self.host.threads} of {wanted}"
        )

    def _processor(self, host: ReadingHost) -> Processor:
        return freebsd.processor(host) if self.freebsd else hardware.processor(host)

    def checks(self, ctx: Context) -> Iterator[Check]:
        """Microcode, memory, cards, their links and their memory windows, drives."""
        host = ctx.host(self.host.name)
        yield from self._microcode(host)
        yield from self._memory(host)
        found = self._cards(host)
        yield from cards.links(self.lab, self.host.name, found)
        yield from self._windows(found)
        yield from self._drives(host)

    def measurements(self, ctx: Context) -> Iterator[Measurement]:
        """Speeds that came about, beside those predicted."""
        host = ctx.host(self.host.name)
        if not self.freebsd and self.host.memory:
            speeds = [each.speed_mtps for each in hardware.memory(host) if each.speed_mtps]
            if speeds:
                name = f"{self.host.name}: memory"
                yield Measurement(name, min(speeds), "MT/s", self._memory_predicted(len(speeds)))
        yield from cards.link_measures(self.lab, self.host.name, self._cards(host))

    # ------------------------------------------------------------------- memory

    def _microcode(self, host: ReadingHost) -> Iterator[Check]:
        least = self.host.cpu.min_microcode if self.host.cpu else None
        if least is None or self.freebsd:
            return
        now = self._processor(host).microcode
        says = f"{now:#x}" if now is not None else "the machine does not say"
        title = f"{self.host.name} has microcode {least:#x} or later"
        yield Check(title, now is not None and now >= least, says)

    def _memory(self, host: ReadingHost) -> Iterator[Check]:
        wanted = self.host.memory_bytes
        if wanted is None:
            return
        title = f"{self.host.name} has its {format_ibytes(wanted)} of memory"
        if self.freebsd:
            there = freebsd.memory_bytes(host)
            says = f"{format_ibytes(there)} for the kernel; its modules it does not name"
            yield Check(title, wanted * _KERNEL_SHARE <= there <= wanted, says)
            return
        modules = hardware.memory(host)
        there = sum(each.size_bytes for each in modules)
        count = sum(each.count for each in self.host.memory)
        says = f"{len(modules)} of {count} modules, {format_ibytes(there)}"
        soldered = all(each.part.form == "soldered" for each in self.host.memory)
        yield Check(title, there == wanted and (soldered or len(modules) == count), says)
        yield self._memory_speed(modules)

    def _memory_speed(self, modules: list[Module]) -> Check:
        """Four modules often run below their rating; below the maker's promise is a fault."""
        title = f"the memory of {self.host.name} runs as fast as its maker promises"
        speeds = [each.speed_mtps for each in modules if each.speed_mtps]
        if not speeds:
            return Check(title, True, "the firmware does not say how fast it runs")
        now, rated = min(speeds), self._rated()
        promised = self._promised(len(modules))
        says = f"{now} MT/s"
        if rated and now < rated:
            says += f"; its modules are rated for {rated}, so it is {now / rated:.0%} of that"
        if promised:
            says += f"; promised for {len(modules)} modules: {promised}"
        return Check(title, promised is None or now >= promised, says)

    def _rated(self) -> int | None:
        rated = [each.part.speed_mtps for each in self.host.memory if each.part.speed_mtps]
        return min(rated, default=None)

    def _promised(self, count: int) -> int | None:
        """What the board's maker promises for so many modules [MT/s]; never more than their own."""
        board = self.host.board
        speeds = board.memory_speeds if board else ()
        found = [each.speed_mtps for each in speeds if each.modules == count and each.official]
        return min([*found, *filter(None, [self._rated()])]) if found else None

    def _memory_predicted(self, count: int) -> int | None:
        """The best that is known of the board with so many modules, else their rating [MT/s]."""
        board = self.host.board
        known = [e.speed_mtps for e in (board.memory_speeds if board else ()) if e.modules == count]
        rated = self._rated()
        if not known:
            return rated
        return min(max(known), rated) if rated else max(known)

    # -------------------------------------------------------------------- cards

    def _cards(self, host: ReadingHost) -> list[Card]:
        return freebsd.cards(host) if self.freebsd else pci.cards(host)

    def _windows(self, found: Sequence[Card]) -> Iterator[Check]:
        """All of a graphics card's memory at once, where the card needs that."""
        for name, card in cards.fitted(self.lab, self.host.name, found).items():
            part = self.host.devices[name].part
            if card is None or not isinstance(part, GpuPart) or not part.needs_resizable_bar:
                continue
            largest = max(card.bar_bytes.values(), default=0)
            small = largest <= _SMALL_WINDOW_BYTES or card.small_bar is not None
            says = f"its largest window is {format_ibytes(largest)}"
            if small:
                says += "; switch on Above 4G Decoding and Resizable BAR in the firmware"
            yield Check(f"{name} of {self.host.name} has Resizable BAR", not small, says)

    # ------------------------------------------------------------------- drives

    def _drives(self, host: ReadingHost) -> Iterator[Check]:
        wanted = {name: disk.serial for name, disk in self.host.disks.items() if disk.serial}
        if not wanted:
            return
        there = freebsd.serials(host) if self.freebsd else {d.serial for d in drives(host)} - {""}
        missing = [f"{name} ({serial})" for name, serial in wanted.items() if serial not in there]
        says = f"missing: {', '.join(missing)}; there are {', '.join(sorted(there)) or 'none'}"
        title = f"{self.host.name} has its {len(wanted)} drives, by serial number"
        yield Check(title, not missing, says if missing else ", ".join(sorted(wanted.values())))


def same_processor(wanted: str, found: str) -> bool:
    """Whether a processor's title names the model that is wanted: ``Intel Core i5-13600K`` and
    ``13th Gen Intel(R) Core(TM) i5-13600K`` are one."""
    said = set(re.sub(r"\((R|TM|r|tm)\)", " ", found).upper().split())
    model = [word for word in wanted.upper().split() if any(letter.isdigit() for letter in word)]
    return set(model or wanted.upper().split()) <= said
