"""Whether a TrueNAS has come up whole: its services, and what it exports."""

from collections.abc import Iterator

from homelab_lib.answers import Shape
from homelab_lib.control.truenas.midclt import call
from homelab_lib.runbook.afterwards import declare
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check

_SERVICES: Shape = [{"service": str, "enable": bool, "state": str}]
_SHARES: Shape = [{"path": str, "enabled": bool}]


def compare(host: Host) -> Iterator[Check]:
    """Enabled services run; each share's path is in what the server itself says it exports: a
    share whose hosts' names did not resolve at the boot is dropped, and its row looks well."""
    services = call(host, "service.query", shape=_SERVICES)
    stopped = sorted(s["service"] for s in services if s["enable"] and s["state"] != "RUNNING")
    says = f"enabled and stopped: {', '.join(stopped)}" if stopped else ""
    yield Check(f"the services of {host.name} run", not stopped, says)
    if not any(s["service"] == "nfs" and s["state"] == "RUNNING" for s in services):
        return
    shown = host.read("showmount", "--no-headers", "-e", "localhost", ok=None)
    if shown.exit_status:
        return  # one that speaks NFS 4 alone tells nobody
    exported = {line.split()[0] for line in shown.stdout.splitlines() if line.strip()}
    rows = call(host, "sharing.nfs.query", shape=_SHARES)
    missing = sorted(r["path"] for r in rows if r["enabled"] and r["path"] not in exported)
    says = f"shared and not exported: {', '.join(missing)}" if missing else ""
    yield Check(f"what {host.name} shares is exported", not missing, says)


declare("midclt", compare)
