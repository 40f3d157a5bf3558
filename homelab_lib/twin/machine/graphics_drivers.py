"""Graphics cards that compute: their kernel modules, NVIDIA's tool, what amdgpu says in sysfs.

A package brings a module for the newest kernel of its archive, which the machine runs after the
next boot. A cloud image's kernel has neither; and library and loaded module of NVIDIA's have to be
of one version.

Sources: nvidia-smi(1) and its messages (NVIDIA/open-gpu-kernel-modules); Ubuntu's packages
linux-modules-nvidia-*, linux-generic; Linux Documentation/gpu/amdgpu/driver-misc and
drivers/gpu/drm/amd/amdkfd/kfd_topology.c.
"""

import re
from collections.abc import Iterator
from uuid import NAMESPACE_OID, UUID, uuid5

from homelab_lib.lab.devices import GpuPart
from homelab_lib.twin.machine.bus import Function
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands
from homelab_lib.twin.machine.seeding import ABSENT, lines_of, printed
from homelab_lib.twin.machine.surroundings import Ask

graphics_drivers = Commands()

NEWEST = {"ubuntu": "6.8.0-88-generic", "debian": "6.12.57+deb13-amd64"}
"""The newest kernel in each distribution's archive."""
NVIDIA_VERSION = "580.95.05"
_GFX = {"gfx1100": 110000, "gfx1102": 110002, "gfx1031": 100301, "gfx1030": 100300}
_IDLE_BYTES = {"NVIDIA": 2**20, "AMD": 18 * 2**20}
_KEPT_BY_DRIVER_BYTES = {"NVIDIA": 8 * 2**20, "AMD": 16 * 2**20}
_MIB = 2**20
_NO_PROGRAM = 127
_FOUND = ("nvidia-smi", "--query-gpu=pci.bus_id,memory.used", "--format=csv,noheader,nounits")
_KFD_NODES = "/sys/class/kfd/kfd/topology/nodes"
_NODE = re.compile(r"/dev/(kfd|dri/(card|renderD)\d+)")
_CARD = re.compile(r"^(\S+) .*? \[(03\d\d)\]: (.*)\[([0-9a-f]{4}:[0-9a-f]{4})\]", re.MULTILINE)


def cards(machine: Machine, vendor: str) -> Iterator[tuple[Function, GpuPart]]:
    """The graphics cards of a maker on a machine's bus, with what the catalog has of them."""
    known = {
        part.pci_ids: part for host in machine.world.lab.hosts.values()
        for part in host.gpus.values()
    }  # fmt: skip
    for each in _bus(machine):
        part = next((p for ids, p in known.items() if each.id in ids), None)
        if part is not None and part.vendor == vendor:
            yield each, part


def _bus(machine: Machine) -> list[Function]:
    """What is on a machine's bus; of a seeded one that nobody has given a card, as the real one
    says."""
    if machine.bus or machine.bus_is_known or machine.ask is None:
        return machine.bus
    said = machine.said("lspci", "-Dnn")
    text = said.out.decode(errors="replace") if said and not said.status else ""
    for slot, code, title, ids in _CARD.findall(text):
        machine.bus.append(Function("", slot, ids, code, title.strip(), "", "", 0, 0, 0, 0))
    return machine.bus


def total_bytes(part: GpuPart) -> int:
    """The memory that a card's driver tells of [bytes]."""
    return part.vram_bytes - _KEPT_BY_DRIVER_BYTES[part.vendor]


def used_bytes(machine: Machine, card: Function, part: GpuPart) -> int:
    """What is taken of a card's memory [bytes]: of a seeded machine's, as its driver told, and what
    has been taken and given back since."""
    found = machine.kept.get("vram_found", {}).get(card.slot, _IDLE_BYTES[part.vendor])
    return max(int(found + _taken_since_bytes(machine, card)), 0)


def _taken_since_bytes(machine: Machine, card: Function) -> int:
    """What programs hold of a card's memory, but for what its driver had counted already
    [bytes]."""
    held, counted = (machine.kept.get(key, {}).get(card.slot, {}) for key in ("vram", "counted"))
    return int(sum(held.values()) - sum(counted.values()))


def holds_already(machine: Machine, card: Function, who: str, size_bytes: int) -> None:
    """A program of a seeded machine has so much of a card's memory, and its driver counted it."""
    for key in ("vram", "counted"):
        machine.kept.setdefault(key, {}).setdefault(card.slot, {})[who] = size_bytes


def take(machine: Machine, card: Function, part: GpuPart, who: str, size_bytes: int) -> None:
    """A program takes so much of a card's memory, or with 0 gives it back."""
    taken = machine.kept.setdefault("vram", {}).setdefault(card.slot, {})
    taken[who] = size_bytes
    if not size_bytes:
        del taken[who]
    if part.vendor == "AMD":
        _tell_memory(machine)


