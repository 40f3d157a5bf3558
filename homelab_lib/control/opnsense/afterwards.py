"""Whether a firewall has come up whole: the boot is over, and what is switched on runs.

26.7 is known to leave services behind that are enabled; each starts by hand, until the next boot.

Source: opnsense/core#10723.
"""

from collections.abc import Iterator

from homelab_lib.control.opnsense.api import BOOTS
from homelab_lib.control.opnsense.config import configured
from homelab_lib.runbook.afterwards import declare
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check

_SWITCHES = {
    "dnsmasq.enable": ("dnsmasq",),
    "OPNsense.Kea.dhcp4.general.enabled": ("kea-dhcp4",),
    "OPNsense.unboundplus.general.enabled": ("unbound",),
    "OPNsense.IDS.general.enabled": ("suricata", "Suricata-Main"),
    "OPNsense.monit.general.enabled": ("monit",),
}
"""Where it is written whether a service runs, and what its process is called then."""
_ALWAYS = ("cron", "syslog-ng")


def compare(host: Host) -> Iterator[Check]:
    """Nothing is left of the boot, and each service that is switched on has its process."""
    host.read("pgrep", "-f", BOOTS, ok=(0, 1))  # while it boots, that is waited for
    shown = host.read("pgrep", "-l", ".", ok=(0, 1)).stdout
    runs = {line.partition(" ")[2].strip() for line in shown.splitlines()}
    stopped = [name for name in _ALWAYS if name not in runs]
    for switch, names in _SWITCHES.items():
        if configured(host, switch) == "1" and not runs & set(names):
            stopped.append(names[0])
    says = f"switched on and stopped: {', '.join(sorted(stopped))}" if stopped else ""
    yield Check(f"the services of {host.name} run", not stopped, says)


declare("opnsense-version", compare)
