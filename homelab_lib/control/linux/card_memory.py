"""What a graphics card has of memory, and what of it is taken, by its own driver.

Sources: nvidia-smi(1), ``--query-gpu``; Linux Documentation/gpu/amdgpu/driver-misc (sysfs,
``mem_info_vram_total`` and ``mem_info_vram_used``).
"""

from dataclasses import dataclass

from homelab_lib import answers
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Host
from homelab_lib.transport.command import read
from homelab_lib.transport.options import Allowed
from homelab_lib.transport.reads import declare

_MIB = 2**20
_ASKED = ("name", "pci.bus_id", "driver_version", "memory.total", "memory.used")
_SMI = ("nvidia-smi", f"--query-gpu={','.join(_ASKED)}", "--format=csv,noheader,nounits")
_DEVICES = "/sys/devices"

declare("nvidia-smi", Allowed("", "-L --list-gpus", "--query-gpu --format -i --id"))


@dataclass(frozen=True)
class CardMemory:
    """A card's memory.

    Parameters
    ----------
    slot, title, driver
        Where it is on the bus, what it calls itself, and what drives it.
    total_bytes, used_bytes
        All of it, and what is taken [bytes].
    """

    slot: str
    title: str
    driver: str
    total_bytes: int
    used_bytes: int


def nvidia_memory(host: Host) -> list[CardMemory]:
    """NVIDIA's cards of a machine.

    Raises
    ------
    StepFailed
        The driver does not answer: in its own words.
    """
    shown = host.read(*_SMI, ok=None)
    if shown.exit_status:
        said = (shown.stdout.strip() or shown.stderr.strip()).splitlines()
        raise StepFailed(
            f"the NVIDIA driver of {host.name} does not answer: {said[0] if said else 'nothing'}",
            where=f"{host.name}: nvidia-smi",
            fix="library and kernel module have to be of one version: restart the machine; if it "
            "says that it can't communicate with the driver, the module is not loaded",
        )
    return [_card(host, line) for line in shown.stdout.splitlines() if line.strip()]


def _card(host: Host, line: str) -> CardMemory:
    # From the end: nvidia-smi quotes nothing, and a name may hold a comma.
    parts = [part.strip() for part in line.rsplit(",", len(_ASKED) - 1)]
    if len(parts) != len(_ASKED) or not (parts[3].isdecimal() and parts[4].isdecimal()):
        why = f"expected are name, place, driver and memory of a card: {host.cut(line, 100)!r}"
        raise answers.not_understood(host.name, read(*_SMI).line, why)
    title, place, driver, total, used = parts
    slot = place[-len("0000:00:00.0") :].lower()  # its domain has eight digits, and lspci's four
    return CardMemory(slot, title, driver, int(total) * _MIB, int(used) * _MIB)


def amd_memory(host: Host) -> list[CardMemory]:
    """AMD's cards of a machine; none where amdgpu drives none."""
    words = ("find", _DEVICES, "-name", "mem_info_vram_total", "-type", "f")
    listed = host.read(*words, ok=(0, 1)).stdout.split()
    cards = sorted(path.rpartition("/")[0] for path in listed)
    return [
        CardMemory(
            card.rpartition("/")[2],
            card.rpartition("/")[2],
            "amdgpu",
            _number(host, f"{card}/mem_info_vram_total"),
            _number(host, f"{card}/mem_info_vram_used"),
        )
        for card in cards
    ]


def _number(host: Host, path: str) -> int:
    said = host.read("cat", "--", path).stdout.strip()
    if not said.isdecimal():
        raise answers.not_understood(host.name, f"cat {path}", f"no number: {host.cut(said, 60)!r}")
    return int(said)
