"""An archive that is unpacked below a folder of the system."""

from dataclasses import dataclass, field
from typing import Any

from homelab_lib.control.linux.looking import FILE, places, read_file
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

# $1 archive, $2 its digest, $3 where to, $4 the program by which it is known, $5 receipt. The
# receipt is written first: what was cut off in between is unpacked anew, and is never taken for
# somebody else's.
_UNPACK = (
    'set -e; umask 022; echo "$2  $1" | sha256sum -c -; mkdir -p "$3" "${5%/*}"; '
    'printf \'%s begun\\n\' "$2" > "$5.new"; mv -fT -- "$5.new" "$5"; '
    'tar -C "$3" -xf "$1"; test -x "$4"; sync "$4"; '
    'printf \'%s %s\\n\' "$2" "$(sha256sum < "$4")" > "$5.new"; sync "$5.new"; '
    'mv -fT -- "$5.new" "$5"'
)


@dataclass(frozen=True)
class Unpacked:
    """The files of an archive, all of them, below a folder.

    Parameters
    ----------
    host, archive, sha256
        The machine, the archive that is there, and its digest.
    into
        Where to.
    program
        One of its files: by that it is known whether somebody else has put it there.
    """

    host: str
    archive: str
    sha256: str
    into: str
    program: str
    timeout_s: float = 900.0
    lab: str = field(kw_only=True)

    @property
    def name(self) -> str:
        return f"archive {self.archive} unpacked"

    @property
    def _receipt(self) -> str:
        return f"/var/lib/homelab/{self.lab}/{self.archive.rpartition('/')[2]}.receipt"

    def observe(self, host: Host) -> dict[str, Any]:
        """What is there, and what our receipt says of it."""
        program = places(host, [self.program])[0]
        there = program.there or {}
        words = read_file(host, self._receipt).split()
        return {
            "program": there.get("sha256", "") if there.get("kind") == FILE else "",
            "other": there.get("kind", "") if there.get("kind", FILE) != FILE else "",
            "archive": words[0] if words else "",
            "unpacked": words[1] if len(words) > 1 else "",
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["other"]:
            return Diff(conflict=f"{self.program} is a {observed['other']}; move it away")
        whole = bool(observed["program"]) and observed["program"] == observed["unpacked"]
        if whole and observed["archive"] == self.sha256:
            return Diff()
        if observed["program"] and not observed["archive"]:
            return Diff(
                conflict=f"{self.program} is there, and lab {self.lab} did not put it there; take "
                "it away by hand if the lab may have its place"
            )
        words = (self.archive, self.sha256, self.into, self.program, self._receipt)
        command = change("sh", "-c", _UNPACK, "sh", *words, sudo=True, timeout_s=self.timeout_s)
        return Diff(
            (
                Change(
                    f"unpack {self.archive} into {self.into}",
                    command,
                    replaces=observed["unpacked"][:16],
                    undo=f"remove below {self.into} what tar -tf {self.archive} lists",
                    detached=True,
                ),
            )
        )
