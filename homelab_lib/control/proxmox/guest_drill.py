"""A drill of a whole VM: its newest backup is restored beside it, looked at, and removed.

What is restored has a number of its own, new network addresses with their links down, none of the
cards, does not start with its node, and is not protected from being removed, as ours are. Its
system disk is looked at from the node, by a loop device and a mount that only read; files are
picked by a seed, and their checksums compared with those that the guest agent of the running VM
tells. All of it is one command, which takes away what it made however it ends: a restore that fails
leaves a torso behind.

What it is restored from, `drill_sources` says.

Sources: see `drill_script`; `PVE::API2::Storage::Status` (pve-manager 9.2) for what is free.
"""

import re
from dataclasses import dataclass
from typing import Any

from homelab_lib.answers import Shape, whole
from homelab_lib.control import mark
from homelab_lib.control.linux.drills import FOLDER, is_held, last_held
from homelab_lib.control.proxmox import drill_script as script
from homelab_lib.control.proxmox import options as opts
from homelab_lib.control.proxmox.api import CONFIG, GUESTS, api
from homelab_lib.control.proxmox.drill_sources import Entered, Source
from homelab_lib.control.proxmox.guest import guest_addresses
from homelab_lib.runbook.resource import NOT_UNDONE, NOTHING_TO_UNDO, Change, Diff, Host, Progress
from homelab_lib.secret import Secret
from homelab_lib.transport.command import Result, change

_STORES: Shape = [{"storage": str, "avail?": whole}]
_VOLUMES: Shape = [{"volid": str}]
_UPTIME: Shape = {"status": str, "uptime?": whole}

_START = 'qm start "$1" 2> "$2" || true'
_UP_S = 600  # how long a restored VM is given until its guest agent answers
_DISK = re.compile(r"(?:scsi|virtio|sata|ide|efidisk|tpmstate)\d+")
_NOT_IN_IT = re.compile(r"(?:^|,)(?:media=cdrom|backup=(?:0|no|off|false))(?:,|$)")
_KEEP_PAPER = 'umask 077; cat > "$1"'


