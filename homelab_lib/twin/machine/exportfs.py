"""`exportfs`: the exports of the kernel's NFS server.

Source: exportfs(8), exports(5), and what nfs-utils 2.6.2 answered when it was run: ``-r`` takes
away what was exported by hand, and a folder that is not there is exported all the same, with
status 1.
"""

import ipaddress
import re
import shlex
from collections.abc import Iterator
from functools import partial
from typing import Any

from homelab_lib.twin.machine.files import FileSystem
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.nfs import NfsServer
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.surroundings import Export
from homelab_lib.twin.machine.unit import Unit
from homelab_lib.twin.machine.usage import Usage
from homelab_lib.twin.machine.zfs import is_mounted

exportfs_programs = Commands()

PACKAGE, UNIT = "nfs-kernel-server", "nfs-server"
_FILE, _FOLDER = "/etc/exports", "/etc/exports.d"
_USAGE = Usage("o,options: s,show v,verbose r,reexport a,all u,unexport i,ignore f,flush")
_CLIENT = re.compile(r"([^\s(]+)(?:\(([^)]*)\))?")
_WORDS = (
    "rw ro sync async wdelay no_wdelay hide nohide crossmnt nocrossmnt secure insecure "
    "subtree_check no_subtree_check root_squash no_root_squash all_squash no_all_squash mp "
    "mountpoint acl no_acl auth_nlm no_auth_nlm secure_locks insecure_locks"
)
_KNOWN = frozenset(_WORDS.split())
_VALUED = ("mp", "mountpoint", "fsid", "anonuid", "anongid", "sec", "refer", "replicas")
_PORT = 2049


def units(machine: Machine) -> Iterator[Unit]:
    """The server, as its package brings it: it runs, and starts with the machine."""
    if machine.ask is None:
        _anew(machine)
    machine.nfs_server = NfsServer(partial(exports, machine), partial(export_for, machine))
    machine.listeners[_PORT] = lambda: _runs(machine)
    taken = lambda box: etab(box).clear()  # noqa: E731
    yield Unit(UNIT, "active", "running", enabled=True, on_start=_starts, on_stop=taken)


def _runs(machine: Machine) -> bool:
    return UNIT in machine.units and machine.units[UNIT].active == "active"


def _starts(machine: Machine) -> str:
    _anew(machine)
    return ""


def etab(machine: Machine) -> dict[str, dict[str, list[str]]]:
    """What is exported now: by path and client, the options as they are shown."""
    if "exports" not in machine.kept:
        machine.kept["exports"] = dict(_seeded(machine))
    found: dict[str, dict[str, list[str]]] = machine.kept["exports"]
    return found


def _seeded(machine: Machine) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """What the real server behind a seeded machine exports."""
    said = machine.said("exportfs", "-s")
    rows: dict[str, dict[str, list[str]]] = {}
    for line in said.out.decode().splitlines() if said and not said.status else ():
        path, _, rest = line.partition("  ")
        shown = _CLIENT.match(rest)
        if shown is not None:
            rows.setdefault(_plain(path), {})[shown[1]] = (shown[2] or "").split(",")
    yield from rows.items()


def exports(machine: Machine) -> list[dict[str, Any]]:
    """What a client is told that is exported."""
    found = etab(machine) if _runs(machine) else {}
    return [{"path": path, "networks": list(clients)} for path, clients in found.items() if clients]


def export_for(machine: Machine, path: str, client: str) -> Export | None:
    """What a client gets that mounts `path`; None if it may not."""
    if not _runs(machine):
        return None
    for place, clients in etab(machine).items():
        inside = path == place or path.startswith(f"{place}/")
        for who, options in clients.items():
            if not (inside and _is_in(client, who) and _is_there(machine, place, options)):
                continue
            as_root = "no_root_squash" in options and "rw" in options
            within = [t for t in machine.files.mounts if f"{path}/".startswith(f"{t}/")]
            if not within:
                return Export(machine.files, as_root, path)
            mount = machine.files.mounts[max(within, key=len)]
            assert isinstance(mount.files, FileSystem)
            return Export(mount.files, as_root, path.removeprefix(mount.target) or "/")
    return None


def _is_there(machine: Machine, place: str, options: list[str]) -> bool:
    """With ``mountpoint``, what is not mounted is not exported."""
    for option in options:
        name, _, value = option.partition("=")
        if name == "mountpoint" and not is_mounted(machine, value or place):
            return False
    return machine.files.is_dir(place)


def _is_in(client: str, who: str) -> bool:
    if who == "*":
        return True
    try:
        return ipaddress.ip_address(client) in ipaddress.ip_network(who, strict=False)
    except ValueError:
        return False


