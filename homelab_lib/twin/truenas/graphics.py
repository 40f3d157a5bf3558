"""The render nodes of a NAS: the processor's own graphics first, then the cards by their slots."""

import re

from homelab_lib.lab.devices import GpuPart
from homelab_lib.lab.host import Host
from homelab_lib.twin.machine.seeding import ABSENT, printed
from homelab_lib.twin.machine.surroundings import Ask
from homelab_lib.twin.truenas.nas import TrueNas

_OWN = "0000:00:02.0"
_FIRST = 128
_GRAPHICS = re.compile(r"^(\S+) .*\[03[0-9a-f]{2}\]: .*\[([0-9a-f]{4}:[0-9a-f]{4})\]", re.MULTILINE)


def render_nodes(nas: TrueNas, host: Host) -> None:
    """Make the nodes that the kernel makes, for what it has a driver for."""
    found: list[tuple[str, str]] = []
    if host.cpu is not None and host.cpu.graphics:
        found.append((_OWN, "cpu"))
    for function in nas.bus:
        part = host.devices[function.name].part if function.name in host.devices else None
        if not isinstance(part, GpuPart):
            continue
        if part.min_kernel and _numbers(nas.kernel) < _numbers(part.min_kernel):
            function.driver = ""
        if function.driver:
            found.append((function.slot, function.name))
    nas.files.mkdir("/dev/dri/by-path", parents=True)
    for number, (slot, name) in enumerate(sorted(found), _FIRST):
        node = f"/dev/dri/renderD{number}"
        nas.render_nodes[node] = name
        nas.files.put(node, "")
        nas.files.link(f"/dev/dri/by-path/pci-{slot}-render", f"../renderD{number}")


def seed_render_nodes(nas: TrueNas, ask: Ask) -> None:
    """The nodes that a real NAS has, and whose graphics are behind each."""
    nas.render_nodes = {}
    described = nas.world.lab.hosts.get(nas.name)
    gpus = described.gpus if described else {}
    for slot, made in _GRAPHICS.findall(printed(ask, nas.name, "lspci", "-D", "-nn") or ""):
        link = f"/dev/dri/by-path/pci-{slot}-render"
        node = (printed(ask, nas.name, "readlink", "-e", link, lacks=ABSENT) or "").strip()
        name = next((name for name, part in gpus.items() if made in part.pci_ids), "")
        if node:
            nas.render_nodes[node] = name or ("cpu" if slot == _OWN else "")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdigit())
