"""What a run that did not get to its end has left off while it gave or tried cards."""

from collections.abc import Iterable, Iterator

from homelab_lib.control.proxmox.second_start import GuestBack
from homelab_lib.lab import Lab
from homelab_lib.recipes.proxmox.virtual_machine import node
from homelab_lib.runbook.step import Wanted


def brought_back(lab: Lab, names: Iterable[str]) -> Iterator[Wanted]:
    """Those VMs run again: what comes next asks them.

    Parameters
    ----------
    lab, names
        The lab, and its VMs that are asked; those on a host that nobody drives are left out.
    """
    vms = [lab.vms[name] for name in names]
    driven = [vm for vm in vms if lab.hosts[vm.host].ssh is not None]
    if driven:
        yield [
            GuestBack(vm.host, node(lab, vm.host), vm.vmid, vm.name, lab=lab.name) for vm in driven
        ]
