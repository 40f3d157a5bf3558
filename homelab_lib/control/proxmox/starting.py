"""Switching a VM with cards off and on, and what is said when its card does not come back.

Some cards can't be reset: they work in the first VM that starts with them and hang in the next,
until the node itself is restarted (gnif/vendor-reset has a list; AMD's later ones are in reports).
Proxmox only warns of a reset that failed, and such a task ends well.
"""

import re

from homelab_lib.runbook.resource import Host
from homelab_lib.transport.command import Command, change

OFF_S, ON_S = 180, 300
"""How long a guest is given to shut down, and Proxmox to start it [s]."""
_BACK = (
    f'if [ "$(qm status "$1")" = "status: running" ]; then qm shutdown "$1" --timeout {OFF_S} '
    '|| exit 1; fi; qm start "$1"'
)
_TROUBLE = re.compile(
    r"not ready \d+ms after .*giving up|can.t reserve|change power state from D3", re.I
)
_WARNED = re.compile(r"failed to reset PCI device .*", re.I)
"""In the log of a task that goes on all the same."""


def off_and_on(vmid: int, *, judged: bool = False) -> Command:
    """Off where it runs, and on; by one command, so that nothing is left off in between.

    Parameters
    ----------
    judged
        Whether somebody looks afterwards what came of the start.
    """
    words = ("sh", "-c", _BACK + (" || true" if judged else ""), "off-and-on", str(vmid))
    return change(*words, sudo=True, timeout_s=OFF_S + ON_S)


def gone(host: Host, vm_name: str, what: str, log: str = "") -> str:
    """What to say where a VM's card did not come back, by the kernel and by the task's `log`."""
    warned = [host.cut(line, 200) for line in dict.fromkeys(_WARNED.findall(log))]
    said = "; ".join([*trouble(host)[-3:], *warned[-2:]])
    return (
        f"{vm_name} was started again, and {what}: its card does not come back from a reset"
        + (f" ({said})" if said else "")
        + f". Restart {host.name} itself, which does reset it. The VM is not started with the node "
        "(onboot stays off), and after each stop of it the node has to be restarted; other cards "
        "of the make are known to do better"
    )


def trouble(host: Host) -> list[str]:
    """What the kernel has said since its start about cards that don't come back."""
    words = ("journalctl", "-k", "-b", "-q", "--no-pager", "-o", "cat")
    said = host.read(*words, ok=(0, 1), sudo=True).stdout
    return [host.cut(line.strip(), 200) for line in said.splitlines() if _TROUBLE.search(line)]
