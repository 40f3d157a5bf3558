"""A program from the internet, in a user's own folders and with that user's rights."""

from dataclasses import dataclass, field
from typing import Any

from homelab_lib.control.linux.accounts import Account
from homelab_lib.control.linux.fetching import PATIENCE_S, can_fetch, nothing_fetches
from homelab_lib.control.linux.looking import FILE, places, read_file
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

_MODE = "755"
_UNKNOWN_SIZE_BYTES = 2**30

# $1 path, $2 receipt, $3 URL, $4 digest, $5 member or nothing, $6 bytes, $7 seconds, $8 the digest
# of what is there now, or nothing, $9 the bytes in blocks of 512. What a server sends beyond them
# is cut off by the kernel where the program does not count. The receipt is written first: what was
# cut off in between is done anew, and what is ours is never taken for somebody else's.
_INSTALL = (
    'set -e; umask 022; n="$1.homelab-new"; a="$1.homelab-archive"; '
    'trap \'rm -f -- "$n" "$a"\' EXIT; mkdir -p "${1%/*}" "${2%/*}"; rm -f -- "$n" "$a"; '
    "p=curl; command -v curl > /dev/null || p=wget; "
    '( ulimit -f "$9"; if [ "$p" = curl ]; '
    'then timeout "$7" curl -fsSL --retry 3 --connect-timeout 30 --max-filesize "$6" -o "$a" "$3"; '
    'else timeout "$7" wget -q -t 3 -T 30 -O "$a" "$3"; fi ); '
    'echo "$4  $a" | sha256sum -c -; '
    'if [ -n "$5" ]; then tar -xOf "$a" -- "$5" > "$n"; else cp -- "$a" "$n"; fi; '
    'chmod 755 "$n"; sync "$n"; '
    'if [ -n "$8" ]; then [ "$(sha256sum < "$1")" = "$8  -" ]; '
    'else [ ! -e "$1" ] && [ ! -L "$1" ]; fi || '
    'sh -c \'echo "$1 changed since we looked; it was left alone"; exit 1\' sh "$1"; '
    'printf \'%s %s\\n\' "$4" "$(sha256sum < "$n")" >> "$2"; sync "$2"; '
    'mv -fT -- "$n" "$1"'
)


@dataclass(frozen=True)
class Tool:
    """A program of a pinned version, in ``~/.local/bin`` of whoever logs in.

    Its release may be an archive, of which a digest is published and not of what is in it. So a
    receipt beside it keeps, for each program that we put there, the digest of the release and of
    the program.

    Parameters
    ----------
    host, tool
        Where, and what it is called.
    account
        Whose it is: the account that we log in with.
    url, sha256
        Where its release is from, and its digest; nothing else is put in place.
    member
        The file of the archive that is the program; empty: the release is the program.
    version
        For the plan.
    size_bytes
        The release's size [bytes]; None: unknown, and bounded all the same.
    timeout_s
        How long fetching may take [s].
    """

    host: str
    tool: str
    account: Account
    url: str
    sha256: str
    member: str = ""
    version: str = ""
    size_bytes: int | None = None
    timeout_s: float = 900.0
    lab: str = field(kw_only=True)

    @property
    def name(self) -> str:
        return f"tool {self.path}"

    @property
    def path(self) -> str:
        """Where it goes."""
        return f"{self.account.home}/.local/bin/{self.tool}"

    @property
    def _receipt(self) -> str:
        return f"{self.account.home}/.local/share/{self.lab}/{self.tool}.receipt"

    def observe(self, host: Host) -> dict[str, Any]:
        """What is there, what our receipt says of it, and whether something fetches."""
        program, receipt = places(host, [self.path, self._receipt])
        facts: dict[str, Any] = {"kind": "nothing"} if program.there is None else program.there
        facts = dict(facts) | {"obstacle": program.obstacle or receipt.obstacle}
        facts["receipt"] = self._ours(host) if receipt.there else {}
        if not self._as_wanted(facts):
            facts["fetcher"] = can_fetch(host)
        return facts

    def _ours(self, host: Host) -> dict[str, str]:
        """The releases that we put there, by the digest of the program."""
        lines = read_file(host, self._receipt, user=self.account.user).splitlines()
        rows = [line.split() for line in lines]
        return {row[1]: row[0] for row in rows if len(row) > 1}

    def _as_wanted(self, facts: dict[str, Any]) -> bool:
        if facts["kind"] != FILE or int(facts["mode"], 8) != int(_MODE, 8):
            return False
        return bool(facts["receipt"].get(facts["sha256"]) == self.sha256)

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["obstacle"]:
            return Diff(conflict=observed["obstacle"])
        if observed["kind"] not in ("nothing", FILE):
            kind = observed["kind"]
            return Diff(conflict=f"{self.path} is a {kind}, and should be a file; move it away")
        if self._as_wanted(observed):
            return Diff()
        before = observed.get("sha256", "")
        if before and before not in observed["receipt"]:
            return Diff(
                conflict=f"{self.path} is there and was not put there by lab {self.lab}; move it "
                "away, or take the tool out of the host's tools"
            )
        if not observed["fetcher"]:
            return Diff(conflict=nothing_fetches(self.host, self.path))
        return Diff((self._change(before),))

    def _change(self, before: str) -> Change:
        most = self.size_bytes or _UNKNOWN_SIZE_BYTES
        words = (self.path, self._receipt, self.url, self.sha256, self.member, str(most))
        words = (*words, f"{self.timeout_s:.0f}", before, str(most // 512 + 1))
        command = change("sh", "-c", _INSTALL, "sh", *words, timeout_s=self.timeout_s + PATIENCE_S)
        summary = f"install {self.tool} {self.version}".rstrip() + f" as {self.path}, checked"
        return Change(
            summary,
            command,
            replaces=before[:16],
            undo="name the version of before in the lab" if before else f"rm {self.path}",
        )
