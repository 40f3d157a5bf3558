"""Guests that a Proxmox node makes and runs: what holds of VMs and of containers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

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
from homelab_lib.runbook.resource import NOT_UNDONE, Change, Diff, Host
from homelab_lib.transport.command import Command, change

KINDS = {"lxc": "container", "qemu": "VM"}
"""The kinds of guests as the API calls them, and as people do."""


class MadeGuest(ABC):
    """A guest under a number of its own, made in one call and never made over.

    Its number is the whole cluster's; whose it is says a tag; one that differs is a conflict, but
    for disks, which may grow.
    """

    kind: ClassVar[str]
    """As the API calls it: ``qemu`` or ``lxc``."""
    tool: ClassVar[str]
    """Its program on the node: ``qm`` or ``pct``."""
    name_key: ClassVar[str]
    """The option that its name stands in."""
    first_disk: ClassVar[str]
    """The disk that its system is on."""
    not_edited: ClassVar[str]
    """Why one that differs is not changed from here."""

    host: str
    lab: str
    node: str
    vmid: int

    @property
    @abstractmethod
    def guest_name(self) -> str:
        """What it is called."""

    @property
    @abstractmethod
    def _create(self) -> Command:
        """The call that makes it."""

    @property
    @abstractmethod
    def _clear(self) -> Command:
        """The call that destroys one that is locked by its own making, in one go, so that there is
        no half-way at which it is neither locked nor gone."""

    @property
    def _clear_unlocked(self) -> Command:
        """The call that destroys one whose making was broken off when its lock was gone."""
        return self._clear

    def _cut_short(self, host: Host) -> str:
        """How its making ended, where that was not well and no lock says so; empty for well."""
        return ""

    def _cut_by_us(self, observed: dict[str, Any]) -> bool:
        """Whether one that no lock marks as half-made is as our own making leaves it: it is marked
        as this lab's from the first."""
        return self._is_ours(observed)

    @abstractmethod
    def _from(self) -> str:
        """What it is made from, in words."""

    @abstractmethod
    def _wrong(self, observed: dict[str, Any]) -> list[str]:
        """What of its configuration is not as wanted."""

    @abstractmethod
    def _sizes(self) -> Iterator[tuple[str, int]]:
        """Its disks, and the size that each should have [bytes]."""

    @property
    def called(self) -> str:
        """``VM`` or ``container``."""
        return KINDS[self.kind]

    @property
    def _itself(self) -> str:
        return f"{self.called} {self.vmid}"

    @property
    def name(self) -> str:
        return f"{self._itself} ({self.guest_name})"

    # ------------------------------------------------------------------ observe

    def observe(self, host: Host) -> dict[str, Any] | None:
        """What has the number. Only that it is taken, by what kind and on which node, may be
        learnt from the cluster's list: names and states in it are up to ten seconds old."""
        rows = api(host, "/cluster/resources", "--type", "vm", shape=GUESTS)
        row = next((row for row in rows if row.get("vmid") == self.vmid), None)
        if row is None:
            return None
        if row.get("type", self.kind) != self.kind or row.get("node") != self.node:
            return {"elsewhere": _told(row)}
        path = f"/nodes/{self.node}/{self.kind}/{self.vmid}"
        current = ("--current", "1") if self.kind == "qemu" else ()
        config = api(host, f"{path}/config", *current, shape=CONFIG)
        config.pop("cipassword", None)
        lock = str(config.get("lock", ""))
        cut_short = "" if lock else self._cut_short(host)
        return {
            "elsewhere": "",
            "name": str(config.get(self.name_key, "")),
            "status": api(host, f"{path}/status/current", shape=STATUS)["status"],
            "lock": lock,
            "config": config,
            "begun": host.begun(self.name),
            "blank": self._blank(host.sent(self.name)),
            "cut_short": cut_short,
            "at_work": bool(lock or cut_short) and self._at_work(host),
            "task": active_task(host, self.node, self.vmid) if lock or cut_short else "",
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
            return Diff((self._making(),))
        if observed["elsewhere"]:
            return Diff(
                conflict=f"VMID {self.vmid} is taken by {observed['elsewhere']}: numbers are the "
                f"whole cluster's; give {self.guest_name} another vmid in the lab"
            )
        if observed["lock"] == "create" or observed["cut_short"]:
            return self._half_made(observed)
        if observed["name"] != self.guest_name or not self._is_ours(observed):
            return self._foreign(observed)
        if observed["lock"] and observed["task"]:
            return Diff(waiting=f"{self._itself} is locked: {observed['task']} is at work on it")
        if observed["lock"]:
            return Diff(
                conflict=f"{self._itself} is locked ({observed['lock']}), and nothing is at work "
                f"on it: look at its tasks in Proxmox, then `{self.tool} unlock {self.vmid}`"
            )
        return self._as_wanted(observed)

    def _making(self) -> Change:
        steps = (f"stop {self.vmid}", f"set {self.vmid} --protection 0", f"destroy {self.vmid}")
        undo = "; ".join(f"{self.tool} {step}" for step in steps)
        return Change(
            f"make {self.guest_name} {self._from()}", self._create, undo=undo, detached=True
        )

    def _is_ours(self, observed: dict[str, Any]) -> bool:
        return mark.tag(self.lab) in opts.tags(str(observed["config"].get("tags", "")))

    def _half_made(self, observed: dict[str, Any]) -> Diff:
        """Making it was begun, and it is not there yet."""
        if observed["at_work"]:
            return Diff(waiting=f"{self._itself} is being made")
        named = observed["name"] not in ("", self.guest_name)
        theirs = bool(observed["cut_short"]) and not self._cut_by_us(observed)
        if named or observed["task"] or not observed["begun"] or theirs:
            what = repr(observed["name"]) if named else "something"
            doing = f"{observed['task']} is at work on it" if observed["task"] else "nobody is"
            conflict = (
                f"VMID {self.vmid} is locked: {what} is being made or restored there, and not by "
                f"us ({doing}); look at it in Proxmox"
            )
            if not observed["lock"]:
                conflict = (
                    f"VMID {self.vmid} is not whole: {observed['cut_short']}, and that was not "
                    f"under this approval ({doing}). Look at it in Proxmox, and remove it there "
                    "if nobody has used it"
                )
            return Diff(conflict=conflict)
        remove = Change(
            f"remove what our broken-off attempt left of {self._itself}",
            self._clear if observed["lock"] else self._clear_unlocked,
            destroys=(self.name,),
            replaces=f"a {self.called} whose making was begun under this approval and broken off",
            undo=f"{NOT_UNDONE}: it is made anew next",
        )
        return Diff((remove, self._making()))

    def _foreign(self, observed: dict[str, Any]) -> Diff:
        """What does not carry this lab's mark is left alone, unless it is all that we want."""
        if observed["name"] == self.guest_name and not observed["lock"]:
            small = list(self._too_small(observed))
            if not (self._wrong(observed) or small or observed["status"] != "running"):
                return Diff()
        tag = mark.tag(self.lab)
        return Diff(
            conflict=f"VMID {self.vmid} is taken by {observed['name']!r}, which we did not make "
            f"for lab {self.lab}; give {self.guest_name} another vmid in the lab, or remove that "
            f"{self.called} by hand. If it is to be ours, give it the tag {tag} in Proxmox"
        )

    def _too_small(self, observed: dict[str, Any]) -> Iterator[tuple[str, int]]:
        """Disks that are smaller than wanted, and the size they should have [bytes]."""
        for drive, wanted in self._sizes():
            if opts.disk_bytes(str(observed["config"].get(drive, ""))) < wanted:
                yield drive, wanted

    def _as_wanted(self, observed: dict[str, Any]) -> Diff:
        if wrong := self._wrong(observed):
            return Diff(
                conflict=f"{self._itself} is there, and differs: {'; '.join(wrong)}. Change it in "
                f"Proxmox or in the lab: {self.not_edited}"
            )
        changes = [self._growing(drive, wanted) for drive, wanted in self._too_small(observed)]
        if observed["status"] != "running":
            changes.append(self._starting(observed["blank"]))
        return Diff(tuple(changes))

    @property
    def _start(self) -> Command:
        return change(self.tool, "start", str(self.vmid), sudo=True, timeout_s=300)

    def _starting(self, blank: bool) -> Change:
        unseen = "it was off, and what is on its disks was not looked at yet"
        return Change(
            f"start {self.guest_name}",
            self._start,
            undo=f"{self.tool} shutdown {self.vmid}",
            detached=True,
            starts=self.guest_name,
            unseen="" if blank else unseen,
        )

    def _growing(self, drive: str, wanted_bytes: int) -> Change:
        """Through `pvesh`, for `qm disk resize` ends with 0 and names no task when that failed."""
        wanted_gib = gib(wanted_bytes)
        path = f"/nodes/{self.node}/{self.kind}/{self.vmid}/resize"
        call = changing("set", path, "--disk", drive, "--size", f"{wanted_gib}G")
        which = "disk" if drive == self.first_disk else f"disk {drive}"
        summary = f"grow {self.guest_name}'s {which} to {wanted_gib} GiB"
        undo = f"{NOT_UNDONE}: a disk is never made smaller"
        return Change(summary, call, undo=undo, follow=follow_task(self.node))


def gib(size_bytes: int) -> int:
    """Whole GiB that a size fits into."""
    return -(-size_bytes // 2**30)


def _told(row: Mapping[str, Any]) -> str:
    name = f" {row['name']!r}" if row.get("name") else ""
    return f"{KINDS.get(row.get('type', ''), 'guest')}{name} on {_node(row)}"


def _node(row: Mapping[str, Any]) -> str:
    return f"node {row['node']}" if "node" in row else "another node"
