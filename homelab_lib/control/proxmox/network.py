"""The network of a Proxmox node: staged, applied by itself, and undone by itself.

Proxmox has no way back from a network configuration. So the host is given one first: a timer that
puts the old file back, unless somebody comes in by the new way and stops it. Sources:
`PVE::API2::Network`; ifupdown2 3.0.0 run in network namespaces, by which `_UNDO` does more than to
put a file back: what is no more brought up by itself keeps its address and packet size, a bridge
that the file does not name stays, and its memory of what failed is left aside by ``-u``.
"""

import re
from dataclasses import dataclass
from typing import Any

from homelab_lib.control.linux import look_at_file, read_file
from homelab_lib.control.linux.units import unit_properties
from homelab_lib.control.proxmox.api import changing
from homelab_lib.control.proxmox.links import USUAL_MTU, Link, listed, running
from homelab_lib.control.proxmox.staged import besides
from homelab_lib.runbook.resource import Change, Diff, Host, Rollback
from homelab_lib.transport.command import Command, change

INTERFACES = "/etc/network/interfaces"
STAGED = f"{INTERFACES}.new"
APPLY, UNDO = "homelab-network", "homelab-network-undo"
"""The units that apply a configuration, and that undo it."""

_BEFORE = f"{INTERFACES}.before-homelab"
_DONE = f"/run/{APPLY}"  # is there once what was staged has been applied
_WITHIN_S = 180
_APPLY_S = 90.0
_PROXMOXS_OWN = re.compile(r"pve|pmx")

# A timer does not outlive a reboot, so that a line for cron does the same after one.
_SCRIPT, _AT_BOOT = "/var/lib/homelab/network-undo", f"/etc/cron.d/{UNDO}"

# $1: bridges that were not there; $2: interfaces that had no address, with their packet size.
_UNDO = (
    f"cp -a {_BEFORE} {INTERFACES}; rm -f {STAGED} {_AT_BOOT}; "
    'for each in $1; do ip link del "$each"; done; ifreload -a -u; '
    'for each in $2; do ip addr flush dev "${each%:*}"; ip link set "${each%:*}" mtu "${each#*:}"; '
    "done"
)
# $1: when it acts [s]; $2: the undo; $3, $4: what it is given.
_ARM = (
    f"set -e; systemctl reset-failed {APPLY}.service {UNDO}.service 2> /dev/null || true; "
    f"rm -f {_DONE}; cp -a {INTERFACES} {_BEFORE}; mkdir -p {_SCRIPT.rpartition('/')[0]}; "
    f"printf '%s\\n' \"$2\" > {_SCRIPT}; "
    f'printf \'@reboot root sh {_SCRIPT} "%s" "%s"\\n\' "$3" "$4" > {_AT_BOOT}; '
    f"sync {_BEFORE} {_SCRIPT} {_AT_BOOT}; "
    f'exec systemd-run --quiet --collect --unit={UNDO} "--on-active=$1" -- '
    f'sh {_SCRIPT} "$3" "$4"'
)
# The look at the syntax calls a bridge without ports a mistake, and Proxmox writes such ones; what
# else it complains of, stops it here. Proxmox's own reload ends well whatever came of it, but says
# so. $1: the path of the call.
_APPLY = (
    f"[ ! -e {STAGED} ] || said=$(ifup -a -s -i {STAGED} 2>&1) || "
    "{ said=$(printf '%s\\n' \"$said\" | grep -v 'bridge-ports: invalid value \"none\"'); "
    '[ -z "$said" ] || { printf "%s\\n" "$said"; exit 1; }; }; '
    'said=$(pvesh set "$1" 2>&1); printf "%s\\n" "$said"; '
    f'case "$said" in *"TASK ERROR"*) exit 1;; esac; : > {_DONE}'
)
# Whoever comes back too soon, or after a call that never came, would call good what is not there.
_CONFIRM = (
    f"[ -e {_DONE} ] || {{ echo 'what was staged has not been applied'; exit 1; }}; "
    f"rm -f {_AT_BOOT}; exec systemctl stop {UNDO}.timer"
)


