"""A lab as tables, one for each question a reader asks first."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from homelab_lib.lab import Lab
from homelab_lib.lab.graph import graph_of
from homelab_lib.lab.per_host import every
from homelab_lib.units import format_bps, format_bytes, format_ibytes
from homelab_lib.views.missing import Missing
from homelab_lib.wiring.capacity import pool_capacity_of

if TYPE_CHECKING:
    import pandas as pd

_OS = {"proxmox": "Proxmox VE", "truenas": "TrueNAS", "opnsense": "OPNsense", "pfsense": "pfSense",
       "synology": "Synology DSM", "unraid": "Unraid", "debian": "Debian", "ubuntu": "Ubuntu",
       "linux": "Linux", "windows": "Windows", "macos": "macOS", "haos": "Home Assistant OS",
       "other": "", "none": ""}  # fmt: skip
_UNKNOWN = "not described"


def _both(value_bytes: float) -> str:
    """The label's unit and the one that ZFS prints, side by side."""
    return f"{format_bytes(value_bytes)} = {format_ibytes(value_bytes)}"


_NONE = {
    "cable": "No cable is described.",
    "VLAN": "No network is described.",
    "pool": "This lab has no pool.",
    "what": "Nothing is to run here: no VM and no container is described.",
    "phase": "No task is written down: a phase's tasks are what people tick off.",
    "decision": "No decision was taken: the design stands as it was written.",
}
"""What is said in place of a table that would be empty, by what its rows would be."""


def _table(rows: Sequence[Mapping[str, object]], index: str) -> "pd.DataFrame | Missing":
    import pandas as pd

    if not rows:
        return Missing(_NONE.get(index, f"No {index} is described."))
    return pd.DataFrame(rows).set_index(index)


def hosts(lab: Lab) -> "pd.DataFrame | Missing":
    """The machines: what they are for, and what is in them."""
    rows = [
        {
            "host": name,
            "role": host.role,
            "system": f"{host.os.title or _OS[host.os.kind]} {host.os.version}".strip(),
            "processor": host.processor,
            "threads": host.threads or _UNKNOWN,
            "memory": format_ibytes(host.memory_bytes) if host.memory_bytes else _UNKNOWN,
            "graphics": ", ".join(card.title for card in host.gpus.values()) or "–",
            "login": f"{host.ssh.user}@{host.ssh.address}" if host.ssh else "none",
        }
        for name, host in lab.hosts.items()
    ]
    return _table(rows, "host")


def cables(lab: Lab) -> "pd.DataFrame | Missing":
    """What is plugged into what, and how fast both ends can go."""
    graph = graph_of(lab)
    rows = []
    for cable in lab.cables:
        speed = graph.edges[cable.a, cable.b]["speed_bps"]
        rows.append(
            {
                "cable": cable.name,
                "from": f"{cable.a} ({graph.nodes[cable.a]['connector']})",
                "to": f"{cable.b} ({graph.nodes[cable.b]['connector']})",
                "medium": cable.medium,
                "both ends can": format_bps(speed) if speed else "nothing in common",
                "the design expects": format_bps(cable.claimed_speed_bps)
                if cable.claimed_speed_bps
                else "–",
            }
        )
    return _table(rows, "cable")


def networks(lab: Lab) -> "pd.DataFrame | Missing":
    """VLANs, and who has an address in each."""
    rows = []
    for number, vlan in lab.vlans.items():
        there = [
            name
            for name, host in lab.hosts.items()
            if any(e.vlan == number or number in e.on_tagged for e in host.attached.values())
        ]
        there += [name for name, vm in lab.vms.items() if vm.vlan == number]
        rows.append(
            {
                "VLAN": number,
                "purpose": vlan.purpose,
                "subnet": ", ".join(vlan.subnets),
                "gateway": ", ".join(filter(None, (vlan.gateway, vlan.gateway6))) or "none",
                "members": ", ".join(there) or "–",
            }
        )
    return _table(rows, "VLAN")


