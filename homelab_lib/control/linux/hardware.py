"""What a Linux machine is built of, as far as it can tell: processor, memory modules.

Sources: lscpu(1); dmidecode(8) 2.12 to 3.6, whose speeds are "MT/s" and were "MHz", and whose
"Configured Memory Speed" was "Configured Clock Speed".
"""

import re
from dataclasses import dataclass

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.runbook.resource import Host

_LSCPU = ("lscpu", "-J")
_DMIDECODE = ("dmidecode", "-t", "memory")
_CPUINFO = "/proc/cpuinfo"
_DEVICE = "DMI type 17,"
_UNITS = {"kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_SIZE = re.compile(r"(\d+) (kB|MB|GB|TB)")
_SPEED = re.compile(r"(\d+) (?:MT/s|MHz)")
_ROW: Shape = {"field": str, "data?": str}


@dataclass(frozen=True)
class Processor:
    """What a machine says its processor is.

    Parameters
    ----------
    title
        In its maker's words.
    threads
        How many of them run.
    microcode
        The revision that runs; None where nobody says.
    """

    title: str
    threads: int
    microcode: int | None = None


@dataclass(frozen=True)
class Module:
    """A memory module in its place.

    Parameters
    ----------
    place
        What the board calls it.
    size_bytes
        Its size [bytes].
    type
        ``DDR5``.
    rated_mtps, speed_mtps
        What it could do, and what it is set to [MT/s]; None where the firmware doesn't say.
    """

    place: str
    size_bytes: int
    type: str
    rated_mtps: int | None
    speed_mtps: int | None


def processor(host: Host) -> Processor:
    """A machine's processor.

    Raises
    ------
    NotUnderstood
        It does not say which.
    """
    line = " ".join(_LSCPU)
    said = answers.expected(host.json(*_LSCPU), {"lscpu": [object]}, host=host.name, line=line)
    facts = dict(_fields(said["lscpu"]))
    title, threads = facts.get("Model name", ""), facts.get("CPU(s)", "")
    if not title or not threads.isdecimal():
        raise answers.not_understood(host.name, line, "it names no processor")
    shown = host.read("grep", "-m", "1", "microcode", _CPUINFO, ok=(0, 1, 2)).stdout
    revision = re.search(r":\s*(0x[0-9a-f]+)", shown)
    return Processor(title, int(threads), int(revision[1], 16) if revision else None)


def _fields(rows: list[object]) -> list[tuple[str, str]]:
    """All rows, whichever stand beneath others: newer ones are a tree."""
    found: list[tuple[str, str]] = []
    for row in rows:
        if isinstance(row, dict) and isinstance(row.get("field"), str):
            found.append((row["field"].strip().rstrip(":"), str(row.get("data") or "")))
            found += _fields(row.get("children") or [])
    return found


def memory(host: Host) -> list[Module]:
    """The memory modules of a machine.

    Raises
    ------
    NotUnderstood
        Its firmware names none.
    """
    found = modules(host.read(*_DMIDECODE, sudo=True).stdout)
    if not found:
        raise answers.not_understood(host.name, " ".join(_DMIDECODE), "it names no memory module")
    return found


def modules(text: str) -> list[Module]:
    """The modules in what `dmidecode -t memory` printed; empty places are none."""
    found = []
    for block in text.split("\nHandle "):
        if _DEVICE not in block.partition("\n")[0]:
            continue
        lines = (line.strip().partition(": ") for line in block.splitlines())
        facts = {name: value.strip() for name, _, value in lines}
        size = _SIZE.match(facts.get("Size", ""))
        if size is None:
            continue
        set_to = facts.get("Configured Memory Speed") or facts.get("Configured Clock Speed", "")
        found.append(
            Module(
                facts.get("Locator", ""),
                int(size[1]) * _UNITS[size[2]],
                facts.get("Type", ""),
                _speed(facts.get("Speed", "")),
                _speed(set_to),
            )
        )
    return found


def _speed(text: str) -> int | None:
    found = _SPEED.match(text)
    return int(found[1]) if found else None
