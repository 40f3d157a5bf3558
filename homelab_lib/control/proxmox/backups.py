"""Backups of guests by Proxmox itself: the job that makes them, and how old the newest are.

Sources: `PVE::API2::Backup`, `PVE::VZDump` (pve-manager 9.2); `PVE::Storage::PBSPlugin`
(pve-storage 9.1) for what a Proxmox Backup Server tells of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import SCALAR, Shape, whole
from homelab_lib.control import mark
from homelab_lib.control.clock import clock_s, is_new, newest_of
from homelab_lib.control.proxmox.api import CONFIG, STATUS, api, changing, follow_task
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.units import format_age

_JOBS: Shape = [{"id": str}]
_TASKS: Shape = [{"type": str}]
_BACKUPS: Shape = [
    {
        "volid": str,
        "vmid?": whole,
        "ctime?": whole,
        "size?": whole,
        "verification?": {"state": str},
        "encrypted?": SCALAR,
    }
]
_UNFINISHED_BYTES = 1
"""What is told for the size of a backup without a manifest: its server knows none, and the plugin
says so (list_volumes). Of a file there is nothing in it."""
_KEPT_BY_SERVER = "keep-all=1"


@dataclass(frozen=True)
class Backup:
    """A backup of a guest.

    Parameters
    ----------
    volid
        What Proxmox calls it.
    made_s
        When it was begun [s since 1970].
    verified
        What its server's last look through it came to: ``ok``, ``failed``; empty: none yet.
    encrypted
        Whether it takes a key to read it.
    """

    volid: str
    made_s: float
    verified: str
    encrypted: bool


def newest_backups(host: Host, node: str, storage: str, now_s: float) -> dict[int, Backup]:
    """The newest backup of each guest on a storage, by the guest's number.

    Parameters
    ----------
    host, node, storage
        The machine, its node name, and the storage.
    now_s
        What time it is there [s since 1970].
    """
    path = f"/nodes/{node}/storage/{storage}/content"
    found: dict[int, list[Backup]] = {}
    for row in api(host, path, "--content", "backup", shape=_BACKUPS):
        if "vmid" not in row or "ctime" not in row:
            continue  # a file that somebody put there, and that is called otherwise
        if row.get("size", _UNFINISHED_BYTES + 1) <= _UNFINISHED_BYTES:
            continue  # it is being made, or was broken off
        verified = row.get("verification", {}).get("state", "")
        encrypted = bool(row.get("encrypted"))
        each = Backup(row["volid"], float(row["ctime"]), verified, encrypted)
        found.setdefault(row["vmid"], []).append(each)
    newest = {vmid: newest_of(all_, lambda b: b.made_s, now_s) for vmid, all_ in found.items()}
    return {vmid: each for vmid, each in newest.items() if each is not None}


@dataclass(frozen=True)
class BackupJob:
    """A job of Proxmox that backs up guests again and again.

    Parameters
    ----------
    host, job
        The machine, and the job's id.
    vmids
        Whom.
    storage
        Where to.
    schedule
        When, as a calendar event.
    keep
        How many of which are kept, such as ``daily: 7``; empty: whoever keeps the storage sees to
        that.
    by_server
        Whether the storage is a backup server's, which packs what it gets by itself.
    lab
        The lab whose job it is.
    """

    host: str
    job: str
    vmids: tuple[int, ...]
    storage: str
    schedule: str
    keep: tuple[tuple[str, int], ...]
    by_server: bool
    lab: str
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"backup job {self.job}"

    @property
    def _wanted(self) -> dict[str, str]:
        keep = ",".join(f"keep-{name}={count}" for name, count in sorted(self.keep))
        found = {
            "enabled": "1",
            "schedule": self.schedule,
            "storage": self.storage,
            "vmid": ",".join(map(str, sorted(self.vmids))),
            "mode": "snapshot",
            "prune-backups": keep or _KEPT_BY_SERVER,
            "repeat-missed": "1",  # a node that was off at the time does it once it is on
        }
        return found if self.by_server else found | {"compress": "zstd"}

    def observe(self, host: Host) -> dict[str, str] | None:
        rows = api(host, "/cluster/backup", shape=_JOBS)
        row = next((row for row in rows if row["id"] == self.job), None)
        if row is None:
            return None
        kept = {key: row[key] for key in (*self._wanted, "comment") if key in row}
        found = {key: _text(value) for key, value in kept.items()}
        line = "pvesh get /cluster/backup"
        answers.expected(found, {str: SCALAR}, host=host.name, line=line)
        if "vmid" in found:
            found["vmid"] = ",".join(sorted(found["vmid"].replace(";", ",").split(","), key=_order))
        return {"enabled": "1"} | found

    def diff(self, observed: dict[str, str] | None) -> Diff:
        if observed is None:
            call = self._writing("create", "/cluster/backup", "--id", self.job)
            undo = f"pvesh delete /cluster/backup/{self.job}"
            ids = ", ".join(map(str, sorted(self.vmids)))
            summary = f"back up guests {ids} to {self.storage} at {self.schedule}"
            return Diff((Change(summary, call, undo=undo),))
        other = {k: observed.get(k, "") for k, v in self._wanted.items() if observed.get(k) != v}
        if not other:
            return Diff()
        if not mark.marks(observed.get("comment"), self.lab):
            return Diff(
                conflict=f"there is a backup job {self.job} already, which we did not make for lab "
                f"{self.lab}: remove it in Proxmox (Datacenter, Backup); if it is to be ours, "
                f"write {mark.text(self.lab)!r} into its comment"
            )
        replaces = "; ".join(f"{key} {value or 'none'}" for key, value in sorted(other.items()))
        call = self._writing("set", f"/cluster/backup/{self.job}")
        summary = f"have {self.name} as described: {', '.join(sorted(other))}"
        undo = f"give {self.job} the values of before in Proxmox (Datacenter, Backup)"
        return Diff((Change(summary, call, replaces=replaces, undo=undo),))

    def _writing(self, verb: str, path: str, *more: str) -> Any:
        words = [word for key, value in self._wanted.items() for word in (f"--{key}", value)]
        notes = ("--notes-template", "{{guestname}}")
        return changing(verb, path, *more, *words, *notes, "--comment", mark.text(self.lab))


def _text(value: object) -> str:
    """A value as it was given: what was a property string comes back as an object."""
    if isinstance(value, dict):
        return ",".join(f"{key}={count}" for key, count in sorted(value.items()))
    return str(int(value)) if isinstance(value, bool) else str(value)


def _order(number: str) -> tuple[int, str]:
    return (int(number), "") if number.isdecimal() else (0, number)


@dataclass(frozen=True)
class GuestsBackedUp:
    """Guests of which a backup is there that is not older than was promised.

    Parameters
    ----------
    host, node, storage
        The machine, its node name, and where the backups are.
    guests
        Number and name of each.
    within_s
        How old the newest may be [s].
    by_server
        Whether the storage is a backup server's.
    timeout_s
        How long making them may take [s].
    """

    host: str
    node: str
    storage: str
    guests: tuple[tuple[int, str], ...]
    within_s: float
    by_server: bool
    timeout_s: float = 86_400.0

    @property
    def name(self) -> str:
        return f"backups on {self.storage} of {', '.join(name for _, name in self.guests)}"

    def observe(self, host: Host) -> dict[str, Any]:
        """Of whom one is missing or old, who of them can't be backed up as it stands, and whether
        somebody is at work on that."""
        now_s = clock_s(host)
        there = newest_backups(host, self.node, self.storage, now_s)
        ages = {vmid: now_s - there[vmid].made_s for vmid, _ in self.guests if vmid in there}
        due = [vmid for vmid, _ in self.guests if not is_new(ages.get(vmid), self.within_s)]
        tasks = api(host, f"/nodes/{self.node}/tasks", "--source", "active", shape=_TASKS)
        at_work = any(t["type"] == "vzdump" and "endtime" not in t for t in tasks)
        seized = [vmid for vmid in due if self._would_seize_a_card(host, vmid)]
        told = {str(vmid): age_s for vmid, age_s in ages.items()}
        return {"due": due, "ages_s": told, "at_work": at_work, "seized": seized}

    def _would_seize_a_card(self, host: Host, vmid: int) -> bool:
        """Whether it is off and has a card: to back it up Proxmox starts it half-way, and the card
        is taken from whoever has it."""
        path = f"/nodes/{self.node}/qemu/{vmid}"
        rows = api(host, f"/nodes/{self.node}/qemu", shape=[{"vmid": whole}])
        if vmid not in [row["vmid"] for row in rows]:
            return False  # a container, or a guest of another node
        config = api(host, f"{path}/config", shape=CONFIG)
        if not any(key.startswith("hostpci") for key in config):
            return False
        return bool(api(host, f"{path}/status/current", shape=STATUS)["status"] != "running")

    def diff(self, observed: dict[str, Any]) -> Diff:
        if not observed["due"]:
            return Diff()
        if observed["at_work"]:
            return Diff(waiting="a backup is being made")
        called = dict(self.guests)
        if observed["seized"]:
            which = ", ".join(f"{called[vmid]} ({vmid})" for vmid in observed["seized"])
            return Diff(
                conflict=f"{which} is off and has a card passed through: to back it up Proxmox "
                "would start it half-way and take the card; start it, or take it out of guests"
            )
        ids = ",".join(map(str, observed["due"]))
        packed = () if self.by_server else ("--compress", "zstd")
        call = changing(
            "create", f"/nodes/{self.node}/vzdump",
            *("--vmid", ids, "--storage", self.storage, "--mode", "snapshot"),
            *("--notes-template", "{{guestname}}", *packed),
            timeout_s=self.timeout_s,
        )  # fmt: skip
        names = _told(observed["due"], called, observed["ages_s"])
        summary = f"back up {names} to {self.storage}; they run on meanwhile"
        undo = f"pvesm free VOLUME; its name is known after apply, by pvesm list {self.storage}"
        follow = follow_task(self.node)
        return Diff((Change(summary, call, detached=True, follow=follow, undo=undo),))


def _told(due: Sequence[int], called: dict[int, str], ages_s: dict[str, float]) -> str:
    """Whom, and why."""
    return ", ".join(
        f"{called[vmid]} ("
        + (format_age(ages_s[str(vmid)]) if str(vmid) in ages_s else "none yet")
        + ")"
        for vmid in due
    )
