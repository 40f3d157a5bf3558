"""VMs on a Proxmox node."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib.control import mark
from homelab_lib.control.linux.units import unit_properties
from homelab_lib.control.proxmox import options as opts
from homelab_lib.control.proxmox.api import (
    CONFIG,
    GUESTS,
    STATUS,
    active_task,
    api,
    changing,
    follow_task,
)
from homelab_lib.runbook.detached import unit_name
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import Command, change

_FIRMWARE = ("bios", "machine")
"""Compared even where nothing is said of them: a guest that was installed under another firmware
or chipset does not start, or finds its network card under another name."""

_KINDS = {"lxc": "container", "qemu": "VM"}


@dataclass(frozen=True)
class VirtualMachine:
    """A VM made from an image or with an installer in its drive, that runs.

    Parameters
    ----------
    host, lab, node, vmid, vm_name
        Where it is, the lab it belongs to, and how it is called.
    options
        Options of `qm create` without its disks, in order: ``("cores", "4")`` …
    keys_file, public_keys
        The file on the host with the login keys, and what is in it; both empty for a VM that
        cloud-init does not set up.
    storage, image
        Where its first disk is, and the volume it is made from; empty for an empty disk.
    disk_bytes
        Size of its first disk [bytes].
    drives
        Further disks: Proxmox's name, storage, and size [bytes].
    cdroms
        What is in its CD drives when it is made, by drive. It is not looked at later: whoever has
        installed from it takes it out.
    """

    host: str
    lab: str
    node: str
    vmid: int
    vm_name: str
    options: tuple[tuple[str, str], ...]
    keys_file: str
    public_keys: str
    storage: str
    image: str
    disk_bytes: int
    drives: tuple[tuple[str, str, int], ...] = ()
    cdroms: tuple[tuple[str, str], ...] = ()
    timeout_s: float = 900.0

    @property
    def name(self) -> str:
        return f"VM {self.vmid} ({self.vm_name})"

    @property
    def _create(self) -> Command:
        words = [word for key, value in self.options for word in (f"--{key}", value)]
        if self.keys_file:
            words += ["--sshkeys", self.keys_file]
        first = f"0,import-from={self.image}" if self.image else str(_gib(self.disk_bytes))
        words += ["--scsi0", f"{self.storage}:{first}{_disk_options('scsi0')}"]
        for drive, storage, size_bytes in self.drives:
            words += [f"--{drive}", f"{storage}:{_gib(size_bytes)}{_disk_options(drive)}"]
        if self.keys_file:
            words += ["--ide2", f"{self.storage}:cloudinit"]
        for drive, volume in self.cdroms:
            words += [f"--{drive}", f"{volume},media=cdrom"]
        # From the disk where there is a system on it, and else from the installer.
        order = ["scsi0", *(drive for drive, _ in self.cdroms[:1] if not self.image)]
        return change(
            *("qm", "create", str(self.vmid)),
            *("--name", self.vm_name),
            *words,
            *("--boot", f"order={';'.join(order)}"),
            *("--tags", f"{mark.TAG};{mark.tag(self.lab)}"),
            *("--protection", "1"),
            sudo=True,
            timeout_s=self.timeout_s,
        )

    # ------------------------------------------------------------------ observe

    def observe(self, host: Host) -> dict[str, Any] | None:
        """What has the number. Only that it is taken, by what kind and on which node, may be
        learnt from the cluster's list: names and states in it are up to ten seconds old."""
        rows = api(host, "/cluster/resources", "--type", "vm", shape=GUESTS)
        row = next((row for row in rows if row.get("vmid") == self.vmid), None)
        if row is None:
            return None
        if row.get("type", "qemu") != "qemu" or row.get("node") != self.node:
            return {"elsewhere": _told(row)}
        path = f"/nodes/{self.node}/qemu/{self.vmid}"
        config = api(host, f"{path}/config", "--current", "1", shape=CONFIG)
        config.pop("cipassword", None)
        lock = str(config.get("lock", ""))
        return {
            "elsewhere": "",
            "name": str(config.get("name", "")),
            "status": api(host, f"{path}/status/current", shape=STATUS)["status"],
            "lock": lock,
            "config": config,
            "begun": host.begun(self.name),
            "blank": self._blank(host.sent(self.name)),
            "at_work": bool(lock) and self._at_work(host),
            "task": active_task(host, self.node, self.vmid) if lock else "",
        }

    def _blank(self, sent: Sequence[str]) -> bool:
        """Whether it was made by what was `sent`, and not started since: then its disks hold what
        they were made from, and nothing else."""
        last = [line for line in sent if line in (self._create.line, self._start.line)][-1:]
        return last == [self._create.line]

    def _at_work(self, host: Host) -> bool:
        """Whether the unit that makes it still runs."""
        unit = f"{unit_name(self._create)}.service"
        return unit_properties(host, unit, "SubState")["SubState"] == "running"

    # --------------------------------------------------------------------- diff

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        if observed is None:
            undo = f"qm stop {self.vmid}; qm set {self.vmid} --protection 0; qm destroy {self.vmid}"
            return Diff((self._making(undo),))
        if observed["elsewhere"]:
            return Diff(
                conflict=f"VMID {self.vmid} is taken by {observed['elsewhere']}: numbers are the "
                f"whole cluster's; give {self.vm_name} another vmid in the lab"
            )
        if observed["lock"] == "create":
            return self._half_made(observed)
        if observed["name"] != self.vm_name or not self._is_ours(observed):
            return self._foreign(observed)
        if observed["lock"] and observed["task"]:
            return Diff(waiting=f"VM {self.vmid} is locked: {observed['task']} is at work on it")
        if observed["lock"]:
            return Diff(
                conflict=f"VM {self.vmid} is locked ({observed['lock']}), and nothing is at work "
                f"on it: look at its tasks in Proxmox, then `qm unlock {self.vmid}`"
            )
        return self._as_wanted(observed)

    def _making(self, undo: str = "") -> Change:
        source = "from its image" if self.image else "with its installer in the drive"
        if self.image and self.keys_file:
            source = "from the cloud image"
        summary = f"make {self.vm_name} {source}"
        return Change(summary, self._create, undo=undo, detached=True)

    def _is_ours(self, observed: dict[str, Any]) -> bool:
        return mark.tag(self.lab) in opts.tags(str(observed["config"].get("tags", "")))

    def _half_made(self, observed: dict[str, Any]) -> Diff:
        """Making it was begun, and it is not there yet."""
        if observed["at_work"]:
            return Diff(waiting=f"VM {self.vmid} is being made")
        named = observed["name"] not in ("", self.vm_name)
        if named or observed["task"] or not observed["begun"]:
            what = repr(observed["name"]) if named else "something"
            doing = f"{observed['task']} is at work on it" if observed["task"] else "nobody is"
            return Diff(
                conflict=f"VMID {self.vmid} is locked: {what} is being made or restored there, and "
                f"not by us ({doing}); look at it in Proxmox"
            )
        # One call, so that there is no half-way at which it is neither locked nor gone.
        destroy = change("qm", "destroy", str(self.vmid), "--skiplock", "1", sudo=True)
        remove = Change(
            f"remove what our broken-off attempt left of VM {self.vmid}",
            destroy,
            destroys=(self.name,),
            replaces="a VM whose making was begun under this approval and broken off",
        )
        return Diff((remove, self._making()))

    def _foreign(self, observed: dict[str, Any]) -> Diff:
        """What does not carry this lab's mark is left alone, unless it is all that we want."""
        if observed["name"] == self.vm_name and not observed["lock"]:
            small = list(self._too_small(observed))
            if not (self._wrong(observed) or small or observed["status"] != "running"):
                return Diff()
        tag = mark.tag(self.lab)
        return Diff(
            conflict=f"VMID {self.vmid} is taken by {observed['name']!r}, which we did not make "
            f"for lab {self.lab}; give {self.vm_name} another vmid in the lab, or remove that VM "
            f"by hand. If it is to be ours, give it the tag {tag} in Proxmox"
        )

    def _wrong(self, observed: dict[str, Any]) -> list[str]:
        """What of its configuration is not as wanted."""
        config: Mapping[str, Any] = observed["config"]
        wanted: dict[str, str | None] = dict.fromkeys(_FIRMWARE)
        wrong = [
            f"{key} is {config.get(key)!r}, and should be {value or 'as Proxmox has it'!r}"
            for key, value in (wanted | dict(self.options)).items()
            if opts.differs(key, config.get(key), value)
        ]
        wrong += [f"{drive} is missing" for drive, _, _ in self.drives if drive not in config]
        keys = opts.login_keys(str(config.get("sshkeys", "")))
        return wrong + ["its login keys are others"] * (keys != self.public_keys.split())

    def _too_small(self, observed: dict[str, Any]) -> Iterator[tuple[str, int]]:
        """Disks that are smaller than wanted, and the size they should have [bytes]."""
        for drive, _, wanted in (("scsi0", self.storage, self.disk_bytes), *self.drives):
            if opts.disk_bytes(str(observed["config"].get(drive, ""))) < wanted:
                yield drive, wanted

    def _as_wanted(self, observed: dict[str, Any]) -> Diff:
        if wrong := self._wrong(observed):
            return Diff(
                conflict=f"VM {self.vmid} is there, and differs: {'; '.join(wrong)}. Change it in "
                "Proxmox or in the lab: an edit here would give cloud-init another instance, with "
                "new host keys"
            )
        changes = [self._growing(drive, wanted) for drive, wanted in self._too_small(observed)]
        if observed["status"] != "running":
            changes.append(self._starting(observed["blank"]))
        return Diff(tuple(changes))

    @property
    def _start(self) -> Command:
        return change("qm", "start", str(self.vmid), sudo=True, timeout_s=300)

    def _starting(self, blank: bool) -> Change:
        unseen = "it was off, and what is on its disks was not looked at yet"
        return Change(
            f"start {self.vm_name}",
            self._start,
            undo=f"qm shutdown {self.vmid}",
            detached=True,
            starts=self.vm_name,
            unseen="" if blank else unseen,
        )

    def _growing(self, drive: str, wanted_bytes: int) -> Change:
        """Through `pvesh`, for `qm disk resize` ends with 0 and names no task when that failed."""
        wanted_gib = _gib(wanted_bytes)
        path = f"/nodes/{self.node}/qemu/{self.vmid}/resize"
        call = changing("set", path, "--disk", drive, "--size", f"{wanted_gib}G")
        which = "disk" if drive == "scsi0" else f"disk {drive}"
        summary = f"grow {self.vm_name}'s {which} to {wanted_gib} GiB"
        return Change(summary, call, follow=follow_task(self.node))


def _gib(size_bytes: int) -> int:
    """Whole GiB that it fits into."""
    return -(-size_bytes // 2**30)


def _disk_options(drive: str) -> str:
    threaded = re.match("scsi|virtio", drive)
    return ",discard=on,iothread=1" if threaded else ",discard=on"


def _told(row: Mapping[str, Any]) -> str:
    name = f" {row['name']!r}" if row.get("name") else ""
    return f"{_KINDS.get(row.get('type', ''), 'guest')}{name} on {_node(row)}"


def _node(row: Mapping[str, Any]) -> str:
    return f"node {row['node']}" if "node" in row else "another node"