@dataclass(frozen=True)
class GuestDrill:
    """A VM that was restored beside itself and found whole, not longer ago than was promised.

    Parameters
    ----------
    host, node
        The machine, and its node name.
    drill
        The drill's name.
    source
        What it is restored from.
    vmid, vm_name
        Whose backup.
    as_vmid, storage
        The number under which it is restored, and onto what.
    files, seed
        How many files are compared, and by which number they are picked.
    within_s
        How long ago the last one may be [s].
    start
        Whether it is started, too.
    lab
        The lab whose drill it is.
    """

    host: str
    node: str
    drill: str
    source: Source
    vmid: int
    vm_name: str
    as_vmid: int
    storage: str
    files: int
    seed: int
    within_s: float
    start: bool
    lab: str
    timeout_s: float = 14_400.0

    @property
    def name(self) -> str:
        return f"drill {self.drill}"

    @property
    def restored(self) -> str:
        """What the restored one is called in plans."""
        return f"VM {self.as_vmid} (drill of {self.vm_name})"

    @property
    def _called(self) -> str:
        return f"drill-{self.drill}"

    def observe(self, host: Host) -> dict[str, Any]:
        """What came of the last one and how long ago it was, what has the number, and, where one is
        due, what it takes and what is free."""
        last = last_held(host, self.drill)
        options = ("--content", "images", "--enabled", "1")
        stores = api(host, f"/nodes/{self.node}/storage", *options, shape=_STORES)
        guests = api(host, "/cluster/resources", "--type", "vm", shape=GUESTS)
        found = last | self._has_the_number(host, guests, stores)
        if isinstance(self.source, Entered):
            found["entered"] = self.source.left(host)
        if self._is_held(last):
            return found
        free = next((row.get("avail", 0) for row in stores if row["storage"] == self.storage), 0)
        return found | {"takes_bytes": self._takes(host, guests), "free_bytes": free}

    def _is_held(self, observed: dict[str, Any]) -> bool:
        by_paper = self.source.paper is not None
        held = is_held(observed, self.within_s, by_paper=by_paper)
        return held and observed["copy"].startswith(self.source.begins)

    def _takes(self, host: Host, guests: list[dict[str, Any]]) -> int:
        """What the VM's own disks are, those that are backed up [bytes]."""
        here = [row["vmid"] for row in guests if row.get("node") == self.node and "vmid" in row]
        if self.vmid not in here:
            return 0
        config = api(host, f"/nodes/{self.node}/qemu/{self.vmid}/config", shape=CONFIG)
        disks = [str(value) for key, value in config.items() if _DISK.fullmatch(key)]
        return sum(opts.disk_bytes(disk) for disk in disks if not _NOT_IN_IT.search(disk))

    def _has_the_number(
        self, host: Host, guests: list[dict[str, Any]], stores: list[dict[str, Any]]
    ) -> dict[str, Any]:
        row = next((row for row in guests if row.get("vmid") == self.as_vmid), None)
        volumes = self._volumes(host, stores)
        if row is None:
            return {"taken": "", "left": False, "volumes": volumes}
        if row.get("type", "qemu") != "qemu" or row.get("node") != self.node:
            return {"taken": "a guest elsewhere", "left": False, "volumes": volumes}
        config = api(host, f"/nodes/{self.node}/qemu/{self.as_vmid}/config", shape=CONFIG)
        called = str(config.get("name", ""))
        marked = mark.tag(self.lab) in opts.tags(str(config.get("tags", "")))
        left = (called == self._called and marked) or (not called and host.begun(self.name))
        return {"taken": called or "a VM without a name", "left": left, "volumes": volumes}

    def _volumes(self, host: Host, stores: list[dict[str, Any]]) -> list[str]:
        """What lies on the node's storages under the number."""
        found = []
        for store in stores:
            if not store.get("active"):
                continue
            path = f"/nodes/{self.node}/storage/{store['storage']}/content"
            rows = api(host, path, "--vmid", str(self.as_vmid), shape=_VOLUMES)
            found += [r["volid"] for r in rows if r.get("content", "images") == "images"]
        return sorted(found)

    def diff(self, observed: dict[str, Any]) -> Diff:
        due = not self._is_held(observed)
        cleared: tuple[Change, ...] = ()
        if isinstance(self.source, Entered) and observed["entered"] is not None:
            if other := self.source.other(observed["entered"]):
                return Diff(
                    conflict=f"storage {self.source.storage} is there, with {other}: the drill was "
                    "to enter its server under that name. Look whose it is; `pvesm remove` takes "
                    "it away, and nothing that is on it"
                )
            cleared = (self.source.leaving(self.name),)
        if observed["left"]:
            call = self._sent(script.CLEAR, *observed["volumes"])
            clear = Change(
                f"remove what a drill that was broken off has left of {self.restored}",
                call,
                destroys=(self.restored,),
                replaces=f"{observed['taken']}, with {', '.join(observed['volumes']) or 'no disk'}",
                undo=f"{NOT_UNDONE}: it was a copy, and the backup that it came from stays",
            )
            return Diff((*cleared, clear, *(self._drilling() if due else ())))
        if not due:
            return Diff(cleared)
        if observed["taken"] or observed["volumes"]:
            what = observed["taken"] or ", ".join(observed["volumes"])
            return Diff(
                conflict=f"the drill is to restore {self.vm_name} under the number {self.as_vmid}, "
                f"and that has {what}: give the drill another vmid"
            )
        if observed["takes_bytes"] > observed["free_bytes"]:
            return Diff(
                conflict=f"{self.vm_name} takes {observed['takes_bytes'] / 2**30:.0f} GiB, and "
                f"{self.storage} has {observed['free_bytes'] / 2**30:.0f} GiB free: what fills it "
                "up takes the guests that run on it along. Give the drill another storage, or room"
            )
        return Diff((*cleared, *self._drilling()))

    def _drilling(self) -> tuple[Change, ...]:
        source, gone = self.source, (self.restored,)
        lines, paper, before = source.lines, "", tuple[Change, ...]()
        if source.paper is not None:
            paper, before = self._paper, (self._read_from(source.paper),)
        words = (
            *(str(self.seed), str(self.files), source.place, str(self.vmid), self.storage),
            *(self.node, self._called, mark.tag(self.lab), paper or "", *source.words(paper)),
        )
        what = (
            f"restore {source.told} of {self.vm_name} as VM {self.as_vmid} on {self.storage}, "
            f"with new addresses, links down and no cards; compare {self.files} of its files with "
            f"those of the running {self.vm_name}"
        )
        if not self.start:
            call = self._sent(lines, *words)
            undo = f"{NOTHING_TO_UNDO}: what it restores it takes away again"
            whole = Change(f"{what}; and remove it", call, destroys=gone, detached=True, undo=undo)
            return (*before, whole)
        number = str(self.as_vmid)
        why = f"{FOLDER}/{self.drill}.why"
        on = change("sh", "-c", _START, "sh", number, why, sudo=True, timeout_s=300)
        end = "see whether its guest agent answers, and remove it"
        return (
            *before,
            Change(what, self._sent(lines + script.STAYS, *words, note=".part"), destroys=gone,
                   detached=True, undo=f"{NOTHING_TO_UNDO}: what it restores is removed below"),
            Change(f"start {self.restored}, without a network", on, detached=True,
                   follow=self._answers, undo=f"qm stop {number}"),
            Change(end, self._sent(script.JUDGE), destroys=gone,
                   undo=f"{NOT_UNDONE}: it was a copy, and the backup that it came from stays"),
        )  # fmt: skip

    @property
    def _paper(self) -> str:
        """Where what stands on paper is until it is read, a moment later: in memory."""
        return f"/run/homelab-drill-{self.drill}"

    def _read_from(self, paper: Secret) -> Change:
        """Long work gets nothing by standard input: what stands on paper is laid out for it."""
        words = ("sh", "-c", _KEEP_PAPER, "sh", self._paper)
        return Change(
            f"lay out what stands on paper, in memory of {self.host}: it is read once, and gone",
            change(*words, stdin=paper, sudo=True, timeout_s=60.0),
            undo=f"rm -f {self._paper}",
        )

    def _answers(self, host: Host, result: Result) -> Progress:
        """Done once its agent answers, it is off, or it was given its time; that is judged after,
        by what removes it in any case."""
        path = f"/nodes/{self.node}/qemu/{self.as_vmid}/status/current"
        now = api(host, path, shape=_UPTIME)
        if now["status"] != "running" or now.get("uptime", 0) > _UP_S:
            return Progress(True)
        if guest_addresses(host, self.as_vmid) is not None:
            return Progress(True)
        return Progress(False, note=f"the guest agent of {self.restored} does not answer yet")

    def _sent(self, lines: str, *words: str, note: str = "") -> Any:
        place = f"{FOLDER}/{self.drill}"
        numbered = (f"{place}.d", f"{place}{note}", str(self.as_vmid), *words)
        return change("sh", "-c", lines, "sh", *numbered, sudo=True, timeout_s=self.timeout_s)
