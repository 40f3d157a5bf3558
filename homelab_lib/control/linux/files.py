"""A file with a given content."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import unified_diff
from shlex import quote
from typing import Any

from homelab_lib.control.linux.looking import FILE, ROOT, Place, places, read_file
from homelab_lib.control.linux.placing import (
    BEGIN,
    END,
    KEEP_A_COPY,
    STILL_NOTHING,
    STILL_THE_SAME,
    claim,
    claimed,
    folder_mode,
    foreign,
    placing,
)
from homelab_lib.runbook.resource import NOT_UNDONE, Change, Diff, Host
from homelab_lib.secret import Secret

# A new file, never one that a link leads to, for its owner alone until all of it is there and on
# the disk. `dd` reads its pipe as it is: a user can't open anew one that root made.
_TAKE = (
    '[ ! -e "$n" ] && [ ! -L "$n" ] || rm -f -- "$n"; '
    'said=$(umask "${8:-077}"; export LC_ALL=C; exec dd bs=64k conv=excl,fsync "of=$n" 2>&1) || '
    '{ printf "%s\\n" "$said" >&2; exit 1; }; '
)
# A link that drops looks like the end of the text: what came is what was sent, or is thrown away.
# Of a secret nothing may stand on a command line; one last character says that it is whole.
_TORN = '{ echo "not all of it came"; exit 1; }; '
_WHOLE = f'case "$said" in *out?"$7 byte"*) ;; *) {_TORN}esac; '
_WHOLE_SECRET = (
    f'[ "$(tail -c 1 "$n")" = "$(printf \'\\037\')" ] || {_TORN}truncate -s -1 "$n"; sync "$n"; '
)
# What root makes is root's, but for a folder that hands on its group.
_GIVE = (
    '[ "$3:$4" = root:root ] && [ -O "$n" ] && [ -G "$n" ] || chown -- "$3:$4" "$n"; '
    '[ -n "$8" ] || chmod "$2" "$n"; '
)
_LAST = "\x1f"
_NO_MORE_TEXT_THAN_BYTES = 2**16  # what is larger is not shown as a difference


@dataclass(frozen=True)
class File:
    """A file with a given content.

    Parameters
    ----------
    host, path
        Where it is.
    content
        What is in it; a `Secret` goes there by standard input and is shown nowhere.
    mode, owner
        Permissions in octal, and ``user:group``. A folder that has to be made for it gets the
        same owner; one that is there is left as it is.
    what
        What it is, for the plan; default: its path.
    adopt
        The file is somebody's, and we are to edit it: a copy ``PATH.before-homelab`` is kept of
        what was there, and the file does not become ours. Without it a file that is there, is not
        as wanted and is not ours is a conflict.
    lab
        The lab whose it is.
    """

    host: str
    path: str
    content: str | Secret
    mode: str = "644"
    owner: str = "root:root"
    what: str = ""
    timeout_s: float = 30.0
    adopt: bool = False
    lab: str = field(kw_only=True)

    @property
    def name(self) -> str:
        return f"file {self.path}"

    # ------------------------------------------------------------------ looking

    def observe(self, host: Host) -> dict[str, Any]:
        """Kind, mode, owner and digest of what is there, and whether it is ours.

        Of a secret's file no digest is kept: ``sealed`` can be compared with another of the same
        key, and ``same`` says whether it is as wanted. ``text`` is the old text of a file of ours
        that is not as wanted.
        """
        return self.observe_together(host, [self])[0]

    @staticmethod
    def observe_together(host: Host, files: Sequence["File"]) -> list[dict[str, Any]]:
        """All of them at once: what one of them changes does not concern the others."""
        found = places(host, [file.path for file in files])
        seen = [file._seen(host, place) for file, place in zip(files, found, strict=True)]
        others = [
            (file, facts)
            for file, facts in zip(files, seen, strict=True)
            if facts["kind"] == FILE and not file._as_wanted(facts) and not file.adopt
        ]
        ledger = claimed(host, [file._claim for file, _ in others]) if others else set()
        for file, facts in others:
            facts["ours"] = file._claim in ledger
            small = facts["size_bytes"] <= _NO_MORE_TEXT_THAN_BYTES
            if facts["ours"] and small and not isinstance(file.content, Secret):
                facts["text"] = read_file(host, file.path, user=facts["hand"])
        return seen

    def _seen(self, host: Host, place: Place) -> dict[str, Any]:
        facts: dict[str, Any] = {"kind": "nothing"} if place.there is None else dict(place.there)
        if isinstance(self.content, Secret) and "sha256" in facts:
            digest = facts.pop("sha256")
            facts["sealed"] = host.seal(digest)
            facts["same"] = digest == _sha256(self.content.reveal())
        return facts | {"hand": place.hand, "obstacle": place.obstacle}

    # ------------------------------------------------------------------- saying

    def diff(self, observed: dict[str, Any]) -> Diff:
        conflict = self._conflict(observed)
        if conflict:
            return Diff(conflict=conflict)
        if observed["kind"] == "nothing":
            return Diff((self._change("write", STILL_NOTHING, observed),))
        if self._as_wanted(observed):
            return Diff()
        guard = STILL_THE_SAME if "sha256" in observed else ""
        if self.adopt:
            guard += KEEP_A_COPY
        return Diff((self._change("rewrite", guard, observed),))

    def _conflict(self, observed: dict[str, Any]) -> str:
        hand, user = observed["hand"], self.owner.partition(":")[0]
        if observed["obstacle"]:
            return str(observed["obstacle"])
        if observed["kind"] not in ("nothing", FILE):
            return f"{self.path} is a {observed['kind']}, and should be a file; move it away"
        if observed["kind"] == FILE and self._as_wanted(observed):
            return ""
        if observed["kind"] == FILE and not (self.adopt or observed["ours"]):
            return foreign(self.path, observed, self.lab)
        if hand not in (ROOT, user):
            return (
                f"{self.path} is to be {self.owner}'s, and lies in a folder of {hand}, who could "
                f"lead it anywhere; give the folder to root, or the file to {hand}"
            )
        return ""

    def _as_wanted(self, facts: dict[str, Any]) -> bool:
        if int(facts["mode"], 8) != int(self.mode, 8) or facts["owner"] != self.owner:
            return False
        if isinstance(self.content, Secret):
            return bool(facts["same"])
        return bool(facts["sha256"] == _sha256(self.content))

    def _change(self, verb: str, guard: str, observed: dict[str, Any]) -> Change:
        user, _, group = self.owner.partition(":")
        content = self.content
        secret = isinstance(content, Secret)
        arguments = (self.path, self.mode, user, group, folder_mode(self.mode))
        command = placing(
            BEGIN + _TAKE + (_WHOLE_SECRET if secret else _WHOLE) + _GIVE + guard + END,
            *arguments,
            observed.get("sha256", ""),
            "" if isinstance(content, Secret) else str(len(content.encode())),
            _made_so(self.mode),
            hand=observed["hand"],
            ours="" if self.adopt else self._claim,
            new=observed["kind"] == "nothing",
            stdin=_whole(content),
            timeout_s=self.timeout_s,
        )
        replaces = ""
        if observed["kind"] != "nothing":
            digest = observed["sealed"][:24] if secret else observed["sha256"][:16]
            replaces = f"{observed['mode']} {observed['owner']} {digest}"
        what = f"{self.what}: {self.path}" if self.what else self.path
        return Change(
            f"{verb} {what}, {self.mode} {self.owner}",
            command,
            replaces=replaces,
            difference="" if secret else _difference(observed.get("text"), str(content)),
            undo=self._undo(observed),
        )

    def _undo(self, observed: Mapping[str, Any]) -> str:
        """What is put back is kept where one may read it; of a secret nobody does."""
        path = quote(self.path)
        if observed["kind"] == "nothing":
            return f"rm {path}"
        if self.adopt:
            return f"mv {quote(f'{self.path}.before-homelab')} {path}"
        if isinstance(self.content, Secret):
            return f"{NOT_UNDONE}: what stood there is secret, and kept nowhere"
        if observed["sha256"] == _sha256(self.content):
            return f"chmod {observed['mode']} {path}; chown {observed['owner']} {path}"
        if observed.get("text") is None:
            return f"{NOT_UNDONE}: what stood there is not kept"
        return "put back what stood there; the record's before.json has it"

    @property
    def _claim(self) -> str:
        return claim(self.lab, self.path)


def _made_so(mode: str) -> str:
    """The umask under which a file comes into being with its mode; empty where that needs `chmod`,
    for no program makes files that can be run."""
    bits = int(mode, 8)
    return f"{0o777 & ~bits:03o}" if bits == bits & 0o666 else ""


def _difference(old: str | None, new: str) -> str:
    """What changes in a text of ours, as `diff -u` shows it."""
    if old is None:
        return ""
    lines = unified_diff(old.splitlines(), new.splitlines(), "now", "then", lineterm="")
    return "\n".join(lines)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _whole(content: str | Secret) -> str | Secret:
    """What is sent: of a secret, with the character that says that this is all."""
    if isinstance(content, Secret):
        return Secret(content.name, lambda: content.reveal() + _LAST)
    return content
