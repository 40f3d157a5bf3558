"""Whether a Proxmox node has come up whole: its storages, and the guests that start with it."""

from collections.abc import Iterator

from homelab_lib.answers import Shape, whole
from homelab_lib.control.proxmox.api import CONFIG, api
from homelab_lib.runbook.afterwards import declare
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check

_NODES: Shape = [{"name": str, "local?": (int, bool)}]
_STORAGES: Shape = [{"storage": str, "active?": (int, bool), "shared?": (int, bool)}]
_VMS: Shape = [{"vmid": whole, "status": str, "name?": str, "template?": (int, bool, str)}]


def compare(host: Host) -> Iterator[Check]:
    """Every storage in use is active, and every guest that starts with the node runs.

    What lies on another machine may be away: that may be a guest that starts only now.
    """
    rows = api(host, "/cluster/status", shape=_NODES)
    name = next((row["name"] for row in rows if row.get("local")), host.name)
    stores = api(host, f"/nodes/{name}/storage", "--enabled", "1", shape=_STORAGES)
    away = sorted(row["storage"] for row in stores if not row.get("active") and row.get("shared"))
    dead = sorted({row["storage"] for row in stores if not row.get("active")} - {*away})
    says = "; ".join(
        f"{what}: {', '.join(names)}"
        for what, names in (("not active", dead), ("of another machine, and not to be had", away))
        if names
    )
    yield Check(f"the storages of {host.name} are there", not dead, says)
    down = []
    for guest in api(host, f"/nodes/{name}/qemu", shape=_VMS):
        if guest["status"] == "running" or guest.get("template"):
            continue
        config = api(host, f"/nodes/{name}/qemu/{guest['vmid']}/config", shape=CONFIG)
        if str(config.get("onboot", "0")) == "1":
            down.append(f"{guest['vmid']} ({guest.get('name', '')})")
    says = f"to start with it, and down: {', '.join(down)}" if down else ""
    yield Check(f"the guests of {host.name} run", not down, says)


declare("pvesh", compare)
