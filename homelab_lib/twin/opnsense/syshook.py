"""Scripts that a boot runs, beside what the appliance itself does.

Those of a stage run in the order of their names, whatever becomes of each; one that may not be
executed is an error that stops nothing.

Source: opnsense/core, src/etc/rc and src/etc/rc.syshook.
"""

from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call

_PLACE = "/usr/local/etc/rc.syshook.d"
_PATH = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin"


def run_hooks(machine: Machine, stage: str) -> None:
    """Run the scripts of a stage.

    Parameters
    ----------
    machine
        Which one boots.
    stage
        ``early``, before the configuration is read, or ``start``, after all of it was applied.
    """
    folder = f"{_PLACE}/{stage}"
    try:
        names = machine.files.listdir(folder)
    except FileError:
        return
    for name in names:
        machine.call(Call((f"{folder}/{name}",), env={"PATH": _PATH})).finished()
