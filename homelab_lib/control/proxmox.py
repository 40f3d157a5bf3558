"""Proxmox VE through `pvesh` and `qm`.

Two habits of theirs are dealt with here. `pvesh` ends with status 0 when its task has failed, so
a task is judged by its own status. And a worker dies with the terminal that started it, so what
takes long runs detached.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from homelab_lib.control.linux import look_at_file
from homelab_lib.runbook.detached import unit_name
from homelab_lib.runbook.resource import Change, Diff, Host, Progress
from homelab_lib.transport.command import Command, Result, change

TAG = "homelab"
"""By this tag we know our VMs from those that somebody made by hand."""

_SCSI = re.compile(r"size=(\d+)([KMGT])")
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def api(host: Host, path: str, *options: str) -> Any:
    """What the node's API says at `path`."""
    return host.json("pvesh", "get", path, *options, "--output-format", "json", sudo=True)


def _option(text: str) -> dict[str, str]:
    """``virtio=MAC,bridge=vmbr0`` as a mapping; what has no key stands under its own name."""
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {key: value if equals else "" for key, equals, value in pairs}


def _task_of(result: Result) -> str:
    """The UPID that a call prints last."""
    lines = [line for line in result.stdout.splitlines() if line.strip()]
    try:
        upid = json.loads(lines[-1]) if lines else ""
    except ValueError:
        upid = ""
    return upid if isinstance(upid, str) and upid.startswith("UPID:") else ""


def follow_task(node: str) -> Any:
    """Judges a call by the task it started, not by its exit status."""

    def follow(host: Host, result: Result) -> Progress:
        upid = _task_of(result)
        if not upid:
            return Progress(True, error=f"no task came of it: {result.stdout.strip()[-300:]}")
        status = api(host, f"/nodes/{node}/tasks/{upid}/status")
        if status["status"] == "running":
            return Progress(False, note=f"task {status['type']} runs")
        end = status.get("exitstatus", "unknown")
        good = end == "OK" or end.startswith("WARNINGS")
        return Progress(True, error="" if good else f"{status['type']}: {end}")

    return follow


@dataclass(frozen=True)
class StorageContent:
    """A storage that may hold what we put on it. Nothing that it may hold already is taken away."""

    host: str
    storage: str
    content: tuple[str, ...]
    timeout_s: float = 30.0

    @property
    def name(self) -> str:
        return f"storage {self.storage}"

    def observe(self, host: Host) -> dict[str, Any] | None:
        rows = api(host, "/storage")
        found = next((row for row in rows if row["storage"] == self.storage), None)
        if found is None:
            return None
        return {"type": found["type"], "content": sorted(found.get("content", "").split(","))}

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        if observed is None:
            return Diff(conflict=f"there is no storage {self.storage!r} on {self.host}")
        missing = sorted(set(self.content) - set(observed["content"]))
        if not missing:
            return Diff()
        now = [each for each in observed["content"] if each]
        wanted = ",".join(sorted({*now, *self.content}))
        command = change("pvesm", "set", self.storage, "--content", wanted, sudo=True)
        undo = f"pvesm set {self.storage} --content {','.join(now)}"
        return Diff((Change(f"let {self.storage} hold {', '.join(missing)}", command, undo=undo),))


@dataclass(frozen=True)
class Image:
    """A cloud image on a storage, with the digest that it must have.

    Parameters
    ----------
    host, node, storage, folder
        Where it goes: the machine, its node name, the storage and that storage's folder.
    filename, url, sha256
        Its name there, where it is from, what it must be.
    """

    host: str
    node: str
    storage: str
    folder: str
    filename: str
    url: str
    sha256: str
    timeout_s: float = 3600.0

    @property
    def name(self) -> str:
        return f"image {self.filename}"

    @property
    def path(self) -> str:
        return f"{self.folder}/import/{self.filename}"

    def observe(self, host: Host) -> dict[str, Any] | None:
        return look_at_file(host, self.path)

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        if observed is not None:
            if observed["sha256"] == self.sha256:
                return Diff()
            return Diff(
                conflict=f"{self.path} is there and is not the image we want: its digest is "
                f"{observed['sha256'][:16]}…, not {self.sha256[:16]}…; look at it, then delete it"
            )
        command = change(
            "pvesh",
            "create",
            f"/nodes/{self.node}/storage/{self.storage}/download-url",
            "--content",
            "import",
            "--filename",
            self.filename,
            "--url",
            self.url,
            "--checksum-algorithm",
            "sha256",
            "--checksum",
            self.sha256,
            sudo=True,
            timeout_s=self.timeout_s,
        )
        summary = f"download {self.filename}, and check it"
        undo = f"rm {self.path}"
        return Diff(
            (Change(summary, command, undo=undo, detached=True, follow=follow_task(self.node)),)
        )


