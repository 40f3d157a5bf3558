"""The programs of an OPNsense: FreeBSD's, its own, and what any Unix has."""

from dataclasses import replace

from homelab_lib.twin.machine.accounts import accounts
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.netutils import netutils
from homelab_lib.twin.machine.program import Commands
from homelab_lib.twin.machine.system import system
from homelab_lib.twin.machine.unix import COREUTILS
from homelab_lib.twin.opnsense.configctl import configctl_programs
from homelab_lib.twin.opnsense.freebsd_files import freebsd_files
from homelab_lib.twin.opnsense.freebsd_network import freebsd_network
from homelab_lib.twin.opnsense.freebsd_processes import freebsd_processes
from homelab_lib.twin.opnsense.freebsd_system import freebsd_system
from homelab_lib.twin.opnsense.script_run import script_programs

_LINUX_ONLY = {"free", "cloud-init", "swapon", "wget"}


def _unix() -> Commands:
    """What is there of the programs of any Unix, under one name each."""
    found = Commands()
    for each in (netutils, system, accounts):
        found.bodies |= {n: body for n, body in each.bodies.items() if n not in _LINUX_ONLY}
    return found


OPNSENSE = (
    freebsd_files,
    freebsd_system,
    freebsd_processes,
    freebsd_network,
    configctl_programs,
    script_programs,
    *COREUTILS,
    _unix(),
)

_PLACES = (
    *("/usr/local/bin/php", "/usr/local/bin/curl", "/usr/local/etc/rc.reload_all"),
    *("/usr/local/sbin/configctl", "/usr/local/sbin/opnsense-version"),
    *("/usr/local/sbin/pluginctl", "/usr/local/sbin/opnsense-shell"),
)
"""Programs that are called by where they lie, outside of the system's own folders."""

_FOLDERS = (
    *("/var/run", "/var/db", "/tmp", "/conf", "/usr/local/etc/suricata"),
    *("/usr/local/etc/rc.syshook.d/early", "/usr/local/etc/rc.syshook.d/start"),
)


def install(machine: Machine) -> None:
    """Put programs where they lie, and what else a shell finds of the system's."""
    for path in _PLACES:
        machine.files.put(path, "#!\n", mode=0o755)
    for folder in _FOLDERS:
        machine.files.mkdir(folder, parents=True)
    root = machine.accounts.users["root"]
    machine.accounts.users["root"] = replace(root, shell="/usr/local/sbin/opnsense-shell")
