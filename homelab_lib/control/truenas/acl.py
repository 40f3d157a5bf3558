"""Who may do what in a dataset's folder, and through an SMB share.

Source: TrueNAS middleware 25.04 to 26: `filesystem.getacl`, `filesystem.setacl`,
`sharing.smb.getacl`, `sharing.smb.setacl`. Users and groups go by their numbers, which every
release takes.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib.answers import SCALAR, Shape
from homelab_lib.control import mark
from homelab_lib.control.truenas.dataset import own_comment
from homelab_lib.control.truenas.midclt import call, changing, follow_job
from homelab_lib.runbook.resource import NOT_UNDONE, Change, Diff, Host

Entry = Mapping[str, Any]
"""One entry as TrueNAS has it: ``tag``, ``id``, ``perms``; of NFSv4 ``type`` and ``flags``, of
POSIX ``default``."""

_ACL: Shape = {
    "acltype": str,
    "uid?": int,
    "gid?": int,
    "acl?": [{"tag": str, "id?": int, "perms": {str: object}, "flags?": {str: object}}],
}
_DATASETS: Shape = [{"comments?": {"value?": SCALAR, "source?": str}}]
_SHARE: Shape = {
    "share_acl": [
        {
            "ae_perm": str,
            "ae_type": str,
            "ae_who_sid?": str,
            "ae_who_id?": {"id_type?": str, "id?": int},
        }
    ]
}
EVERYONE_SID = "S-1-1-0"


@dataclass(frozen=True)
class FolderAcl:
    """Owner, group and access control list of a dataset's folder.

    Parameters
    ----------
    host, lab, dataset
        Where, the lab it belongs to, and the dataset.
    acltype
        ``NFS4`` or ``POSIX1E``; as its dataset has it, or nothing can be set.
    entries
        All of the list; None leaves it as it is.
    uid, gid
        Numbers of owner and group; None leaves them as they are.
    recursive, traverse
        Whether what is in it is changed, too, and child datasets with it.
    """

    host: str
    lab: str
    dataset: str
    acltype: str
    entries: tuple[Entry, ...] | None
    uid: int | None = None
    gid: int | None = None
    recursive: bool = False
    traverse: bool = False
    timeout_s: float = 120.0

    @property
    def name(self) -> str:
        return f"permissions of {self.dataset}"

    @property
    def _path(self) -> str:
        return f"/mnt/{self.dataset}"

    def observe(self, host: Host) -> dict[str, Any]:
        asked = ([["id", "=", self.dataset]], {"extra": {"retrieve_children": False}})
        rows = call(host, "pool.dataset.query", *asked, shape=_DATASETS)
        if not rows:
            return {"there": False}
        found = call(host, "filesystem.getacl", self._path, True, shape=_ACL)
        return {
            "there": True,
            "comments": own_comment(rows[0]),
            "acltype": found["acltype"],
            "uid": found.get("uid"),
            "gid": found.get("gid"),
            "entries": settled(found.get("acl", ())),
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        if not observed["there"]:
            return Diff(conflict=f"there is no dataset {self.dataset} on {self.host}")
        differing = self._differing(observed)
        if not differing:
            return Diff()
        if self.entries is not None and observed["acltype"] != self.acltype:
            return Diff(
                conflict=f"dataset {self.dataset} has lists of another kind "
                f"({observed['acltype']}, and not {self.acltype}): that is chosen by its "
                "share_type when it is made; name a preset of its kind"
            )
        before = "; ".join(f"{name} {_told(observed[name])}" for name in differing)
        if not mark.marks(observed["comments"], self.lab):
            return Diff(
                conflict=f"dataset {self.dataset} was there before, and we did not make it: it has "
                f"{before}. If lab {self.lab} may change it, write “{mark.text(self.lab)}” into "
                "its comments; else take its permissions out of the lab"
            )
        document: dict[str, Any] = {
            "path": self._path,
            "dacl": list(self.entries or observed_entries(observed)),
        }
        document |= {name: getattr(self, name) for name in ("uid", "gid") if name in differing}
        below = (f"permissions of all that is in {self._path}",) if self.recursive else ()
        if self.recursive:
            document["options"] = {"recursive": True, "traverse": self.traverse}
        call_ = changing("filesystem.setacl", document)
        summary = f"set {', '.join(differing)} of {self._path}"
        if self.recursive:
            undo = f"{NOT_UNDONE}: what each file below had is kept nowhere"
        else:
            old = {"path": self._path, "dacl": observed_entries(observed)}
            old |= {name: observed[name] for name in ("uid", "gid") if name in differing}
            undo = changing("filesystem.setacl", old).line
        change = Change(
            summary, call_, destroys=below, replaces=before, follow=follow_job, undo=undo
        )
        return Diff((change,))

    def _differing(self, observed: Mapping[str, Any]) -> list[str]:
        found = [
            name
            for name in ("uid", "gid")
            if getattr(self, name) is not None and observed[name] != getattr(self, name)
        ]
        listed = self.entries is not None and observed["entries"] != settled(self.entries)
        return [*found, *(["entries"] if listed else [])]


def observed_entries(observed: Mapping[str, Any]) -> list[Any]:
    """Entries as they were found, to be sent back where only an owner changes."""
    return [json.loads(each) for each in observed["entries"]]


def settled(entries: Iterable[Entry]) -> list[str]:
    """Entries in a form that can be compared: in any order, with what counts of each."""
    return sorted(json.dumps(_essence(each), sort_keys=True) for each in entries)


def _essence(entry: Entry) -> dict[str, Any]:
    named = entry["tag"] in ("USER", "GROUP")
    kept: dict[str, Any] = {}
    kept |= {key: entry[key] for key in ("tag", "type", "default") if key in entry}
    for key in ("perms", "flags"):
        if key in entry:
            kept[key] = {name: value for name, value in entry[key].items() if value}
    if entry["tag"] in ("USER_OBJ", "GROUP_OBJ", "OTHER", "MASK") or "default" in entry:
        given = entry["perms"]
        kept["perms"] = {name: bool(given.get(name)) for name in ("READ", "WRITE", "EXECUTE")}
    return kept | {"id": entry["id"] if named else -1}


def _told(value: Any) -> str:
    if not isinstance(value, list):
        return str(value)
    return ", ".join(_entry_told(json.loads(each)) for each in value) or "none"


def _entry_told(entry: Entry) -> str:
    who = entry["tag"] if entry["id"] == -1 else f"{entry['tag'].lower()} {entry['id']}"
    may = entry["perms"].get("BASIC") or "+".join(n for n, given in entry["perms"].items() if given)
    refused = " refused" if entry.get("type") == "DENY" else ""
    return f"{who}{refused} {may or 'nothing'}"


@dataclass(frozen=True)
class ShareAccess:
    """Who may use an SMB share, whatever the files say.

    Parameters
    ----------
    host, lab, share
        Where, the lab it belongs to, and the share's name.
    entries
        (``USER``, ``GROUP`` or ``EVERYONE``; number; ``FULL``, ``CHANGE`` or ``READ``; whether it
        is allowed).
    """

    host: str
    lab: str
    share: str
    entries: tuple[tuple[str, int, str, bool], ...]
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"access to SMB share {self.share}"

    def observe(self, host: Host) -> dict[str, Any]:
        asked = [["name", "=", self.share]]
        rows = call(host, "sharing.smb.query", asked, shape=[{"comment?": str}])
        found = call(host, "sharing.smb.getacl", {"share_name": self.share}, shape=_SHARE)
        entries = [self._heard(each) for each in found["share_acl"]]
        return {"comment": rows[0].get("comment", "") if rows else "", "entries": sorted(entries)}

    @staticmethod
    def _heard(row: Mapping[str, Any]) -> list[Any]:
        who = row.get("ae_who_id") or {}
        everyone = row.get("ae_who_sid") == EVERYONE_SID
        kind = "EVERYONE" if everyone else who.get("id_type", "?")
        number = -1 if everyone else who.get("id", -1)
        return [kind, number, row["ae_perm"], row["ae_type"] == "ALLOWED"]

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["entries"] == sorted(map(list, self.entries)):
            return Diff()
        before = "; ".join(_access_told(each) for each in observed["entries"])
        if not mark.marks(observed["comment"], self.lab):
            return Diff(
                conflict=f"SMB share {self.share} was there before, and we did not make it: it has "
                f"{before}"
            )
        rows = [_said(*each) for each in self.entries]
        call_ = changing("sharing.smb.setacl", {"share_name": self.share, "share_acl": rows})
        old = [_said(*each) for each in observed["entries"]]
        back = changing("sharing.smb.setacl", {"share_name": self.share, "share_acl": old}).line
        summary = f"set who may use {self.share}"
        return Diff((Change(summary, call_, replaces=before, undo=back),))


def _access_told(entry: Sequence[Any]) -> str:
    kind, number, may, allowed = entry
    who = "everyone" if kind == "EVERYONE" else f"{str(kind).lower()} {number}"
    return f"{who} {may if allowed else may + ' refused'}"


def _said(kind: str, number: int, may: str, allowed: bool) -> dict[str, Any]:
    who: dict[str, Any] = {"ae_who_id": {"id_type": kind, "id": number}}
    if kind == "EVERYONE":
        who = {"ae_who_sid": EVERYONE_SID}
    return who | {"ae_perm": may, "ae_type": "ALLOWED" if allowed else "DENIED"}
