"""What the API says of a node and its cluster: release, load, tasks.

Source: `PVE::API2::Nodes`, `Cluster`, `Tasks` (pve-manager 9.2).
"""

from typing import Any

from homelab_lib.twin.proxmox.api import Given, Methods
from homelab_lib.twin.proxmox.formats import BOOLEAN, TEXT, VMID, form, many
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.releases import release, series
from homelab_lib.twin.proxmox.schema import ParameterError, Property, PveError

calls = Methods()

_ONE_VMID = Property("integer", format=VMID, minimum=100, maximum=999_999_999)
_FROM_ZERO = Property("integer", minimum=0)
_ENDS = form("pve-task-status-type", "(?i:ok|error|warning|unknown)", "invalid status '{}'")
_TASKS = {
    "errors": BOOLEAN,
    "limit": _FROM_ZERO,
    "start": _FROM_ZERO,
    "since": Property("integer"),
    "until": Property("integer"),
    "source": Property(enum=("archive", "active", "all")),
    "statusfilter": Property(format=many(_ENDS)),
    "typefilter": TEXT,
    "userfilter": TEXT,
    "vmid": _ONE_VMID,
}


def running_commit(node: ProxmoxNode) -> str:
    """What its release was built from."""
    return node.commit or release(node.version).commit


def version_of(node: ProxmoxNode) -> dict[str, str]:
    """Its release, as the API has it."""
    called = series(node.version)
    return {"release": called, "repoid": running_commit(node), "version": node.version}


@calls("GET", "/version")
def _version(node: ProxmoxNode, given: Given) -> Any:
    return version_of(node)


@calls("GET", "/nodes/{node}/version")
def _node_version(node: ProxmoxNode, given: Given) -> Any:
    return version_of(node)


def _loaded(node: ProxmoxNode) -> dict[str, Any]:
    """What a list of nodes says of its load."""
    return {
        "cpu": 0.01,
        "maxcpu": node.threads,
        "mem": _used_bytes(node),
        "maxmem": node.memory_bytes,
        "disk": node.rootfs_bytes[1],
        "maxdisk": node.rootfs_bytes[0],
        "uptime": int(node.world.clock.now() - node.booted_s),
        "level": "",
    }


def _used_bytes(node: ProxmoxNode) -> int:
    return sum(vm.held_bytes for vm in node.vms.values())


@calls("GET", "/nodes")
def _nodes(node: ProxmoxNode, given: Given) -> Any:
    here = {"id": f"node/{node.node}", "node": node.node, "status": "online", "type": "node"}
    here["ssl_fingerprint"] = ":".join(["00"] * 32)
    peers = [dict(row) for row in node.peers if row.get("type") == "node"]
    return [here | _loaded(node), *peers]


@calls("GET", "/cluster/status")
def _cluster_status(node: ProxmoxNode, given: Given) -> Any:
    def member(name: str, number: int, ip: str) -> dict[str, Any]:
        row = {"type": "node", "id": f"node/{name}", "name": name, "nodeid": number, "level": ""}
        row |= {"local": int(name == node.node), "online": int(name not in node.away)}
        return row | ({"ip": ip} if ip else {})

    peers = sorted({row["node"] for row in node.peers if row.get("type") == "node"})
    if not peers:
        return [member(node.node, 0, node.address)]
    cluster = {"type": "cluster", "id": "cluster", "name": node.cluster_name, "version": 1}
    cluster["quorate"] = int(2 * (1 + len(peers) - len(node.away)) > 1 + len(peers))
    members = [member(node.node, 1, node.address)]
    members += [member(name, 2 + each, "") for each, name in enumerate(peers)]
    return [cluster | {"nodes": len(members)}, *members]


