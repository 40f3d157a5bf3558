"""Exports of the kernel's NFS server.

Sources: exports(5), exportfs(8), and nfs-utils 2.6.2 run: ``exportfs -r`` takes away what somebody
exported by hand and applies whatever stands in anybody's file, so that each of ours is exported by
itself; a folder that is not there is exported all the same, with status 1.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from homelab_lib.control.linux.looking import ENGLISH, read_file
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change
from homelab_lib.transport.options import Allowed
from homelab_lib.transport.reads import declare

FOLDER = "/etc/exports.d"
_SHOWN = re.compile(r"(?P<path>\S+)\s+(?P<client>\S+?)\((?P<options>[^)]*)\)")
_CLIENT = re.compile(r"(\S+?)\(([^)]*)\)")

# Without one of these it prints, too; with a path it exports.
declare("exportfs", Allowed("", "-s -v", also=lambda words: not words.operands))


@dataclass(frozen=True)
class NfsExport:
    """A folder that is exported, as the kernel's server has it now.

    Parameters
    ----------
    host, path
        Where, and what.
    clients
        Networks or addresses that may mount it.
    options
        As exports(5) has them.
    file
        The file of ours that has it exported at each boot: what stands in it is ours to take back.
    """

    host: str
    path: str
    clients: tuple[str, ...]
    options: tuple[str, ...]
    file: str
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"export {self.path}"

    def observe(self, host: Host) -> dict[str, Any]:
        """By client: the options with which it is exported, and those in our own file."""
        return {
            "now": exported(host).get(self.path, {}),
            "filed": _filed(read_file(host, self.file), self.path),
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        now, ours = observed["now"], observed["filed"]
        others = [client for client in now if client not in self.clients and client not in ours]
        if others:
            return Diff(
                conflict=f"{self.path} of {self.host} is exported to {', '.join(others)} by "
                "somebody: see /etc/exports and the files beside ours in "
                f"{FOLDER}; write these networks into the lab, or take them back: exportfs -u "
                f"{others[0]}:{self.path}"
            )
        changes = []
        for client in self.clients:
            has = now.get(client)
            if has is not None and set(self.options) <= set(has):
                continue
            if has is not None and client not in ours:
                return Diff(
                    conflict=f"{self.path} of {self.host} is exported to {client} by somebody, with"
                    f" {','.join(has)}; take that out of /etc/exports, or out of {FOLDER}"
                )
            word = f"{_word(client)}:{self.path}"
            call = change(*ENGLISH, "exportfs", "-o", ",".join(self.options), word, sudo=True)
            old = f"{client} with {','.join(has)}" if has is not None else ""
            undo = f"exportfs -u {word}"
            changes.append(Change(f"export {self.path} to {client}", call, replaces=old, undo=undo))
        for client in now:
            if client not in self.clients:
                word = f"{_word(client)}:{self.path}"
                call = change(*ENGLISH, "exportfs", "-u", word, sudo=True)
                undo = f"exportfs -o {','.join(now[client])} {word}"
                summary = f"export {self.path} to {client} no more"
                changes.append(Change(summary, call, undo=undo))
        return Diff(tuple(changes))


def line(path: str, clients: tuple[str, ...], options: tuple[str, ...]) -> str:
    """An export as a line of exports(5)."""
    told = " ".join(f"{client}({','.join(options)})" for client in clients)
    return f"{_escaped(path)} {told}\n"


def exported(host: Host) -> dict[str, dict[str, list[str]]]:
    """What a server exports now: by path and client, the options."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in host.read(*ENGLISH, "exportfs", "-s", sudo=True).stdout.splitlines():
        shown = _SHOWN.match(row)
        if shown is not None:
            clients = found.setdefault(_plain(shown["path"]), {})
            clients[shown["client"]] = shown["options"].split(",")
    return found


def _filed(text: str, path: str) -> Mapping[str, list[str]]:
    """The clients of a path in a file of ours."""

    def rows() -> Iterator[tuple[str, list[str]]]:
        for row in text.splitlines():
            head, _, told = row.partition(" ")
            if _plain(head) == path:
                yield from ((each[1], each[2].split(",")) for each in _CLIENT.finditer(told))

    return dict(rows())


def _word(client: str) -> str:
    return f"[{client}]" if ":" in client else client


def _escaped(path: str) -> str:
    return "".join(f"\\{ord(c):03o}" if c.isspace() or c in '"#\\' else c for c in path)


def _plain(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)