@dataclass(frozen=True)
class VirtualMachine:
    """A VM made from a cloud image, that runs.

    Parameters
    ----------
    host, node, vmid, vm_name
        Where it is, and how it is called.
    options
        Options of `qm create` without its disks, in order: ``("cores", "4")`` …
    keys_file, public_keys
        The file on the host with the login keys, and what is in it.
    storage, image
        Where its disk is, and the volume it is made from.
    disk_bytes
        Size of its disk [bytes].
    """

    host: str
    node: str
    vmid: int
    vm_name: str
    options: tuple[tuple[str, str], ...]
    keys_file: str
    public_keys: str
    storage: str
    image: str
    disk_bytes: int
    timeout_s: float = 900.0

    @property
    def name(self) -> str:
        return f"VM {self.vmid} ({self.vm_name})"

    @property
    def _create(self) -> Command:
        words = [word for key, value in self.options for word in (f"--{key}", value)]
        return change(
            "qm",
            "create",
            str(self.vmid),
            "--name",
            self.vm_name,
            *words,
            "--sshkeys",
            self.keys_file,
            "--scsi0",
            f"{self.storage}:0,import-from={self.image},discard=on,iothread=1",
            "--ide2",
            f"{self.storage}:cloudinit",
            "--boot",
            "order=scsi0",
            "--tags",
            TAG,
            "--protection",
            "1",
            sudo=True,
            timeout_s=self.timeout_s,
        )

    def observe(self, host: Host) -> dict[str, Any] | None:
        rows = api(host, "/cluster/resources", "--type", "vm")
        found = next((row for row in rows if row.get("vmid") == self.vmid), None)
        if found is None:
            return None
        path = f"/nodes/{self.node}/qemu/{self.vmid}"
        config = api(host, f"{path}/config", "--current", "1")
        config.pop("cipassword", None)
        return {
            "name": found.get("name", ""),
            "tags": found.get("tags", ""),
            "status": found.get("status", ""),
            "lock": config.get("lock", ""),
            "config": config,
            "ours": host.begun(self.name),
            "at_work": bool(config.get("lock")) and self._at_work(host),
        }

    def _at_work(self, host: Host) -> bool:
        """Whether the unit that makes it still runs."""
        unit = f"{unit_name(self._create)}.service"
        shown = host.read("systemctl", "show", unit, "-p", "SubState").stdout
        return shown.strip().endswith("running")

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        if observed is None:
            undo = f"qm stop {self.vmid}; qm set {self.vmid} --protection 0; qm destroy {self.vmid}"
            summary = f"make {self.vm_name} from the cloud image"
            return Diff((Change(summary, self._create, undo=undo, detached=True),))
        if observed["lock"] == "create":
            return self._half_made(observed)
        if TAG not in observed["tags"].split(";") or observed["name"] != self.vm_name:
            return Diff(
                conflict=f"VMID {self.vmid} is taken by {observed['name']!r}, which we did not "
                f"make; give {self.vm_name} another vmid in the lab, or remove that VM by hand"
            )
        if observed["lock"]:
            return Diff(waiting=f"VM {self.vmid} is locked: {observed['lock']}")
        return self._as_wanted(observed)

    def _half_made(self, observed: dict[str, Any]) -> Diff:
        """Making it was begun, and it is not there yet."""
        if observed["at_work"]:
            return Diff(waiting=f"VM {self.vmid} is being made")
        if not observed["ours"]:
            return Diff(
                conflict=f"VMID {self.vmid} is locked: somebody else's creation is going on, or "
                "was broken off; look at it in Proxmox"
            )
        number = str(self.vmid)
        unlock = change("qm", "unlock", number, sudo=True)
        destroy = change("qm", "destroy", number, sudo=True)
        return Diff(
            (
                Change(f"unlock the half-made VM {number}", unlock),
                Change(f"remove what our attempt left of VM {number}", destroy, (self.name,)),
                Change(f"make {self.vm_name} from the cloud image", self._create, detached=True),
            )
        )

    def _as_wanted(self, observed: dict[str, Any]) -> Diff:
        config = observed["config"]
        wrong = [
            f"{key} is {config.get(key)!r}, and should be {value!r}"
            for key, value in self.options
            if not _same(key, config.get(key), value)
        ]
        if unquote(str(config.get("sshkeys", ""))).split() != self.public_keys.split():
            wrong.append("its login keys are others")
        if wrong:
            return Diff(
                conflict=f"VM {self.vmid} is there, and differs: {'; '.join(wrong)}. Change it in "
                "Proxmox or in the lab: an edit here would give cloud-init another instance, with "
                "new host keys"
            )
        number = str(self.vmid)
        changes = []
        size = _disk_size(config.get("scsi0", ""))
        if size < self.disk_bytes:
            wanted = f"{-(-self.disk_bytes // 2**30)}G"
            command = change("qm", "disk", "resize", number, "scsi0", wanted, sudo=True)
            changes.append(Change(f"grow {self.vm_name}'s disk to {wanted[:-1]} GiB", command))
        if observed["status"] != "running":
            command = change("qm", "start", number, sudo=True, timeout_s=300)
            undo = f"qm shutdown {number}"
            changes.append(Change(f"start {self.vm_name}", command, undo=undo, detached=True))
        return Diff(tuple(changes))