@calls("GET", "/nodes/{node}/status")
def _status(node: ProxmoxNode, given: Given) -> Any:
    used = _used_bytes(node)
    free = node.memory_bytes - used
    total, taken = node.rootfs_bytes
    kernel = {
        "machine": "x86_64",
        "release": node.kernel,
        "sysname": "Linux",
        "version": f"#1 SMP PREEMPT_DYNAMIC PMX {node.kernel.removesuffix('-pve')}",
    }
    processor = {
        "cpus": node.threads,
        "cores": max(node.threads // 2, 1),
        "sockets": 1,
        "model": node.cpu_model,
        "mhz": "3400.000",
        "hvm": "1",
        "user_hz": 100,
        "flags": "fpu vme de pse tsc msr",
    }
    return {
        "boot-info": {"mode": "efi", "secureboot": int(node.secure_boot)},
        "current-kernel": kernel,
        "kversion": f"Linux {node.kernel} {kernel['version']}",
        "pveversion": f"pve-manager/{node.version}/{running_commit(node)}",
        "memory": {"total": node.memory_bytes, "used": used, "free": free, "available": free},
        "swap": {"total": 0, "used": 0, "free": 0},
        "ksm": {"shared": 0},
        "rootfs": {"total": total, "used": taken, "avail": total - taken, "free": total - taken},
        "cpuinfo": processor,
        "cpu": 0.01,
        "idle": 0,
        "wait": 0,
        "uptime": int(node.world.clock.now() - node.booted_s),
        "loadavg": ["0.10", "0.10", "0.10"],
    }


# Cluster -----------------------------------------------------------------------------------------


@calls("GET", "/cluster/resources", {"type": Property(enum=("vm", "storage", "node", "sdn"))})
def _resources(node: ProxmoxNode, given: Given) -> Any:
    wanted = given.get("type", "")
    rows: list[dict[str, Any]] = []
    if wanted in ("", "vm"):
        ours = {
            vm.vmid: {"id": f"qemu/{vm.vmid}", "vmid": vm.vmid, "type": "qemu", "node": node.node}
            | node.broadcast(vm)
            | vm.live
            for vm in node.vms.values()
        }
        now = node.world.clock.now()
        ours |= {
            vmid: container.row(now)
            | {"id": f"lxc/{vmid}", "type": "lxc", "node": node.node, "vmid": vmid}
            for vmid, container in node.containers.items()
        }
        rows += [row for _, row in sorted((node.others | ours).items())]
    if wanted in ("", "node"):
        here = {"id": f"node/{node.node}", "node": node.node, "type": "node", "status": "online"}
        rows.append(here | _loaded(node) | {"cgroup-mode": 2})
    if wanted in ("", "storage"):
        rows += [_storage_row(node, name) for name in sorted(node.stores)]
    if wanted in ("", "sdn"):
        name = f"sdn/{node.node}/localnetwork"
        zone = {"sdn": "localnetwork", "status": "ok", "type": "sdn"}
        rows.append(zone | {"id": name, "node": node.node})
    kinds = ("node", "storage", "sdn") if not wanted else (wanted,)
    return rows + [row for row in node.peers if row.get("type") in kinds]


def _storage_row(node: ProxmoxNode, name: str) -> dict[str, Any]:
    store = node.stores[name]
    status = store.status
    return {
        "id": f"storage/{node.node}/{name}",
        "type": "storage",
        "storage": name,
        "node": node.node,
        "plugintype": store.kind,
        "content": status["content"],
        "shared": status["shared"],
        "status": "available" if status["active"] else "unknown",
        "disk": status["used"],
        "maxdisk": status["total"],
    }


@calls("GET", "/cluster/nextid", {"vmid": _ONE_VMID})
def _nextid(node: ProxmoxNode, given: Given) -> Any:
    if "vmid" in given:
        if node.taken_by(int(given["vmid"])):
            raise ParameterError({"vmid": f"VM {given['vmid']} already exists"})
        return given["vmid"]
    return str(next(n for n in range(100, 10**9) if not node.taken_by(n)))


# Tasks -------------------------------------------------------------------------------------------


@calls("GET", "/nodes/{node}/tasks", _TASKS)
def _tasks(node: ProxmoxNode, given: Given) -> Any:
    first = int(given.get("start", 0))
    rows = node.tasks.listed(
        given.get("source", "archive"), given.get("vmid", ""), first + int(given.get("limit", 50))
    )
    kinds = given.get("typefilter", "")
    return [
        row
        for row in rows[first:]
        if kinds in ("", row["type"])
        and given.get("userfilter", "") in row["user"]
        and int(given.get("since", 0)) <= row["starttime"] <= int(given.get("until", 2**62))
        and not (given.get("errors") == "1" and row.get("status") in (None, "OK"))
    ]


@calls("GET", "/nodes/{node}/tasks/{upid}/status")
def _task(node: ProxmoxNode, given: Given) -> Any:
    found = node.tasks.status(given["upid"])
    if found is None:
        raise PveError("no such task")
    return found
