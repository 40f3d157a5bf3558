"""A file from the internet that is too large to be read through at each look.

What came was held against its digest once, and a receipt says which that was; from then on its size
is looked at. That somebody has put another one of the same size in its place is not noticed.
"""

from dataclasses import dataclass, field
from typing import Any

from homelab_lib.control.linux.looking import ENGLISH, all_absent, read_file
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

_PATIENCE_S = 60.0
_BYTES_PER_S = 4e6  # a line as slow as this is still waited for

# $1 path, $2 URL, $3 digest, $4 receipt, $5 bytes, $6 seconds. What is half there goes on where it
# ended; what is whole and wrong is thrown away. The receipt comes first: what was cut off in
# between is never taken for somebody else's.
_FETCH = (
    'set -e; umask 022; mkdir -p "${1%/*}" "${4%/*}"; n="$1.part"; '
    '[ -e "$n" ] && [ "$(stat -c %s "$n")" -ge "$5" ] || '
    'timeout "$6" curl -fsSL --retry 3 --connect-timeout 30 -C - --max-filesize "$5" '
    '-o "$n" "$2"; '
    'echo "$3  $n" | sha256sum -c - || { rm -f -- "$n"; exit 1; }; '
    'printf \'%s %s\\n\' "$3" "$(stat -c %s "$n")" > "$4.new"; sync "$n" "$4.new"; '
    'mv -fT -- "$4.new" "$4"; mv -fT -- "$n" "$1"'
)


@dataclass(frozen=True)
class LargeFile:
    """A large file from the internet, with the digest that it must have.

    Parameters
    ----------
    host, path, url
        Where it goes, in a folder that is root's, and where it is from.
    sha256, size_bytes
        Its digest and its size [bytes]; nothing else is put in place.
    what
        What it is, for the plan.
    lab
        The lab whose it is.
    """

    host: str
    path: str
    url: str
    sha256: str
    size_bytes: int
    what: str
    lab: str = field(kw_only=True)

    @property
    def timeout_s(self) -> float:
        return 600.0 + self.size_bytes / _BYTES_PER_S

    @property
    def name(self) -> str:
        return f"large file {self.path}"

    @property
    def _receipt(self) -> str:
        return f"/var/lib/homelab/{self.lab}/{self.path.rpartition('/')[2]}.receipt"

    def observe(self, host: Host) -> dict[str, Any]:
        """The size of what is there, and what our receipt says of it."""
        words = (*ENGLISH, "stat", "-c", "%s", "--", self.path)
        shown = host.read(*words, ok=(0, 1), sudo=True)
        if shown.exit_status:
            all_absent(host, shown, "stat", [self.path])
        return {
            "there": shown.stdout.strip(),
            "receipt": read_file(host, self._receipt).strip(),
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        there, receipt = observed["there"], observed["receipt"]
        digest = receipt.partition(" ")[0]
        if there and not receipt:
            return Diff(
                conflict=f"{self.path} is there, and lab {self.lab} did not put it there; move it "
                "away if the lab may have its place"
            )
        if there and receipt == f"{self.sha256} {there}":
            return Diff()
        words = (self.path, self.url, self.sha256, self._receipt, str(self.size_bytes))
        limit_s = f"{self.timeout_s:.0f}"
        command = change("sh", "-c", _FETCH, "sh", *words, limit_s, sudo=True,
                         timeout_s=self.timeout_s + _PATIENCE_S)  # fmt: skip
        what = f"download {self.what}, {self.size_bytes / 1e9:.1f} GB, and check it"
        replaces = f"{digest[:16]}, {there} bytes" if there else ""
        undo = f"rm {self.path} {self._receipt}"
        return Diff((Change(what, command, replaces=replaces, undo=undo, detached=True),))
