"""A folder that is there."""

from dataclasses import dataclass
from shlex import quote
from typing import Any

from homelab_lib.control.linux.looking import ENGLISH, FOLDER, ROOT, places
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
