"""A folder that is there, and whom it belongs to."""

from dataclasses import dataclass, field
from shlex import quote
from typing import Any

from homelab_lib.control.linux.looking import ENGLISH, FOLDER, ROOT, places
from homelab_lib.control.linux.placing import LEDGER, claim, claimed, placing
from homelab_lib.control.linux.zfs import is_ours
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change


@dataclass(frozen=True)
class Folder:
    """A folder; one that is there stays as it is, whosever it is.

    Parameters
    ----------
    host, path
        Where.
    mode
        Permissions in octal of one that is made; it is root's.
    """

    host: str
    path: str
    mode: str = "755"
    timeout_s: float = 30.0

    @property
    def name(self) -> str:
        return f"folder {self.path}"

    def observe(self, host: Host) -> dict[str, Any]:
        """What is there, and in whose hands its place is."""
        place = places(host, [self.path])[0]
        kind = place.there["kind"] if place.there is not None else "nothing"
        return {"kind": kind, "hand": place.hand, "obstacle": place.obstacle}

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["kind"] == FOLDER:
            return Diff()
        if observed["kind"] != "nothing" or observed["obstacle"]:
            why = observed["obstacle"] or f"{self.path} is a {observed['kind']}"
            return Diff(conflict=f"{why}, and should be a folder; move it away")
        if observed["hand"] != ROOT:
            return Diff(
                conflict=f"{self.path} is to lie in a folder of {observed['hand']}, who could lead "
                "it anywhere; make it by hand, or give that folder to root"
            )
        words = ("install", "-d", "-m", self.mode, "-o", "root", "-g", "root", "--", self.path)
        call = change(*ENGLISH, *words, sudo=True)
        return Diff((Change(f"make {self.path}", call, undo=f"rmdir {quote(self.path)}"),))


_MAKE = 'set -e; install -d -m "$2" -o "$3" -g "$4" -- "$1"; '
# A change of owner takes the bits away that a mode may bring.
_GIVE = 'set -e; chown -- "$3:$4" "$1"; chmod -- "$2" "$1"; '


@dataclass(frozen=True)
class OwnedFolder:
    """A folder that belongs to somebody; what is in it stays as it is.

    Parameters
    ----------
    host, path
        Where.
    mode, user, group
        Permissions in octal, and whose it is; empty: as it is, and of one that is made 755 and
        root's.
    dataset
        The dataset that is mounted there; empty for a plain folder.
    lab
        The lab whose it is: one that it neither made nor has marked is somebody's.
    """

    host: str
    path: str
    mode: str = ""
    user: str = ""
    group: str = ""
    dataset: str = ""
    timeout_s: float = 30.0
    lab: str = field(kw_only=True)

    @property
    def name(self) -> str:
        return f"owner of {self.path}"

    def observe(self, host: Host) -> dict[str, Any]:
        """What is there, whose it is, and whether we may give it away."""
        place = places(host, [self.path])[0]
        there = place.there or {"kind": "nothing", "mode": "755", "owner": "root:root"}
        ours = self._claim in claimed(host, [self._claim])
        if not ours and self.dataset:
            ours = is_ours(host, self.dataset, self.lab)
        told = {key: there[key] for key in ("kind", "mode", "owner")}
        return told | {"ours": ours, "hand": place.hand, "obstacle": place.obstacle}

    def diff(self, observed: dict[str, Any]) -> Diff:
        kind, hand = observed["kind"], observed["hand"]
        if observed["obstacle"] or kind not in (FOLDER, "nothing"):
            why = observed["obstacle"] or f"{self.path} is a {kind}"
            return Diff(conflict=f"{why}, and should be a folder; move it away")
        if kind == "nothing" and self.dataset:
            return Diff(
                conflict=f"{self.path} of {self.host} is not there, so that {self.dataset} is not "
                f"mounted there: see `zfs get mountpoint,mounted {self.dataset}`, and mount it"
            )
        user, _, group = observed["owner"].partition(":")
        has = (f"{int(observed['mode'], 8):o}", user, group)
        wanted = tuple(new or old for new, old in zip(self._wanted, has, strict=True))
        if kind == FOLDER and has == wanted:
            return Diff()
        told, before = (f"{mode} {user}:{group}" for mode, user, group in (wanted, has))
        if kind == FOLDER and not observed["ours"]:
            mark = f"zfs set homelab:lab={self.lab} {self.dataset}, or " if self.dataset else ""
            return Diff(
                conflict=f"{self.path} of {self.host} was there before, and we did not make it: it "
                f"is {before}, and is to be {told}. If lab {self.lab} may change that: {mark}add "
                f"the line '{self.lab}<TAB>{self.path}' to {LEDGER}"
            )
        if hand != ROOT:
            return Diff(
                conflict=f"{self.path} lies in a folder of {hand}, who could lead it anywhere; "
                "give it away by hand, or give that folder to root"
            )
        script = _GIVE if kind == FOLDER else _MAKE
        call = placing(script, self.path, *wanted, hand=ROOT, ours=self._claim)
        path = quote(self.path)
        if kind == FOLDER:
            undo = f"chown {observed['owner']} {path}; chmod {observed['mode']} {path}"
            return Diff((Change(f"give {self.path} to {told}", call, replaces=before, undo=undo),))
        return Diff((Change(f"make {self.path}, {told}", call, undo=f"rmdir {path}"),))

    @property
    def _wanted(self) -> tuple[str, str, str]:
        return f"{int(self.mode, 8):o}" if self.mode else "", self.user, self.group

    @property
    def _claim(self) -> str:
        return claim(self.lab, self.path)
