"""The same script here and on the twin: what each says, and what it leaves in its folder."""

import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from grp import getgrgid
from pathlib import Path

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Pipe
from homelab_lib.twin.machine.unix import UNIX
from homelab_lib.twin.world import World

IS_ROOT = os.geteuid() == 0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OTHERS_FOLDER = 0o755  # of tempfile only its owner could pass


@dataclass(frozen=True)
class Said:
    """What came of a script: status, both streams, and what lies in its folder."""

    status: int
    stdout: str
    stderr: str
    left: tuple[tuple[str, ...], ...] = ()


@cache
def _world() -> World:
    return World(load_lab("data/examples/minipc"))


def twin_machine() -> Machine:
    """A machine that has what the scripts here need of any Debian."""
    machine = Machine("here", _world(), commands=UNIX)
    machine.files.make_folder("/tmp", mode=0o1777)
    machine.files.make_folder("/etc")
    machine.make_home("root")
    return machine


@contextmanager
def folder() -> Iterator[str]:
    """A folder that any user may pass; the twin has one by the same name."""
    path = tempfile.mkdtemp(prefix="homelab-same-")
    os.chmod(path, _OTHERS_FOLDER)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def here(script: str, place: str, *, user: str = "root", stdin: bytes = b"") -> Said:
    """What dash and this machine's programs make of it."""
    if shutil.which("dash") is None:
        pytest.skip("this machine has no dash, which is Debian's sh")
    known = pwd.getpwnam(user)
    mine = user == pwd.getpwuid(os.geteuid()).pw_name
    if not (mine or IS_ROOT):
        pytest.skip(f"only root can run something as {user}")
    other = {} if mine else {"user": known.pw_uid, "group": known.pw_gid, "extra_groups": []}
    done = subprocess.run(
        ["sh", "-c", script],
        executable=shutil.which("dash"),
        input=stdin,
        capture_output=True,
        cwd=place,
        env=environment(user),
        umask=0o022,
        timeout=20,
        check=False,
        **other,
    )
    return Said(done.returncode, plain(done.stdout), plain(done.stderr), left(Path(place)))


def twin(
    script: str,
    place: str,
    *,
    user: str = "root",
    stdin: bytes = b"",
    machine: Machine | None = None,
) -> Said:
    """What the twin makes of it, in a folder of the same name."""
    machine = machine or twin_machine()
    machine.files.make_folder(place)
    call = Call(("sh", "-c", script), Pipe(stdin), user, environment(user), place)
    reply = machine.call(call).finished()
    return Said(reply.status, plain(reply.out), plain(reply.err), left_on(machine, place))


def environment(user: str) -> dict[str, str]:
    return {"LC_ALL": "C", "PATH": PATH, "HOME": pwd.getpwnam(user).pw_dir}


def plain(raw: bytes) -> str:
    """As text, without what is never twice the same: dash's line numbers and
    the command that it is in, how long `dd` took."""
    text = re.sub(r"(?m)^(\S+): \d+: ", r"\1: ", raw.decode(errors="surrogateescape"))
    text = re.sub(r"(?m)^sh: eval: ", "sh: ", text)
    return re.sub(r"copied, [^\n]*", "copied, …", text)


def left(place: Path) -> tuple[tuple[str, ...], ...]:
    found = []
    for path in sorted(place.rglob("*")):
        facts = path.lstat()
        kind = stat.S_IFMT(facts.st_mode)
        content = os.readlink(path) if kind == stat.S_IFLNK else ""
        if kind == stat.S_IFREG:
            content = plain(path.read_bytes())
        owner = f"{_user(facts.st_uid)}:{_group(facts.st_gid)}"
        found.append((str(path.relative_to(place)), f"{facts.st_mode:o}", owner, content))
    return tuple(sorted(found))


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def left_on(machine: Machine, place: str) -> tuple[tuple[str, ...], ...]:
    found = []
    for path in machine.files.walk(place):
        if path != place:
            entry = machine.files.stat(path, follow=False)
            name = path.removeprefix(f"{place}/")
            content = "" if entry.kind == "dir" else plain(entry.data)
            owner = f"{entry.user}:{entry.group}"
            found.append((name, f"{entry.raw_mode:o}", owner, content))
    return tuple(sorted(found))
