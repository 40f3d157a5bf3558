"""A file from the internet."""

from dataclasses import dataclass, field
from typing import Any

from homelab_lib.control.linux.fetching import PATIENCE_S, can_fetch, nothing_fetches
from homelab_lib.control.linux.looking import FILE, ROOT, places
from homelab_lib.control.linux.placing import (
    BEGIN,
    END,
    STILL_NOTHING,
    STILL_THE_SAME,
    claim,
    claimed,
    folder_mode,
    foreign,
    placing,
)
from homelab_lib.runbook.resource import NOT_UNDONE, Change, Diff, Host

_UNKNOWN_SIZE_BYTES = 2 * 2**30

# $7 URL, $8 digest, $9 bytes, ${10} the same in blocks of 512, ${11} seconds. What a server sends
# beyond its bytes is cut off by the kernel where the program does not count: `ulimit -f`.
_FETCH = (
    'ulimit -f "${10}"; rm -f -- "$n"; p=curl; command -v curl > /dev/null || p=wget; '
    '[ "$p" = wget ] || timeout "${11}" curl -fsSL --retry 3 --connect-timeout 30 '
    '--max-filesize "$9" -o "$n" "$7"; '
    '[ "$p" = curl ] || timeout "${11}" wget -q -t 3 -T 30 -O "$n" "$7"; '
    'echo "$8  $n" | sha256sum -c -; chown "$3:$4" "$n"; chmod "$2" "$n"; sync "$n"; '
)


@dataclass(frozen=True)
class Download:
    """A file from the internet, with the digest that it must have.

    Parameters
    ----------
    host, path, url
        Where it goes, and where it is from.
    sha256
        Its digest; nothing else is put in place.
    mode
        Permissions in octal.
    what
        What it is, for the plan; default: its path.
    timeout_s
        How long fetching may take [s].
    size_bytes
        Its size [bytes]; None: unknown, and bounded all the same.
    lab
        The lab whose it is.
    """

    host: str
    path: str
    url: str
    sha256: str
    mode: str = "644"
    what: str = ""
    timeout_s: float = 900.0
    size_bytes: int | None = None
    lab: str = field(kw_only=True)

    @property
    def name(self) -> str:
        return f"download {self.path}"

    def observe(self, host: Host) -> dict[str, Any]:
        """What is there, whether it is ours, and whether the host has a program that fetches."""
        place = places(host, [self.path])[0]
        facts: dict[str, Any] = {"kind": "nothing"} if place.there is None else dict(place.there)
        facts |= {"hand": place.hand, "obstacle": place.obstacle}
        if facts["kind"] == FILE and not self._as_wanted(facts):
            facts["ours"] = bool(claimed(host, [self._claim]))
        if not self._as_wanted(facts):
            facts["fetcher"] = can_fetch(host)
        return facts

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["obstacle"]:
            return Diff(conflict=observed["obstacle"])
        if observed["kind"] not in ("nothing", FILE):
            kind = observed["kind"]
            return Diff(conflict=f"{self.path} is a {kind}, and should be a file; move it away")
        if self._as_wanted(observed):
            return Diff()
        if observed["kind"] == FILE and not observed["ours"]:
            return Diff(conflict=foreign(self.path, observed, self.lab))
        if observed["hand"] != ROOT:
            hand = observed["hand"]
            return Diff(
                conflict=f"{self.path} lies in a folder of {hand}, who could lead it anywhere; "
                "give the folder to root"
            )
        if not observed["fetcher"]:
            return Diff(conflict=nothing_fetches(self.host, self.path))
        return Diff((self._change(observed),))

    def _as_wanted(self, facts: dict[str, Any]) -> bool:
        return facts["kind"] == FILE and (facts["sha256"], int(facts["mode"], 8)) == (
            self.sha256,
            int(self.mode, 8),
        )

    def _change(self, observed: dict[str, Any]) -> Change:
        before = observed.get("sha256", "")
        most = self.size_bytes or _UNKNOWN_SIZE_BYTES
        command = placing(
            BEGIN + _FETCH + (STILL_THE_SAME if before else STILL_NOTHING) + END,
            *(self.path, self.mode, ROOT, ROOT, folder_mode(self.mode), before),
            *(self.url, self.sha256, str(most), str(most // 512 + 1)),
            f"{self.timeout_s:.0f}",
            hand=ROOT,
            ours=self._claim,
            new=not before,
            timeout_s=self.timeout_s + PATIENCE_S,
        )
        replaces = f"{observed['mode']} {observed['owner']} {before[:16]}" if before else ""
        summary = f"download {self.what or self.path}, and check it"
        undo = f"{NOT_UNDONE}: the file of before is not kept" if before else f"rm {self.path}"
        return Change(summary, command, replaces=replaces, undo=undo)

    @property
    def _claim(self) -> str:
        return claim(self.lab, self.path)
