"""A guest that is there already: looked at, and left as it is."""

from dataclasses import dataclass
from typing import Any

from homelab_lib.control.proxmox.api import CONFIG, GUESTS, STATUS, api
from homelab_lib.runbook.resource import Diff, Host


@dataclass(frozen=True)
class ExistingGuest:
    """A VM that somebody else has made, and that runs.

    Parameters
    ----------
    host, node, vmid, vm_name
        Where it is, and how it is called.
    """

    host: str
    node: str
    vmid: int
    vm_name: str
    timeout_s: float = 300.0

    @property
    def name(self) -> str:
        return f"VM {self.vmid} ({self.vm_name}) that is there"

    def observe(self, host: Host) -> dict[str, Any] | None:
        rows = api(host, "/cluster/resources", "--type", "vm", shape=GUESTS)
        row = next((row for row in rows if row.get("vmid") == self.vmid), None)
        if row is None:
            return None
        if row.get("type", "qemu") != "qemu" or row.get("node") != self.node:
            place = f"{row.get('type', 'guest')} on {row.get('node', 'another node')}"
            return {"name": row.get("name", ""), "place": place}
        path = f"/nodes/{self.node}/qemu/{self.vmid}"
        config = api(host, f"{path}/config", "--current", "1", shape=CONFIG)
        status = api(host, f"{path}/status/current", shape=STATUS)["status"]
        return {"name": str(config.get("name", "")), "place": "", "status": status}

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        there = f"VM {self.vmid} ({self.vm_name}) is to be there already"
        if observed is None:
            return Diff(conflict=f"{there}, and no guest has that number")
        if observed["place"]:
            return Diff(conflict=f"{there}, on node {self.node}; found is {observed['place']}")
        if observed["name"].lower() != self.vm_name.lower():
            return Diff(conflict=f"{there}, and that number has {observed['name']!r}")
        if observed["status"] != "running":
            return Diff(conflict=f"{there}, and is {observed['status']}: start it in Proxmox")
        return Diff()