@dataclass(frozen=True)
class ProxmoxNetwork:
    """Interfaces of a node as they are wanted; those that are not named are left alone.

    Parameters
    ----------
    host, node
        The machine, and its node name.
    links
        The interfaces.
    """

    host: str
    node: str
    links: tuple[Link, ...]
    timeout_s: float = 2.0 * _WITHIN_S

    @property
    def name(self) -> str:
        return f"network of {self.node}"

    # ------------------------------------------------------------------ looking

    def observe(self, host: Host) -> dict[str, Any]:
        """The file's interfaces, the kernel's links, what is staged, and by whom."""
        staged = look_at_file(host, STAGED)
        undo = unit_properties(host, f"{UNDO}.timer", "LoadState", "ActiveState")
        ours = self._ours(host)
        return {
            "rows": listed(host, self.node),
            "running": running(host),
            "staged": "" if staged is None else str(staged.get("sha256", "?")),
            "besides": self._besides(host) if ours and staged is not None else [],
            "ours": ours,
            "undo": undo["ActiveState"],
            "tool": host.read("ifreload", "-V", ok=(0, 1, 2, 127), sudo=True).stdout.strip(),
        }

    def _ours(self, host: Host) -> bool:
        """Whether we were in the middle of it: something was staged under this approval, and not
        applied since."""
        sent = host.sent(self.name)
        return host.begun(self.name) or (bool(sent) and sent[-1].startswith("pvesh "))

    def _besides(self, host: Host) -> list[str]:
        """What is staged, and is nothing that we stage."""
        return besides(read_file(host, INTERFACES), read_file(host, STAGED), self.links)

    # ------------------------------------------------------------------- saying

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["undo"] == "active":
            return Diff(waiting=f"{self.node} undoes a change of its network; that is waited for")
        if conflict := self._conflict(observed):
            return Diff(conflict=conflict)
        rows = observed["rows"]
        stage = [each for link in self._in_order(rows) if (each := self._stage(link, rows))]
        wrong = [
            why
            for link in self.links
            if (why := link.differs(self._runs(link, observed), self._elsewhere(link)))
        ]
        if not (stage or wrong or observed["staged"]):
            return Diff()
        return Diff((*stage, self._apply(observed, wrong)))

    def _elsewhere(self, link: Link) -> frozenset[str]:
        """Interfaces that are wanted for something else than to be in this one."""
        others = [each for each in self.links if each.iface != link.iface]
        wanted = {name for each in others for name in (each.iface, *each.ports)}
        return frozenset(wanted - {link.iface, *link.ports})

    def _runs(self, link: Link, observed: dict[str, Any]) -> dict[str, Any] | None:
        found: dict[str, Any] | None = observed["running"].get(link.iface)
        return found

    def _conflict(self, observed: dict[str, Any]) -> str:
        if not _PROXMOXS_OWN.search(observed["tool"]):
            tool = observed["tool"] or "no ifupdown2"
            return (
                f"{self.node} has {tool}: at each reload Debian's own takes running VMs off their "
                "bridge; install Proxmox's (apt install ifupdown2, from its repository)"
            )
        if observed["staged"] and not observed["ours"]:
            return (
                f"{STAGED} is there: somebody has staged changes, and they would be applied with "
                "ours; apply them in Proxmox, or drop them: "
                f"pvesh delete /nodes/{self.node}/network"
            )
        if observed["besides"]:
            lines = "\n      ".join(observed["besides"])
            return (
                f"{STAGED} holds more than what we staged: somebody changed it since we were cut "
                f"off, and it would be applied with ours:\n      {lines}\n    apply it in Proxmox, "
                f"or drop all that is staged: pvesh delete /nodes/{self.node}/network; then run "
                "the same command again"
            )
        ways = [link for link in self.links if link.gateway]
        if len(ways) > 1:
            told = " and ".join(f"{link.iface} by {link.gateway}" for link in ways)
            return (
                f"{self.node} is to have two ways out, {told}: answers would leave by the wrong "
                "one; a direct link has no gateway, so take it out of the VLAN that has one"
            )
        for link in self.links:
            if conflict := self._in_the_place(link, observed):
                return conflict
        return ""

    def _in_the_place(self, link: Link, observed: dict[str, Any]) -> str:
        """Why an interface can't be made what it is to be; empty where it can."""
        rows = observed["rows"]
        row = rows.get(link.iface, {})
        needed = [link.iface] if link.kind == "eth" else list(link.ports)
        ours = {each.iface for each in self.links}
        missing = [name for name in needed if name not in observed["running"] and name not in ours]
        missing += [n for n in needed if n == link.iface and n not in observed["running"]]
        if missing:
            there = ", ".join(sorted(name for name in observed["running"] if name != "lo"))
            return (
                f"{self.node} has no interface {missing[0]}: its kernel drives no such card, or "
                f"calls it otherwise (there are {there})"
            )
        if row and row["type"] != link.kind:
            return f"{link.iface} is a {row['type']} on {self.node}, and is to be a {link.kind}"
        if row.get("cidr") and row["cidr"] != link.cidr:
            wanted = link.cidr or "none"
            return (
                f"{link.iface} has the address {row['cidr']} on {self.node}, and {wanted} in the "
                "lab; nobody's address is changed, so write there what is so, or change it by hand"
            )
        others = [n for n, r in rows.items() if r.get("gateway") and n not in ours]
        if link.gateway and others:
            return (
                f"{others[0]} has a gateway on {self.node} ({rows[others[0]]['gateway']}), and so "
                f"is {link.iface} to have: a host has one; take it away from {others[0]}"
            )
        if row.get("gateway") and link.direct:
            return (
                f"{link.iface} has a gateway on {self.node} ({row['gateway']}), and is to have "
                "none: a direct link leads nowhere else; take it away in Proxmox"
            )
        for other, found in rows.items():
            taken = set(f"{found.get('bridge_ports', '')} {found.get('slaves', '')}".split())
            if other not in ours and taken & {link.iface, *link.ports}:
                shared = ", ".join(sorted(taken & {link.iface, *link.ports}))
                return f"{shared} is in {other} on {self.node}, which the lab does not describe"
        return ""

    def _in_order(self, rows: dict[str, dict[str, Any]]) -> list[Link]:
        """Bridges that give up a port come before those that take it."""
        taken = {
            link.iface: set(rows.get(link.iface, {}).get("bridge_ports", "").split())
            for link in self.links
        }

        def waits(link: Link) -> int:
            others = [each for each in self.links if each.iface != link.iface]
            return sum(bool(taken[each.iface] & {link.iface, *link.ports}) for each in others)

        return sorted(self.links, key=waits)

    def _stage(self, link: Link, rows: dict[str, dict[str, Any]]) -> Change | None:
        row = rows.get(link.iface, {})
        found = {k: v for k, v in row.items() if v and k not in ("exists", "method")}
        wanted = {
            key: value for key, value in link.options(row, self._elsewhere(link)).items() if value
        }
        if found == wanted or (not row and link.kind == "eth"):
            return None
        words = [word for key, value in wanted.items() for word in (f"--{key}", value)]
        path = f"/nodes/{self.node}/network"
        if row:
            call = changing("set", f"{path}/{link.iface}", *words)
        else:
            call = changing("create", path, "--iface", link.iface, *words)
        new = {key: value for key, value in wanted.items() if found.get(key, "") != value}
        old = {key: found[key] for key in new if found.get(key)}
        return Change(
            f"stage {link.iface}: {_told(new)}",
            call,
            replaces=f"{link.iface}: {_told(old)}" if old else "",
            undo=f"pvesh delete {path}",
        )

    def _apply(self, observed: dict[str, Any], wrong: list[str]) -> Change:
        now = observed["running"]
        new = [n.iface for n in self.links if n.iface not in now and n.kind != "eth"]
        bare = [
            f"{link.iface}:{now[link.iface]['mtu'] or USUAL_MTU}"
            for link in self.links
            if link.iface in now and not now[link.iface]["cidrs"] and (link.cidr or link.cidr6)
        ]
        return Change(
            f"apply the network of {self.node}, and come back by it",
            _applied(self.node),
            replaces="; ".join(wrong),
            undo=f"cp {_BEFORE} {INTERFACES} && ifreload -a -u",
            rollback=Rollback(
                arm=change(*("sh", "-c", _ARM, "sh", str(_WITHIN_S), _UNDO),
                           *(" ".join(new), " ".join(bare)), sudo=True),
                armed=_armed,
                confirm=change("sh", "-c", _CONFIRM, sudo=True),
                within_s=float(_WITHIN_S),
            ),
        )  # fmt: skip


def _told(options: dict[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted(options.items()) if value) or "same"


def _applied(node: str) -> Command:
    """The call that applies what is staged, as a unit that nobody has to watch."""
    return change(
        *("systemd-run", "--wait", "--quiet", f"--unit={APPLY}", "--"),
        *("sh", "-c", _APPLY, "sh", f"/nodes/{node}/network"),
        sudo=True,
        timeout_s=_APPLY_S,
    )


def _armed(host: Host) -> bool:
    """Whether the host shows that it will undo the change."""
    state = unit_properties(host, f"{UNDO}.timer", "LoadState", "ActiveState")
    return state["ActiveState"] == "active"