def has_module(machine: Machine, name: str) -> bool:
    """Whether the kernel that runs has a module."""
    if name == "nvidia":
        built = any(re.match(r"(linux-modules-nvidia|nvidia-dkms|nvidia-driver)", p)
                    for p in machine.packages)  # fmt: skip
        return built and machine.kernel == _newest(machine)
    if name == "amdgpu":
        whole = _distribution(machine) == "debian" and "cloud" not in machine.kernel
        return whole or ("linux-generic" in machine.packages and machine.kernel == _newest(machine))
    return name.replace("-", "_") in machine.world.known_modules


def _newest(machine: Machine) -> str:
    return NEWEST.get(_distribution(machine), machine.kernel)


def _distribution(machine: Machine) -> str:
    """Whose kernel it runs; a machine that is seeded has not said more."""
    return "debian" if "deb" in machine.kernel else "ubuntu"


def load(machine: Machine, name: str) -> None:
    """Load a module; its cards are there from then on."""
    machine.modules.add(name)
    if name == "nvidia":
        machine.kept["nvidia"] = _library(machine)
        machine.kept.pop("nvidia_found", None)
    if name == "amdgpu":
        _tell_memory(machine)
        _tell_nodes(machine)


def booted(machine: Machine) -> None:
    """A boot runs the newest kernel that is installed, and loads what drives its cards."""
    brings_kernel = ("linux-generic", "linux-image-amd64")
    if any(p in brings_kernel or p.startswith("linux-modules-nvidia") for p in machine.packages):
        machine.kernel = _newest(machine)
    machine.modules -= {"nvidia", "amdgpu"}
    for key in ("vram", "vram_found", "counted", "nvidia_found"):
        machine.kept.pop(key, None)
    for vendor, module in (("NVIDIA", "nvidia"), ("AMD", "amdgpu")):
        if next(cards(machine, vendor), None) is not None and has_module(machine, module):
            load(machine, module)


def upgrade_at_night(machine: Machine, version: str = "580.126.09") -> None:
    """unattended-upgrades brings a new driver's packages, but for those that are held."""
    held = machine.kept.get("held", [])
    for name in machine.packages:
        if "nvidia" in name and "container" not in name and name not in held:
            machine.packages[name] = f"{version}-0ubuntu0.24.04.1"


def seed_graphics(machine: Machine, ask: Ask) -> None:
    """What the real drivers say of their cards. It holds until it is changed here: by a program
    that takes memory, by another driver, by a restart."""
    if "nvidia" in machine.modules:
        _seed_nvidia(machine)
    if "amdgpu" not in machine.modules:
        return
    words = ("find", "/sys/devices", "-name", "mem_info_vram_total", "-type", "f")
    for path in lines_of(ask, machine.name, *words, lacks=ABSENT) or ():
        for file in (path, path.replace("_total", "_used")):
            machine.files.put(file, printed(ask, machine.name, "cat", "--", file) or "")
        used = machine.files.text(path.replace("_total", "_used")).strip()
        if used.isdecimal():
            machine.kept.setdefault("vram_found", {})[path.split("/")[-2]] = int(used)
    words = ("find", _KFD_NODES, "-name", "properties", "-type", "f")
    for path in lines_of(ask, machine.name, *words, lacks=ABSENT) or ():
        machine.files.put(path, printed(ask, machine.name, "cat", "--", path) or "")
    for path in lines_of(ask, machine.name, "find", "/dev/kfd", "/dev/dri", lacks=ABSENT) or ():
        if _NODE.fullmatch(path):
            machine.files.put(path, "")


def _seed_nvidia(machine: Machine) -> None:
    """Which version was loaded, and what was taken of each card. Where there is no `nvidia-smi`,
    the module is of the version that the archive has."""
    said = machine.said(*_FOUND)
    machine.kept["nvidia"] = _library(machine)
    if said is None or said.status == _NO_PROGRAM:
        machine.kept["nvidia"] = _library(machine) or NVIDIA_VERSION
        return
    machine.kept["nvidia_found"] = True
    for line in said.out.decode(errors="replace").splitlines() if not said.status else ():
        slot, _, used = line.partition(", ")
        if used.strip().isdecimal():
            # Its domain has eight digits, and lspci's four.
            machine.kept.setdefault("vram_found", {})[slot[4:].lower()] = int(used) * _MIB


def _library(machine: Machine) -> str:
    """The version of NVIDIA's libraries."""
    names = (p for p in machine.packages if p.startswith(("libnvidia-compute", "nvidia-utils")))
    found = next(names, "")
    return machine.packages.get(found, "").partition("-")[0]


def _tell_memory(machine: Machine) -> None:
    """What amdgpu writes in sysfs of its cards' memory."""
    if "amdgpu" not in machine.modules:
        return
    for card, part in cards(machine, "AMD"):
        facts = {"total": total_bytes(part), "used": used_bytes(machine, card, part)}
        for name, value in facts.items():
            file = f"{card.slot}/mem_info_vram_{name}"
            known = (path for path in machine.files.entries if path.endswith(f"/{file}"))
            path = next(known, "")
            if name == "used" or not path:
                machine.files.put(path or f"/sys/devices/pci0000:00/{file}", f"{value}\n")