def _same(key: str, found: Any, wanted: str) -> bool:
    """Whether a stored option is what was asked for; Proxmox adds to some and reorders others."""
    if found is None:
        return False
    if key.startswith(("net", "ipconfig", "agent", "cicustom")):
        have = {k.lower(): v.lower() for k, v in _option(str(found)).items()}
        want = {k.lower(): v.lower() for k, v in _option(wanted).items()}
        if key.startswith("net") and "virtio" in want and not want["virtio"]:
            have.pop("virtio", None)
            want.pop("virtio")
        return want.items() <= have.items()
    return str(found).lower() == wanted.lower()


def _disk_size(text: str) -> int:
    found = _SCSI.search(text)
    return int(found[1]) * _UNITS[found[2]] if found else 0


def guest_addresses(host: Host, vmid: int) -> list[str] | None:
    """IPv4 addresses that a VM's guest agent tells; None while it does not answer."""
    words = ("qm", "guest", "cmd", str(vmid), "network-get-interfaces")
    result = host.read(*words, ok=None, sudo=True)
    if result.exit_status:
        return None
    found = json.loads(result.stdout)
    rows = found.get("result", found) if isinstance(found, Mapping) else found
    return [
        address["ip-address"]
        for interface in rows
        for address in interface.get("ip-addresses", ())
        if address["ip-address-type"] == "ipv4"
    ]


def guest_file(host: Host, vmid: int, path: str) -> str:
    """A file in a VM, read through the guest agent: the way that needs no host key yet."""
    words = ("qm", "guest", "exec", str(vmid), "--", "cat", path)
    answer = host.json(*words, sudo=True)
    return str(answer.get("out-data", "")) if answer.get("exitcode") == 0 else ""


@dataclass(frozen=True)
class GuestReady:
    """A VM whose guest agent answers, at the address that the lab gives it."""

    host: str
    vmid: int
    vm_name: str
    address: str
    timeout_s: float = 900.0

    @property
    def name(self) -> str:
        return f"guest of VM {self.vmid} ({self.vm_name})"

    def observe(self, host: Host) -> list[str] | None:
        return guest_addresses(host, self.vmid)

    def diff(self, observed: list[str] | None) -> Diff:
        if observed is None:
            return Diff(waiting=f"{self.vm_name}'s guest agent does not answer yet")
        if self.address not in observed:
            return Diff(
                waiting=f"{self.vm_name} has {observed or 'no address'}, not {self.address}"
            )
        return Diff()
