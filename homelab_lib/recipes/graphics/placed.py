"""Where a lab's graphics cards are used: in which machine, of which cluster, by which runtime."""

from collections.abc import Iterator
from dataclasses import dataclass

from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.lab.devices import GpuPart

RESOURCES = {"NVIDIA": "nvidia.com/gpu", "AMD": "amd.com/gpu"}
"""What Kubernetes counts a maker's cards as."""


@dataclass(frozen=True)
class PlacedCard:
    """A graphics card and the machine whose programs use it.

    Parameters
    ----------
    device
        The card: ``host.device``.
    part
        What it is.
    machine
        The VM that it is passed through to, else its host.
    cluster
        The cluster of which that is a node; None for none.
    runtime
        By what programs compute on it: ``CUDA``, ``ROCm``, ``Vulkan``.
    """

    device: str
    part: GpuPart
    machine: str
    cluster: Cluster | None
    runtime: str

    @property
    def name(self) -> str:
        """The device's own name."""
        return self.device.partition(".")[2]

    @property
    def resource(self) -> str:
        """What Kubernetes counts it as."""
        return RESOURCES[self.part.vendor]

    @property
    def room_bytes(self) -> int:
        """Its memory, less what driver and firmware keep where the catalog knows it [bytes]."""
        return self.part.vram_bytes - (self.part.vram_reserved_bytes or 0)


def placed(lab: Lab, device: str) -> PlacedCard:
    """A card by its name in the lab.

    Raises
    ------
    BadParameter
        It is no graphics card that a program here computes on.
    """
    host, _, name = device.partition(".")
    part = lab.hosts[host].gpus.get(name)
    if part is None or part.vendor not in RESOURCES or not part.runtimes:
        raise BadParameter(
            f"{device} is no graphics card of {' or '.join(RESOURCES)} with a runtime",
            where=f"hosts.{host}.devices.{name}",
            fix="name one that is in devices, or write its runtimes in the catalog",
        )
    owners = [vm.name for vm in lab.vms_with(device)]
    if not owners and lab.hosts[host].os.kind == "proxmox":
        raise BadParameter(
            f"{device} is in a hypervisor, and no VM gets it",
            where=f"hosts.{host}.devices.{name}",
            fix=f"write  gpus: [{name}]  in the VM that is to use it",
        )
    machine = owners[0] if owners else host
    cluster = next((c for c in lab.clusters.values() if machine in c.vms), None)
    told = [a.runtime for a in lab.gpu_allocation.values() if a.device == device and a.runtime]
    return PlacedCard(device, part, machine, cluster, str([*told, *part.runtimes][0]))


def cards_of(lab: Lab, phase: int) -> Iterator[PlacedCard]:
    """The cards that come into use in a phase: those passed through to their VMs, and those on
    which a server of models is installed, or a part of one."""
    passed = [a.device for a in lab.gpu_allocation.values() if a.phase == phase]
    served = [
        device
        for service in lab.services.values()
        if service.phase == phase and (service.ollama is not None or service.llama_cpp is not None)
        for device in service.devices
    ]
    for device in dict.fromkeys((*passed, *served)):
        yield placed(lab, device)