def _tell_nodes(machine: Machine) -> None:
    """Its device nodes, and what its compute driver says of them."""
    for number, (_, part) in enumerate(cards(machine, "AMD")):
        machine.files.put(f"/dev/dri/renderD{128 + number}", "")
        machine.files.put("/dev/kfd", "")
        gfx = _GFX.get(part.architecture or "", 0)
        node = f"{_KFD_NODES}/{number + 1}/properties"
        machine.files.put(node, f"simd_count 96\ngfx_target_version {gfx}\n")
    cpu = f"{_KFD_NODES}/0/properties"
    machine.files.put(cpu, "cpu_cores_count 8\ngfx_target_version 0\n")


@graphics_drivers("nvidia-smi")
def nvidia_smi(machine: Machine, call: Call) -> Reply:
    """NVIDIA's cards, by ``--query-gpu``."""
    as_found = machine.kept.get("nvidia_found") and machine.kept["nvidia"] == _library(machine)
    if as_found and (said := machine.said(*call.argv)) is not None:
        return _with_memory(machine, call, said)
    if not any(name.startswith("nvidia-utils") for name in machine.packages):
        return Reply(127, stderr="sh: 1: nvidia-smi: not found\n")
    if "nvidia" not in machine.modules:
        return Reply(
            9,
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make "
            "sure that the latest NVIDIA driver is installed and running.\n\n",
        )
    if machine.kept.get("nvidia") != _library(machine):
        return Reply(
            18,
            "Failed to initialize NVML: Driver/library version mismatch\n"
            f"NVML library version: {'.'.join(_library(machine).split('.')[:2])}\n",
        )
    found = list(cards(machine, "NVIDIA"))
    if not found:
        return Reply(6, "No devices were found\n")
    _, options = operands(call)
    if "-L" in options:
        rows = [
            f"GPU {number}: {_named(part)} (UUID: GPU-{_uuid(machine, card)})"
            for number, (card, part) in enumerate(found)
        ]
        return Reply(0, "".join(f"{row}\n" for row in rows))
    asked = options.get("--query-gpu", "")
    form = options.get("--format", "").split(",")
    if not asked or "noheader" not in form or "nounits" not in form:
        return Reply(127, stderr="twin: its nvidia-smi knows --query-gpu without head and units\n")
    out = ""
    for number, (card, part) in enumerate(found):
        facts = {
            "index": str(number),
            "name": _named(part),
            "driver_version": machine.kept["nvidia"],
            "pci.bus_id": f"0000{card.slot.upper()}",
            "memory.total": str(total_bytes(part) // _MIB),
            "memory.used": str(used_bytes(machine, card, part) // _MIB),
        }
        wanted = asked.split(",")
        unknown = [name for name in wanted if name not in facts]
        if unknown:
            return Reply(2, f'Field "{unknown[0]}" is not a valid field to query.\n')
        out += ", ".join(facts[name] for name in wanted) + "\n"
    return Reply(0, out)


def _uuid(machine: Machine, card: Function) -> UUID:
    return uuid5(NAMESPACE_OID, f"{machine.world.seed}/{machine.name}/{card.slot}")


def _with_memory(machine: Machine, call: Call, said: Reply) -> Reply:
    """What the real driver says, with what has been taken of its cards' memory since."""
    _, options = operands(call)
    asked = options.get("--query-gpu", "").split(",")
    rows = [line.split(", ") for line in said.out.decode(errors="replace").splitlines()]
    found = list(cards(machine, "NVIDIA"))
    if said.status or "memory.used" not in asked or len(rows) != len(found):
        return said
    column = asked.index("memory.used") - len(asked)  # from the end: a name comes first
    for row, (card, _) in zip(rows, found, strict=True):
        since = _taken_since_bytes(machine, card) // _MIB
        if since and len(row) >= -column and row[column].isdecimal():
            row[column] = str(max(int(row[column]) + since, 0))
    return Reply(said.status, "".join(", ".join(row) + "\n" for row in rows))


def _named(part: GpuPart) -> str:
    """``NVIDIA GeForce RTX 4070 Ti SUPER``. A driver's names tell no sizes after a comma, by which
    a catalog tells two cards apart: both are ``NVIDIA GeForce RTX 4060 Ti``."""
    return part.title.partition(",")[0].replace("Super", "SUPER")


@graphics_drivers("modinfo")
def modinfo(machine: Machine, call: Call) -> Reply:
    """A module's facts, where the kernel that is named has it."""
    words, options = operands(call, "-k -F")
    name = words[0] if words else ""
    kernel = options.get("-k", machine.kernel)
    if kernel != machine.kernel or not has_module(machine, name):
        return Reply(1, stderr=f"modinfo: ERROR: Module {name} not found.\n")
    facts = {"vermagic": f"{kernel} SMP preempt mod_unload modversions", "name": name}
    if "-F" in options:
        return Reply(0, f"{facts.get(options['-F'], '')}\n")
    return Reply(0, "".join(f"{key + ':':<16}{value}\n" for key, value in facts.items()))
