"""Samba's shares and the passwords of their users.

Sources: smb.conf(5), pdbedit(8), smbpasswd(8), testparm(1), and Samba 4.17 run: ``include`` goes on
in the section that it stands in, and what follows it belongs to the last section of the file that
it names, so that it stands at the end; two sections of one name are one share; who connects anew
gets what is written then.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib.control.linux.files import File
from homelab_lib.control.linux.looking import ENGLISH, read_file
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.secret import Secret
from homelab_lib.transport.command import change
from homelab_lib.transport.options import Allowed
from homelab_lib.transport.reads import declare

MAIN = "/etc/samba/smb.conf"
OURS = "/etc/samba/homelab.conf"
_INCLUDE = f"include = {OURS}"
_SECTION = re.compile(r"^\s*\[([^\]]+)\]", re.MULTILINE)
_FLAGS = re.compile(r"^Account Flags:\s+\[([A-Z ]+)\]", re.MULTILINE)
_NO_SUCH_USER = "Username not found"

# `-w` of pdbedit would print hashes, and further options of it change what is there.
declare("pdbedit", Allowed("", "-L -v", "-u", also=lambda words: ("-L", "") in words.options))
declare("testparm", Allowed("", "-s", also=lambda words: not words.operands))
declare("smbclient", Allowed("", "-N -g", "-L", also=lambda words: len(words.values("-L")) == 1))


@dataclass(frozen=True)
class SambaUser:
    """A user who has a password for Samba, which is told once and never read back.

    Parameters
    ----------
    host, user
        Where, and who; the machine knows them already.
    password
        The password.
    """

    host: str
    user: str
    password: Secret
    timeout_s: float = 30.0

    @property
    def name(self) -> str:
        return f"Samba's user {self.user}"

    def observe(self, host: Host) -> dict[str, str | None]:
        """What flags its account has, as Samba writes them; None where it has none.

        Raises
        ------
        StepFailed
            The host can't tell.
        """
        words = ("pdbedit", "-L", "-v", "-u", self.user)
        said = host.read(*ENGLISH, *words, ok=None, sudo=True)
        if said.exit_status and _NO_SUCH_USER in said.stdout + said.stderr:
            return {"flags": None}
        found = _FLAGS.search(said.stdout)
        if said.exit_status or found is None:
            raise StepFailed(
                f"{host.name} can't tell whether Samba knows {self.user}: "
                f"{host.cut((said.stderr or said.stdout).strip(), 300, end=True) or 'no answer'}",
                where=host.name,
                fix=f"try `{' '.join(words)}` there by hand",
            )
        return {"flags": found[1].replace(" ", "")}

    def diff(self, observed: dict[str, Any]) -> Diff:
        flags = observed["flags"]
        if flags is None:
            twice = Secret(self.password.name, lambda: f"{self.password.reveal()}\n" * 2)
            call = change("smbpasswd", "-s", "-a", self.user, stdin=twice, sudo=True)
            undo = f"smbpasswd -x {self.user}"
            return Diff((Change(f"tell Samba the password of {self.user}", call, undo=undo),))
        if "D" in flags:
            return Diff(
                conflict=f"somebody has shut {self.user} out of Samba on {self.host}; "
                f"`smbpasswd -e {self.user}` lets them in again"
            )
        return Diff()


@dataclass(frozen=True)
class SambaShares:
    """All shares of ours, in a file of their own that Samba's includes at its end.

    Parameters
    ----------
    host, lab
        Where, and whose.
    shares
        Each share's name, and its section's lines as smb.conf(5) has them.
    """

    host: str
    lab: str
    shares: tuple[tuple[str, tuple[str, ...]], ...]
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"shares of {OURS}"

    def observe(self, host: Host) -> dict[str, Any]:
        """Both files, and the shares that are not in ours."""
        main, filed = read_file(host, MAIN), _sections(read_file(host, OURS))
        others = _sections(main) | (_served(host) - filed)
        ours, adopted = File.observe_together(host, [self._ours, self._main(main, {})])
        return {"others": sorted(others), "ours": ours, "main": adopted | {"text": main}}

    def diff(self, observed: dict[str, Any]) -> Diff:
        text = observed["main"]["text"]
        if not text.strip():
            return Diff(
                conflict=f"{self.host} has no {MAIN}, or an empty one; Samba does not start "
                "without: `dpkg-reconfigure samba-common` writes Debian's"
            )
        taken = [name for name, _ in self.shares if _same(name) in observed["others"]]
        if taken:
            return Diff(
                conflict=f"{self.host} shares {', '.join(taken)} already, and not by our file: see "
                f"`testparm -s` there; take it out of {MAIN}, or give ours another name"
            )
        # Ours first: what is included is there by then.
        ours, main = self._ours, self._main(text, observed["main"])
        diffs = [ours.diff(observed["ours"]), main.diff(observed["main"])]
        conflict = next((each.conflict for each in diffs if each.conflict), "")
        return Diff(tuple(each for diff in diffs for each in diff.changes), conflict=conflict)

    @property
    def _ours(self) -> File:
        sections = "".join(_told(name, lines) for name, lines in self.shares)
        text = f"# Of lab {self.lab}: written anew by its runbooks.\n{sections}"
        return File(self.host, OURS, text, what="what Samba shares", lab=self.lab)

    def _main(self, text: str, facts: dict[str, Any]) -> File:
        """Samba's own file, with ours included at its end; who may read it stays as it is."""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines[-1:] != [_INCLUDE]:
            kept = "".join(
                line for line in text.splitlines(keepends=True) if line.strip() != _INCLUDE
            )
            text = f"{kept}{'' if kept.endswith(chr(10)) else chr(10)}{_INCLUDE}\n"
        what = "Samba's settings, with ours included at their end"
        mode, owner = facts.get("mode", "644"), facts.get("owner", "root:root")
        return File(self.host, MAIN, text, mode, owner, what=what, adopt=True, lab=self.lab)


def shown(host: Host) -> tuple[set[str], str]:
    """The shares that the server itself shows to whoever asks, and what it says else."""
    words = (*ENGLISH, "smbclient", "-N", "-g", "-L", "127.0.0.1")
    said = host.read(*words, ok=None)
    rows = [line.split("|") for line in said.stdout.splitlines()]
    found = {row[1] for row in rows if row[0] == "Disk" and len(row) > 1}
    return found, host.cut((said.stderr or said.stdout).strip(), 300, end=True)


def _told(name: str, lines: Sequence[str]) -> str:
    return f"\n[{name}]\n" + "".join(f"   {line}\n" for line in lines)


def _sections(text: str) -> set[str]:
    """The sections of a text in smb.conf's form; a comment begins with ``#`` or ``;``."""
    return {_same(name) for name in _SECTION.findall(text)}


def _same(name: str) -> str:
    """Capitals and spaces at the ends do not tell one share from another."""
    return " ".join(name.split()).casefold()


def _served(host: Host) -> set[str]:
    """The sections that Samba goes by, whatever file they stand in.

    Raises
    ------
    StepFailed
        It can't read its settings.
    """
    said = host.read(*ENGLISH, "testparm", "-s", ok=None, sudo=True)
    found = _sections(said.stdout)
    if "global" not in found:
        raise StepFailed(
            f"Samba can't read its settings on {host.name}: "
            f"{host.cut((said.stderr or said.stdout).strip(), 300, end=True) or 'no answer'}",
            where=f"{host.name}: {MAIN}",
            fix="see what `testparm -s` says there, and mend that first",
        )
    return found
