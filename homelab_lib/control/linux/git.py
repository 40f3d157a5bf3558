"""A folder of a bare Git repository that has given files: one commit, or none where it has them.

Source: git-fast-import(1), git-ls-tree(1), gitformat-pack (the name of a blob); git-config(1),
``safe.directory``: who reads a repository by SSH is refused one that is another's.
"""

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.control import mark
from homelab_lib.control.linux.looking import look_at_file
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change
from homelab_lib.transport.options import Allowed
from homelab_lib.transport.reads import declare

declare("git", Allowed("ls-tree,for-each-ref,log", "-r -z", "--git-dir --format -n"))
_REMOTE = "refs/heads"


@dataclass(frozen=True)
class GitFolder:
    """Files in a folder of a branch, and no others there.

    The repository is somebody's: what stands beside the folder stays, and a commit of theirs in it
    is not written over.

    Parameters
    ----------
    host, path
        The machine, and the bare repository.
    branch, folder
        Where in it.
    files
        Texts by their names in the folder.
    lab
        The lab whose they are.
    owner
        Whose the repository has to be, where that is not who logs in: ``user:group``.
    """

    host: str
    path: str
    branch: str
    folder: str
    files: Mapping[str, str] = field(hash=False)
    lab: str
    owner: str = ""
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"{self.folder} of {self.path}"

    @property
    def _author(self) -> str:
        return mark.text(self.lab)

    def observe(self, host: Host) -> dict[str, Any]:
        facts = look_at_file(host, self.path)
        there, owner = facts is not None, str((facts or {}).get("owner", ""))
        if there and look_at_file(host, f"{self.path}/HEAD") is None:
            raise StepFailed(
                f"{self.path} on {host.name} is no bare Git repository",
                where=host.name,
                fix="give the repository another path, or move away what is there",
            )
        head = self._git(host, "for-each-ref", "--format=%(objectname)", self._ref) if there else ""
        if not head:
            return {"there": there, "owner": owner, "head": "", "blobs": {}, "by": ""}
        listed = self._git(host, "ls-tree", "-r", "-z", self.branch, "--", f"{self.folder}/")
        rows = (row.partition("\t") for row in listed.split("\0") if row)
        blobs = {path: facts.split()[2] for facts, _, path in rows}
        by = self._git(host, "log", "-n", "1", "--format=%an", self.branch, "--", f"{self.folder}/")
        return {"there": True, "owner": owner, "head": head, "blobs": blobs, "by": by}

    @property
    def _ref(self) -> str:
        return f"{_REMOTE}/{self.branch}"

    def _git(self, host: Host, *words: str) -> str:
        return host.read("git", "--git-dir", self.path, *words).stdout.strip()

    @property
    def _wanted(self) -> dict[str, str]:
        return {f"{self.folder}/{name}": blob(text) for name, text in self.files.items()}

    def diff(self, observed: dict[str, Any]) -> Diff:
        if not observed["there"]:
            words = ("git", "init", "-q", "--bare", f"--initial-branch={self.branch}", self.path)
            undo = f"rm -r {shlex.quote(self.path)}"
            begin = Change(f"make the repository {self.path}", change(*words), undo=undo)
            return Diff((begin, self._commit(observed), *self._given()))
        wanted, found = self._wanted, observed["blobs"]
        user, _, _ = self.owner.partition(":")
        whose, _, _ = observed["owner"].partition(":")
        another = bool(user) and user != whose
        if another and observed["by"] not in ("", self._author):
            return Diff(
                conflict=f"{self.path} is {whose}'s, and Git lets {user} read none that is "
                f"another's. Have it read by {whose}, or, if it may be {user}'s: chown -R "
                f"{self.owner} {shlex.quote(self.path)}"
            )
        if wanted == found:
            return Diff(self._given(whose)) if another else Diff()
        other = sorted(path for path in {*wanted, *found} if wanted.get(path) != found.get(path))
        if observed["by"] not in ("", self._author):
            return Diff(
                conflict=f"{observed['by']} has changed {self.folder} of {self.path} since we "
                f"wrote it, and it is another than the lab says: {', '.join(other[:3])}. Bring the "
                "change into the lab, or take it back there"
            )
        return Diff((self._commit(observed), *self._given()))

    def _given(self, whose: str = "root") -> tuple[Change, ...]:
        """All of it is its owner's, what a commit of ours brought as well."""
        if not self.owner:
            return ()
        words = ("chown", "-R", self.owner, self.path)
        undo = f"chown -R {whose}: {shlex.quote(self.path)}"
        text = f"give {self.path} to {self.owner.partition(':')[0]}, who reads it"
        return (Change(text, change(*words, sudo=True), undo=undo),)

    def _commit(self, observed: dict[str, Any]) -> Change:
        wanted, found = self._wanted, observed["blobs"]
        changed = [path for path, digest in wanted.items() if found.get(path) != digest]
        gone = sorted(set(found) - set(wanted))
        text = self._stream(gone, bool(observed["head"]))
        words = ("git", "--git-dir", self.path, "fast-import", "--quiet", "--date-format=now")
        return Change(
            f"commit {len(changed)} files to {self.folder} of {self.path}"
            + (f", and take {len(gone)} away" if gone else ""),
            change(*words, stdin=text),
            replaces=f"{self.branch} at {observed['head']}" if observed["head"] else "",
            undo=f"git --git-dir {self.path} update-ref {self._ref} {observed['head']}"
            if observed["head"]
            else f"git --git-dir {self.path} update-ref -d {self._ref}",
        )

    def _stream(self, gone: list[str], follows: bool) -> str:
        """One commit, as fast-import reads it."""
        message = f"What the runbooks applied to {self.folder}\n"
        lines = [
            f"commit {self._ref}",
            f"committer {self._author} <{mark.TAG}@localhost> now",
            f"data {len(message)}",
            message.rstrip("\n"),
        ]
        if follows:
            lines.append(f"from {self._ref}^0")
        lines += [f"D {path}" for path in gone]
        for name, text in sorted(self.files.items()):
            lines += [
                f"M 100644 inline {self.folder}/{name}",
                f"data {len(text.encode())}",
                text.rstrip("\n"),
            ]
        return "\n".join(lines) + "\n"


def blob(text: str) -> str:
    """The name that Git gives to a file with a text."""
    data = text.encode()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
