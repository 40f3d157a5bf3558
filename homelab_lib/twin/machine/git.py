"""Git, as far as bare repositories are filled and looked at.

Source: git-fast-import(1), git-ls-tree(1), git-for-each-ref(1), git-log(1), git-init(1).
"""

import hashlib
import re
from typing import Any

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply

git_programs = Commands()

_COMMIT = re.compile(rb"commit refs/heads/(\S+)\ncommitter (.*) <[^>]*> now\ndata (\d+)\n")


def repository(machine: Machine, path: str) -> dict[str, Any] | None:
    """What a bare repository holds: of each branch its commit, who made it, and its files."""
    found: dict[str, Any] | None = machine.kept.get("git", {}).get(path)
    return found


@git_programs("git")
def git(machine: Machine, call: Call) -> Reply:
    """``git init --bare``, and what is said and done by ``--git-dir``."""
    if "git" not in machine.packages:
        return Reply(127, stderr="sh: 1: git: not found\n")
    words = list(call.argv[1:])
    if words[:1] == ["init"]:
        return _init(machine, words[1:])
    path = words[1] if words[:1] == ["--git-dir"] else ""
    held = repository(machine, path)
    if held is None:
        said = machine.said(*call.argv)
        if said is not None and words[2:3] != ["fast-import"]:
            return said
        if said is None or not machine.files.exists(f"{path}/HEAD"):
            return Reply(128, stderr=f"fatal: not a git repository: '{path}'\n")
        held = _of_before(machine, path)
    verb, rest = words[2], words[3:]
    if verb == "fast-import":
        return _import(held, call.stdin)
    branch = next((w for w in rest if w in held or w.startswith("refs/heads/")), "")
    commit = held.get(branch.removeprefix("refs/heads/"))
    if verb == "for-each-ref":
        return Reply(0, f"{commit['commit']}\n" if commit else "")
    if commit is None:
        return Reply(128, stderr="fatal: Not a valid object name\n")
    under = rest[-1] if "--" in rest else ""
    if verb == "log":
        return Reply(0, f"{commit['by']}\n")
    rows = (
        f"100644 blob {blob}\t{name}\0"
        for name, (blob, _) in sorted(commit["files"].items())
        if name.startswith(under)
    )
    return Reply(0, "".join(rows))


def _init(machine: Machine, words: list[str]) -> Reply:
    path = words[-1]
    machine.files.put(f"{path}/HEAD", "ref: refs/heads/main\n")
    machine.kept.setdefault("git", {})[path] = {}
    return Reply(0)


def _of_before(machine: Machine, path: str) -> dict[str, Any]:
    """A repository of a twin that is seeded: what others have in it is not asked for."""
    held: dict[str, Any] = {}
    machine.kept.setdefault("git", {})[path] = held
    return held


def _import(held: dict[str, Any], stream: bytes) -> Reply:
    """One commit, whole or not at all."""
    head = _COMMIT.match(stream)
    if head is None:
        return Reply(1, stderr="fatal: Unsupported command\n")
    branch, by = head[1].decode(), head[2].decode()
    rest = stream[head.end() + int(head[3]) :].lstrip(b"\n")
    before = held.get(branch, {"files": {}})
    files = dict(before["files"])
    while rest:
        line, _, rest = rest.partition(b"\n")
        words = line.decode().split(" ")
        if words[0] == "D":
            files.pop(words[1], None)
        elif words[0] == "M":
            size, _, rest = rest.partition(b"\n")
            count = int(size.removeprefix(b"data "))
            data, rest = rest[:count], rest[count:].removeprefix(b"\n")
            if len(data) != count:
                return Reply(1, stderr="fatal: EOF in data\n")
            name = hashlib.sha1(b"blob %d\0" % count + data, usedforsecurity=False).hexdigest()
            files[words[3]] = (name, data.decode())
    text = repr((before.get("commit"), sorted(files.items()))).encode()
    commit = hashlib.sha1(text, usedforsecurity=False).hexdigest()
    held[branch] = {"commit": commit, "by": by, "files": files}
    return Reply(0, takes_s=0.5)
