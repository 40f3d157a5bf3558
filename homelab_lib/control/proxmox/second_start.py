"""VMs whose cards have to come back when they start again, and what is off meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.control import mark
from homelab_lib.control.proxmox import options as opts
from homelab_lib.control.proxmox.api import CONFIG, GUESTS, STATUS, api, changing, follow_task
from homelab_lib.control.proxmox.guest import guest_output
from homelab_lib.control.proxmox.made_guest import KINDS
from homelab_lib.control.proxmox.starting import OFF_S, ON_S, gone, off_and_on, trouble
from homelab_lib.errors import HomelabError
from homelab_lib.runbook.resource import Change, Diff, Host, Progress
from homelab_lib.transport.command import Result, change


@dataclass(frozen=True)
class SecondStart:
    """A VM whose card came back from a second start, and that starts with its node therefore.

    Parameters
    ----------
    host, node, vmid, vm_name
        Where it is, and how it is called.
    ids
        Maker and device of its cards.
    inside
        Whether its guest agent is asked for them; of a system that a person has installed only the
        node is asked.
    """

    host: str
    node: str
    vmid: int
    vm_name: str
    ids: tuple[str, ...]
    inside: bool = True
    timeout_s: float = 900.0

    @property
    def name(self) -> str:
        return f"VM {self.vmid} ({self.vm_name}) at its second start"

    def observe(self, host: Host) -> dict[str, str]:
        path = f"/nodes/{self.node}/qemu/{self.vmid}"
        config = api(host, f"{path}/config", shape=CONFIG)
        status = api(host, f"{path}/status/current", shape=STATUS)["status"]
        return {"onboot": str(config.get("onboot", "0")), "status": str(status)}

    def diff(self, observed: dict[str, str]) -> Diff:
        if observed["onboot"] == "1":
            return Diff()
        again = Change(
            f"shut {self.vm_name} down, and start it a second time",
            off_and_on(self.vmid, judged=True),
            undo=f"qm shutdown {self.vmid}",
            detached=True,
            follow=_sees_its_cards(self),
            starts=self.vm_name,
        )
        words = ("qm", "set", str(self.vmid), "--onboot", "1")
        undo = f"qm set {self.vmid} --onboot 0"
        boots = Change(
            f"have {self.vm_name} start with the node", change(*words, sudo=True), undo=undo
        )
        return Diff((again, boots))


@dataclass(frozen=True)
class _Guest:
    """A VM or container of ours.

    Parameters
    ----------
    host, node, vmid, guest_name
        Where it is, and how it is called.
    kind
        As the API calls it: ``qemu`` or ``lxc``.
    """

    host: str
    node: str
    vmid: int
    guest_name: str
    kind: str = "qemu"
    timeout_s: float = 300.0

    @property
    def _itself(self) -> str:
        return f"{KINDS[self.kind]} {self.vmid} ({self.guest_name})"

    @property
    def _path(self) -> str:
        return f"/nodes/{self.node}/{self.kind}/{self.vmid}/status"

    @property
    def _tool(self) -> str:
        return {"lxc": "pct", "qemu": "qm"}[self.kind]

    def observe(self, host: Host) -> Any:
        return str(api(host, f"{self._path}/current", shape=STATUS)["status"])

    def _started(self, what: str) -> Diff:
        call = change(self._tool, "start", str(self.vmid), sudo=True, timeout_s=ON_S)
        undo = f"{self._tool} shutdown {self.vmid}"
        return Diff((Change(what, call, undo=undo, detached=True, starts=self.guest_name),))


@dataclass(frozen=True)
class GuestOff(_Guest):
    """One that is off while something is tried that may take its node down."""

    @property
    def name(self) -> str:
        return f"{self._itself} off"

    def diff(self, observed: str) -> Diff:
        if observed != "running":
            return Diff()
        words = ("--timeout", str(OFF_S))
        call = changing("create", f"{self._path}/shutdown", *words, timeout_s=OFF_S + 30)
        follow, undo = follow_task(self.node), f"{self._tool} start {self.vmid}"
        return Diff((Change(f"shut {self.guest_name} down", call, follow=follow, undo=undo),))


@dataclass(frozen=True)
class GuestOn(_Guest):
    """One that runs again."""

    @property
    def name(self) -> str:
        return f"{self._itself} on"

    def diff(self, observed: str) -> Diff:
        if observed == "running":
            return Diff()
        return self._started(f"start {self.guest_name} again")


@dataclass(frozen=True)
class GuestBack(_Guest):
    """One that runs again where it was taken down while cards were given or tried, and whoever did
    that never came to bring it up.

    What somebody else has shut down stays so, and nobody is asked of a guest that we never touched.

    Parameters
    ----------
    lab
        The lab whose mark it has.
    """

    lab: str = field(kw_only=True)

    @property
    def name(self) -> str:
        return f"{self._itself} back"

    def observe(self, host: Host) -> dict[str, Any]:
        given = bool(host.sent(f"cards of {self._itself}"))
        down = len(host.sent(f"{self._itself} off"))
        ups = [f"{self._itself} on", self.name]
        # What nobody heard of may never have come.
        taken = down > sum(len(host.sent(name)) - host.begun(name) for name in ups)
        if not (given or taken) or not self._is_here(host):
            return {"status": "", "ours": False}
        status = super().observe(host)
        config = api(host, f"{self._path.removesuffix('status')}config", shape=CONFIG)
        marked = mark.tag(self.lab) in opts.tags(str(config.get("tags", "")))
        # Until its card came back once, it does not start with its node.
        left = given and str(config.get("onboot", "0")) != "1"
        return {"status": status, "ours": marked and (left or taken)}

    def _is_here(self, host: Host) -> bool:
        """Somebody may have moved it, or taken it away."""
        rows = api(host, "/cluster/resources", "--type", "vm", shape=GUESTS)
        here = (self.node, self.kind, self.vmid)
        return any((row.get("node"), row.get("type"), row.get("vmid")) == here for row in rows)

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["status"] == "running" or not observed["ours"]:
            return Diff()
        return self._started(f"start {self.guest_name}, which was taken down and not brought up")


def _sees_its_cards(vm: SecondStart) -> Callable[[Host, Result], Progress]:
    """Whether it runs, and sees its cards."""

    def follow(host: Host, result: Result) -> Progress:
        path = f"/nodes/{vm.node}/qemu/{vm.vmid}/status/current"
        log = f"{result.stdout}{result.stderr}"
        if api(host, path, shape=STATUS)["status"] != "running":
            why = host.cut(log.strip(), 200, end=True)
            what = "it does not run" + (f": {why}" if why else "")
            return Progress(True, error=gone(host, vm.vm_name, what, log))
        try:
            seen = guest_output(host, vm.vmid, "lspci", "-n") if vm.inside else ""
        except HomelabError:
            return Progress(False, note=f"{vm.vm_name}'s guest agent does not answer yet")
        missing = [each for each in vm.ids if each not in seen] if vm.inside else []
        if missing:
            what = f"{', '.join(missing)} is not there in it"
            return Progress(True, error=gone(host, vm.vm_name, what, log))
        well = not trouble(host)
        return Progress(True, error="" if well else gone(host, vm.vm_name, "its card is not well"))

    return follow