@exportfs_programs("exportfs")
def exportfs(machine: Machine, call: Call) -> Reply:
    """Show, add, take away or read anew what is exported."""
    if PACKAGE not in machine.packages:
        return Reply(127, stderr=f"sh: 1: {call.argv[0]}: not found\n")
    given = _USAGE.of(call)
    if call.user != "root":
        text = "could not open /var/lib/nfs/.etab.lock for locking: errno 13 (Permission denied)"
        return Reply(0, stderr=f"exportfs: {text}\n")
    if "r" in given or ("a" in given and "u" not in given):
        return _anew(machine)
    if not given.words:
        return Reply(0, "".join(_shown(machine, verbose="v" in given)))
    if "u" in given:
        return _unexported(machine, given.words)
    return _exported(machine, given.words, (given.get("o") or "ro").split(","))


def _shown(machine: Machine, *, verbose: bool) -> Iterator[str]:
    for path, clients in etab(machine).items():
        for client, options in clients.items():
            told = ",".join(options)
            if verbose:
                who = "<world>" if client == "*" else client
                gap = "\n\t\t" if len(path) > 14 else "\t"
                yield f"{path:<14}{gap}{who}({told})\n"
            else:
                yield f"{_escaped(path)}  {client}({told})\n"


def _split(word: str) -> tuple[str, str]:
    """Client and path of ``CLIENT:/path``, ``[fd00::/64]:/path``."""
    if word.startswith("["):
        client, _, path = word[1:].partition("]:")
    else:
        client, _, path = word.partition(":")
    return client, path


def _exported(machine: Machine, words: list[str], options: list[str]) -> Reply:
    status, err = 0, ""
    if unknown := [each for each in options if not _known(each)]:
        return Reply(1, stderr=f'exportfs: command line:0: unknown keyword "{unknown[0]}"\n\n')
    for word in words:
        client, path = _split(word)
        if not path.startswith("/"):
            return Reply(1, stderr=f"exportfs: Invalid export syntax: {client}\n")
        etab(machine).setdefault(path, {})[client] = _told(options)
        if not machine.files.exists(path):
            err += f"exportfs: Failed to stat {path}: No such file or directory\n"
            status = 1
    return Reply(status, stderr=err)


def _unexported(machine: Machine, words: list[str]) -> Reply:
    for word in words:
        client, path = _split(word)
        if client not in etab(machine).get(path, {}):
            text = f"exportfs: Could not find '{client}:{path}' to unexport.\n"
            return Reply(1, stderr=text)
        del etab(machine)[path][client]
    return Reply()


def _anew(machine: Machine) -> Reply:
    """What stands in the files, and no more."""
    found: dict[str, dict[str, list[str]]] = {}
    status, err = 0, ""
    for path, client, options in _written(machine):
        if unknown := [each for each in options if not _known(each)]:
            return Reply(1, stderr=f'exportfs: {_FILE}:1: unknown keyword "{unknown[0]}"\n\n')
        found.setdefault(path, {})[client] = _told(options)
        if not machine.files.exists(path):
            err += f"exportfs: Failed to stat {path}: No such file or directory\n"
            status = 1
    etab(machine).clear()
    etab(machine).update(found)
    return Reply(status, stderr=err)


def _written(machine: Machine) -> Iterator[tuple[str, str, list[str]]]:
    folder = [path for path in machine.files.walk(_FOLDER) if path.endswith(".exports")]
    for file in (_FILE, *sorted(folder)):
        for line in machine.files.text(file).replace("\\\n", " ").splitlines():
            words = line.partition("#")[0].strip()
            if not words:
                continue
            path = shlex.split(words)[0] if words.startswith('"') else words.split()[0]
            rest = words.partition('" ' if words.startswith('"') else " ")[2]
            for each in _CLIENT.finditer(rest):
                yield _plain(path), each[1], (each[2] or "ro").split(",")


def _known(option: str) -> bool:
    name, equals, _ = option.partition("=")
    return name in _VALUED if equals else name in _KNOWN


def _told(options: list[str]) -> list[str]:
    """Options as they are shown."""
    given = dict(option.partition("=")[::2] for option in options)
    place = given.get("mountpoint", given.get("mp"))
    shown: list[Any] = [
        "async" if "async" in given else "sync",
        "no_wdelay" if "no_wdelay" in given else "wdelay",
        "nohide" if "nohide" in given else "hide",
        "crossmnt" if "crossmnt" in given else "",
        "" if "subtree_check" in given else "no_subtree_check",
        "" if place is None else f"mountpoint={place}" if place else "mountpoint",
        f"fsid={given['fsid']}" if "fsid" in given else "",
        "sec=sys",
        "rw" if "rw" in given else "ro",
        "insecure" if "insecure" in given else "",
        "no_root_squash" if "no_root_squash" in given else "root_squash",
        "all_squash" if "all_squash" in given else "no_all_squash",
    ]
    return [each for each in shown if each]


def _escaped(path: str) -> str:
    return "".join(f"\\{ord(c):03o}" if c in ' \t"#\\' else c for c in path)


def _plain(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)