def pools(lab: Lab) -> "pd.DataFrame | Missing":
    """Pools: what the disks' labels promise, and what ZFS will show."""
    rows = []
    for pool in every(lab.pools):
        disks = lab.hardware(pool.host).disks
        raw = sum(disks[disk].capacity_bytes for disk in pool.disks_for("data"))
        holds = pool_capacity_of(lab, pool).usable_bytes
        rows.append(
            {
                "pool": pool.name,
                "host": pool.host,
                "layout": pool.title,
                "disks": _both(raw),
                "usable (predicted)": _both(holds),
                "the design says": _both(pool.claimed_usable_bytes)
                if pool.claimed_usable_bytes
                else "–",
            }
        )
    return _table(rows, "pool")


def virtual_machines(lab: Lab) -> "pd.DataFrame | Missing":
    """VMs and containers, what else is set aside, and what each host has."""
    rows = [
        {"on": guest.host, "what": name, "processors": guest.vcpu,
         "memory [GiB]": guest.memory_bytes / 2**30, "for": guest.purpose}
        for name, guest in (*lab.vms.items(), *lab.containers.items())
    ]  # fmt: skip
    rows += [
        {"on": each.host, "what": each.title, "processors": each.vcpu,
         "memory [GiB]": each.memory_bytes / 2**30, "for": each.purpose}
        for each in lab.reservations.values()
    ]  # fmt: skip
    for host in dict.fromkeys(str(row["on"]) for row in rows):
        memory = lab.hosts[host].memory_bytes
        rows.append(
            {"on": host, "what": "= there is", "processors": lab.hosts[host].threads or _UNKNOWN,
             "memory [GiB]": memory / 2**30 if memory else _UNKNOWN, "for": "all of these"}
        )  # fmt: skip
    return _table(rows, "what")


def phases(lab: Lab) -> "pd.DataFrame | Missing":
    """What is to be done, in order."""
    rows = [
        {"phase": f"{phase.number}. {phase.title}", "task": task.title,
         "parts": "; ".join(part.title for part in task.tasks) or "–"}
        for phase in lab.phases
        for task in phase.tasks
    ]  # fmt: skip
    return _table(rows, "phase")


def decisions(lab: Lab) -> "pd.DataFrame | Missing":
    """Where the design was corrected, and what each correction costs."""
    rows = []
    for decision in lab.decisions:
        cost = decision.cost
        shown = "nothing" if cost is None else f"${cost.low_usd:.0f}–{cost.high_usd:.0f}"
        rows.append({"decision": decision.title, "why": decision.reason, "costs": shown})
    return _table(rows, "decision")


def changes(as_written: Lab, decided: Lab) -> "pd.DataFrame | Missing":
    """What the decisions change in the description: the place, what stood there, what does now.

    Parameters
    ----------
    as_written, decided
        The lab without its decisions, and with them.
    """
    before, after = as_written.model_dump(mode="json"), decided.model_dump(mode="json")
    rows = [
        {
            "decision": decision.id,
            "place": change.path,
            "as written": _shown(_at(before, change.path)),
            "decided": _shown(_at(after, change.path)),
        }
        for decision in decided.decisions
        for change in decision.changes
    ]
    return _table(rows, "decision")


def _at(document: Any, path: str) -> Any:
    """What stands at a dotted path; entries of a list go by their name. None for nothing."""
    for step in path.split("."):
        if isinstance(document, list):
            named = [each for each in document if step in (each.get("name"), each.get("id"))]
            document = named[0] if named else None
        elif isinstance(document, dict):
            document = document.get(step)
        else:
            return None
    return document


def _shown(value: Any) -> str:
    """A value in few words: of a record what it says, of a list how long it is."""
    if value is None or value in ([], {}, ""):
        return "–"
    if isinstance(value, list):
        names = [str(each.get("name", "")) for each in value if isinstance(each, dict)]
        return ", ".join(names) if names else ", ".join(map(str, value))
    if isinstance(value, dict):
        said = {key: each for key, each in value.items() if each not in (None, "", [], {}, 1500)}
        return "; ".join(f"{key}: {_shown(each)}" for key, each in said.items())
    return str(value)
